//! The store's images as podman sees them: an additional image store of containers/storage, in memory, over mounted layers.
//!
//! Takes images that lie in a store with an EROFS image and a tar-split list of each layer; gives a directory that podman
//! reads. Never copies a file; never lists an image before all of it is in place. On disk: nothing that outlives a restart,
//! since mounts do not either; what is published is written down in the store ([`published`]).

mod directory;
mod own;
mod plan;
pub mod published;
mod record;
mod subids;
mod tarsplit;

pub use directory::{Damaged, Directory, For, Image, Layer};
pub use own::Own;
pub use plan::{consider, Ground, GroundOfUser};
pub use record::{chain_ids, podman_name, ImageRecord, LayerRecord};
pub use subids::extents;

use std::path::PathBuf;

/// Why nothing can be published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A layer cannot be read back.
    #[error(transparent)]
    Import(#[from] crate::import::Error),
    /// A layer has no image.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// Something of podman's, or of the published store, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Mounts would be gone after a restart, and what lists them would not.
    #[error(
        "{} does not lie in memory: after a restart podman would list images whose layers are not there; use a directory below /run",
        directory.display()
    )]
    Lasting {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory shows another store.
    #[error(
        "{} shows the store in {}, not this one: `cfs-host image unshare` its images first, or use another directory (--to)",
        directory.display(), store.display()
    )]
    OtherStore {
        /// The directory.
        directory: PathBuf,
        /// Whose images are there.
        store: PathBuf,
    },
    /// An object that a layer needs is not there.
    #[error("an object of the layer {0} is missing: pull the image again")]
    Incomplete(String),
    /// A list of a layer's files cannot be made.
    #[error("cannot list the layer {layer}: {source}")]
    List {
        /// Its diff ID.
        layer: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;
