//! What `install` is going to do to a disk, as data: shown before it is done.

use std::path::PathBuf;

use serde::Serialize;

use super::arch::Arch;

/// What the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A new file, the disk's bytes.
    Raw,
    /// A new file in QEMU's format.
    Qcow2,
    /// A block device.
    Device,
}

/// A range of the disk in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
}

/// The whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskPlan {
    /// The file or device.
    pub target: PathBuf,
    /// What it is.
    pub kind: TargetKind,
    /// The disk's size in bytes.
    pub size: u64,
    /// The EFI system partition.
    pub esp: Span,
    /// The root partition.
    pub root: Span,
    /// Inodes of the root file system.
    pub inodes: u64,
    /// The image's architecture, which gives the root partition its type.
    pub arch: Arch,
}

/// What an installation is, for people and for `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallPlan {
    /// `cfs-host/v1`.
    pub api_version: &'static str,
    /// `Install`.
    pub kind: &'static str,
    /// The image that is installed.
    pub reference: String,
    /// The image that the host will follow.
    pub target_reference: String,
    /// The image digest.
    pub image: super::Digest,
    /// The deployment.
    pub deployment: String,
    /// Its boot entry.
    pub entry: String,
    /// The system's name.
    pub system: String,
    /// Kernel version.
    pub kernel: String,
    /// Who signed the image, by the names in the policy that it was checked with.
    pub signers: Vec<String>,
    /// The container images that it binds, and where they were read if not where their references say.
    pub bound_images: Vec<super::bound::BoundImage>,
    /// Bytes on the root file system.
    pub content_bytes: u64,
    /// Whether the policy enforces.
    pub enforces: bool,
    /// The disk.
    pub disk: DiskPlan,
}
