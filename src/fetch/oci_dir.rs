//! `oci:`: an image layout in a directory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::layout::Blobs;

/// The directory.
pub(super) struct OciDir(PathBuf);

impl OciDir {
    /// Nothing is opened yet.
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Blobs for OciDir {
    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(File::open(self.0.join(path))?))
    }
}
