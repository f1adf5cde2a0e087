//! The content-addressed store: a composefs-rs repository (sha256, 4 KiB), `meta.json`, `objects/`, `images/`, `streams/`.
//!
//! Takes bytes; gives the fs-verity digests that name them. Knows nothing of OCI. Never overwrites an object.

use std::path::{Path, PathBuf};

use crate::model::Digest;
use crate::sys::Sys;

/// A repository on disk.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
}

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// To be replaced by the variants that the implementation needs.
    #[error("{0}")]
    Other(String),
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Store {
    /// Opens a repository, or creates an empty one in an existing or new directory.
    pub fn open_or_create(_path: &Path, _sys: &Sys) -> Result<Self> {
        todo!("store helper")
    }

    /// The repository's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens an object for reading.
    pub fn object(&self, _digest: &Digest) -> Result<std::fs::File> {
        todo!("store helper")
    }

    /// Stores small bytes as an object.
    pub fn put(&self, _sys: &Sys, _bytes: &[u8]) -> Result<Digest> {
        todo!("store helper")
    }

    /// Stores an EROFS image and its name below `images/`.
    pub fn put_image(&self, _sys: &Sys, _bytes: &[u8]) -> Result<Digest> {
        todo!("store helper")
    }

    /// Makes all that was written durable: one syncfs.
    pub fn sync(&self, _sys: &Sys) -> Result<()> {
        todo!("store helper")
    }
}
