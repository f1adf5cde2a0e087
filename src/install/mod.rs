//! A disk from nothing: partitions, root file system, ESP.
//!
//! Takes a staged root directory and the ESP's files; gives a bootable disk, as a file or on a block device.
//! Needs neither loop devices nor vfat nor fs-verity. Never writes before the whole plan is known to fit.
//! Order: what was there is made unbootable, root file system, partition table, ESP last.

pub mod disk;
pub mod enroll;
pub mod geometry;
mod gpt_table;
mod mtools;
pub mod target;

use std::path::PathBuf;

/// Why a disk is not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// Owners and attributes of files, and devices, are root's to write.
    #[error("installing needs root: owners and modes of files are written; run it with sudo")]
    NotRoot,
    /// A key to enroll is missing.
    #[error("cannot read the key update {name}.auth in {} or its secureboot/: {source}", directory.display())]
    Key {
        /// `PK`, `KEK` or `db`.
        name: &'static str,
        /// The key directory.
        directory: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The image is for a machine that we do not know.
    #[error("the image is for the architecture {0:?}; amd64 and arm64 can be installed")]
    Architecture(String),
    /// The target is a file that exists.
    #[error("{} exists: name another file, or add --wipe to replace it", .0.display())]
    Exists(PathBuf),
    /// The target's directory is missing.
    #[error("{} cannot be created: {} is not a directory", path.display(), parent.display())]
    NoDirectory {
        /// The target.
        path: PathBuf,
        /// Its directory.
        parent: PathBuf,
    },
    /// Neither a file nor a disk.
    #[error("{} is not a target: {why}", path.display())]
    NotATarget {
        /// The target.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// Somebody uses the device.
    #[error("{} is in use: {why}", path.display())]
    InUse {
        /// The device.
        path: PathBuf,
        /// By what, and what to do.
        why: String,
    },
    /// The device holds data.
    #[error("{} is not empty ({what}): add --wipe to destroy all that is on it", path.display())]
    NotEmpty {
        /// The device.
        path: PathBuf,
        /// What was found.
        what: &'static str,
    },
    /// The target cannot be looked at.
    #[error("cannot inspect {}: {source}", path.display())]
    Inspect {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The disk is too small.
    #[error("{what} is too small: {has} bytes, but this image needs at least {needed} ({} MiB)", needed.div_ceil(1 << 20))]
    TooSmall {
        /// The disk, or `--esp-size`.
        what: String,
        /// Its size.
        has: u64,
        /// The least size.
        needed: u64,
    },
    /// A size that is no size.
    #[error("{0:?} is not a size: write a number with K, M, G or T, such as 4G")]
    BadSize(String),
    /// A device has the size that it has.
    #[error("--size is for new files: {} is a device and is used whole", .0.display())]
    SizeOfDevice(PathBuf),
    /// The policy asks for a root file system that is not made here.
    #[error("the policy of the image's UKI asks for a root file system of type {0:?}, but install makes ext4: seal the image with root_fs ext4")]
    RootFs(String),
    /// The partition table cannot be made.
    #[error("cannot make the partition table of {}: {why}", path.display())]
    Table {
        /// The disk.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file on the ESP reads back differently.
    #[error("{path} on the EFI system partition of {} reads back differently from what was written: the disk is damaged or another program writes to it", disk.display())]
    ReadBack {
        /// The disk.
        disk: PathBuf,
        /// Path on the ESP.
        path: String,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;
