//! The space that objects take, and which of them are files of somebody else too.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::refs::list;
use super::{Error, Result, Store};
use crate::model::Digest;

/// The space that a file takes, in bytes; `st_blocks` counts 512 of them.
pub fn space_of(meta: &fs::Metadata) -> u64 {
    meta.blocks() * 512
}

/// An object on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Its name.
    pub digest: Digest,
    /// The space that it takes, in bytes.
    pub bytes: u64,
    /// Device and inode: another name of it, wherever that is, has the same.
    pub file: (u64, u64),
    /// How many names the file has.
    pub names: u64,
}

impl Store {
    /// Every object. Other files in the folders are not ours.
    pub fn objects_on_disk(&self) -> Result<Vec<OnDisk>> {
        let mut found = Vec::new();
        for (folder, prefix, _) in list(&self.objects())?.into_iter().filter(|(_, _, kind)| kind.is_dir()) {
            for (path, name, kind) in list(&folder)? {
                let Ok(digest) = format!("{prefix}{name}").parse::<Digest>() else { continue };
                if prefix.len() != 2 || !kind.is_file() {
                    continue;
                }
                let meta = fs::symlink_metadata(&path).map_err(|source| Error::Read { path, source })?;
                let file = (meta.dev(), meta.ino());
                found.push(OnDisk { digest, bytes: space_of(&meta), file, names: meta.nlink() });
            }
        }
        Ok(found)
    }

    /// Where an object is, for programs that look at files.
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        self.object_file(digest)
    }
}
