//! Deployments on the disk: directory, origin, `/etc` and `/var`; and the proof that an image may become one.
//!
//! Takes an image's tree, store and signature; gives a deployment directory that `/init` boots.
//! Never fetches, never touches the ESP. On disk: `cfs/`, as in `docs/formats.md`, "Root file system".

pub mod host_image;
pub mod layout;
pub mod origin;
pub mod populate;
pub mod verify;

use std::path::PathBuf;

/// Why there is no deployment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// The operator's policy or keys cannot be read.
    #[error(transparent)]
    Trust(#[from] crate::trust::Error),
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
    /// Something that a bootable image holds is missing.
    #[error("the image has no /{path}: {hint}")]
    Missing {
        /// Path in the image.
        path: String,
        /// What to do.
        hint: &'static str,
    },
    /// More than one UKI.
    #[error("the image has a UKI for more than one kernel ({}): keep one kernel below /usr/lib/modules", .0.join(", "))]
    SeveralUkis(Vec<String>),
    /// The image's UKI is none of ours.
    #[error("the image's /{path} is not a UKI of cfs-host: {source}; seal the image again")]
    Uki {
        /// Path in the image.
        path: String,
        /// Why not.
        source: crate::boot::uki::BadUki,
    },
    /// An `origin.json` that this program does not understand.
    #[error("cannot read {}: {why}", path.display())]
    Origin {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The image is not sealed, or its seal does not hold.
    #[error("{reference} may not be deployed: {why}")]
    Refused {
        /// The image.
        reference: String,
        /// Why, and what to do.
        why: String,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;
