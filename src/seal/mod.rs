//! Build side: an image becomes a sealed one.
//!
//! Takes an image's files, a policy and signers; gives a UKI, one layer, a configuration and a manifest with
//! annotations. Never reads a registry, never decides what is believed. On disk: an OCI layout.

pub mod annotations;
pub mod efi;
pub mod files;
pub mod initrd;
pub mod kernel;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod modules;
pub mod uki;

use crate::boot::init_program::BadInit;
use crate::boot::pe::BadPe;

/// Where systemd's package puts stub and loader.
pub const SYSTEMD_BOOT_DIR: &str = "usr/lib/systemd/boot/efi";
/// Where the signed loader lies in a sealed image.
pub const LOADER_DIR: &str = "usr/lib/cfs-host/boot";
/// The UKI's file name beside the kernel's modules.
pub const UKI_FILE: &str = "cfs-host.efi";

/// Why an image cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image lacks something.
    #[error("the image has no {path}: {hint}")]
    Missing {
        /// Relative to the image's root.
        path: String,
        /// What to do.
        hint: String,
    },
    /// A file of the image is not what it should be.
    #[error("/{path} of the image: {why}")]
    File {
        /// Relative to the image's root.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Not exactly one kernel.
    #[error("{0}")]
    Kernel(String),
    /// The `/init` program cannot take the policy.
    #[error("the /init program: {0}")]
    Init(#[from] BadInit),
    /// Stub or loader cannot be used.
    #[error("{0}: {1}")]
    Efi(String, BadPe),
    /// A loader or UKI cannot be signed.
    #[error("cannot sign {0}: {1}")]
    Sign(&'static str, crate::boot::authenticode::Error),
    /// The completed policy is refused by the program that would obey it.
    #[error(transparent)]
    Policy(#[from] cfs_init::policy::BadPolicy),
    /// A key does not work.
    #[error(transparent)]
    Trust(#[from] crate::trust::Error),
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// Annotations, manifest, configuration or layout are malformed.
    #[error("{0}: {1}")]
    Malformed(String, String),
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;
