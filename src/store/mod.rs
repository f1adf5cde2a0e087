//! The content-addressed store: a composefs-rs repository (sha256, 4 KiB), `meta.json`, `objects/`, `images/`, `streams/`.
//!
//! Takes bytes; gives the fs-verity digests that name them. Knows nothing of OCI. Never overwrites an object.
//! On disk: objects first, then [`Store::sync`], then the names that lead to them; so a name never leads to nothing.

mod format;
mod fsck;
mod gc;
mod lock;
mod object;
mod protect;
mod refs;
mod roots;
mod share;
mod space;
pub mod stream;
mod tags;
pub mod verity;

pub use gc::{Garbage, Unneeded};
pub use object::{Incoming, Stored};
pub use roots::Roots;
pub(crate) use share::Sharer;
pub use space::{space_of, OnDisk};
pub use tags::Tag;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::model::Digest;
use crate::sys::Sys;

/// A repository on disk.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// The directory, held with a shared lock.
    lock: File,
}

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// Something of the store cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An object cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Under which temporary name.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The directory is something else.
    #[error("{} is no composefs repository: it has no meta.json (give an empty or new directory, or the right one)", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// The repository is of a kind that we cannot use.
    #[error("the repository of {} cannot be used: {why}", path.display())]
    Format {
        /// Its `meta.json`.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An object is gone.
    #[error("object {} is missing (import the image again)", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// What must stay is not there: what else it needs cannot be known.
    #[error("{} is missing, and what must stay needs it (import that image again, or remove what needs it)", path.display())]
    MissingRoot {
        /// The name, below `images/` or `streams/`.
        path: PathBuf,
    },
    /// Others use the repository.
    #[error("{} is used by another program, so nothing can be removed from it: wait for that, and run it again", path.display())]
    InUse {
        /// The repository.
        path: PathBuf,
    },
    /// An object or a name is not what it should be.
    #[error("{} is damaged: {why} (remove it and import the image again)", path.display())]
    Damaged {
        /// What.
        path: PathBuf,
        /// How that shows.
        why: &'static str,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Store {
    /// The repository's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores small bytes as an object.
    pub fn put(&self, sys: &Sys, bytes: &[u8]) -> Result<Digest> {
        Ok(self.put_bytes(sys, bytes)?.digest)
    }

    /// Stores an EROFS image and its name below `images/`; both are durable on return.
    pub fn put_image(&self, sys: &Sys, bytes: &[u8]) -> Result<Digest> {
        let digest = self.put(sys, bytes)?;
        self.name_images(sys, &[digest])?;
        Ok(digest)
    }

    /// Makes all that was written durable: one syncfs.
    pub fn sync(&self, sys: &Sys) -> Result<()> {
        Ok(sys.sync_fs(&self.path)?)
    }
}
