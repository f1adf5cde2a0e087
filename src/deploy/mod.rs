//! Deployments on the disk: directory, origin, `/etc` and `/var`.
//!
//! Takes an image's tree, store and signature; gives a deployment directory that `/init` boots.
//! Never fetches, never touches the ESP. On disk: `cfs/`, as in `docs/formats.md`, "Root file system".

pub mod bound;
pub mod layout;
pub mod lock;
pub mod origin;
pub mod os_release;
pub mod populate;
pub mod records;
pub mod whole;

use std::path::PathBuf;

/// Why there is no deployment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// An object of the image cannot be read.
    #[error("cannot read the image's /{path}: {why}")]
    Content {
        /// Path in the image.
        path: String,
        /// Why not.
        why: String,
    },
    /// The tree is not one: a name that is no name, or a child of what is no directory.
    #[error("the image's /{0} cannot be written: its name is not a plain path below a directory; rebuild the image")]
    Path(String),
    /// A deployment's `/etc` cannot be filled.
    #[error("cannot fill the new deployment's /etc: {0}")]
    Etc(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else is at work.
    #[error("another cfs-host is at work: {0}; wait for it, or see `systemctl list-jobs`")]
    Locked(String),
    /// A file of `cfs/` that this program does not understand.
    #[error("cannot read {}: {why}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// An `origin.json` that this program does not understand.
    #[error("cannot read {}: {why}", path.display())]
    Origin {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;
