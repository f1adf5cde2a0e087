//! Images in a store, as verbs tell of them. The JSON forms are stable: fields are added, never changed.

use serde::Serialize;

use super::sharing::Shared;
use super::Digest;

/// What a pull brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pulled {
    /// Where it came from, and its tag in the store.
    pub reference: String,
    /// OCI digest of the manifest.
    pub manifest_digest: String,
    /// Digest of the plain EROFS image.
    pub image_digest: Digest,
    /// Digest of the bootable EROFS image, if the image can have one.
    pub bootable_digest: Option<Digest>,
    /// Why it can not.
    pub not_bootable: Option<String>,
    /// Blob bytes that were read.
    pub bytes_fetched: u64,
    /// Object bytes that were written.
    pub bytes_written: u64,
    /// Objects that were not there before.
    pub objects_new: u64,
    /// Objects that the image's files name.
    pub objects_total: u64,
    /// Objects that share their bytes with podman's storage.
    #[serde(flatten)]
    pub shared: Shared,
}

/// An image of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its tags.
    pub references: Vec<String>,
    /// OCI digest of the manifest.
    pub manifest_digest: String,
    /// Digest of the plain EROFS image, if the store has one.
    pub image_digest: Option<Digest>,
    /// Digest of the bootable EROFS image, if the store has one.
    pub bootable_digest: Option<Digest>,
    /// All objects that it needs.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of those that no other image of the list needs.
    pub unique_bytes: u64,
    /// Deployments of it.
    pub deployments: Vec<String>,
    /// References by which deployments bind it.
    pub bound_as: Vec<String>,
    /// Those deployments.
    pub bound_by: Vec<String>,
    /// podman's names of it, if it was published.
    pub published: Vec<String>,
    /// Why it is not whole, or cannot be read.
    pub problem: Option<String>,
}

/// All images of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Images {
    /// In the order of their references.
    pub images: Vec<Listed>,
}

/// The digest of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Digests {
    /// The image, as it was named.
    pub image: String,
    /// Whether it was in the store; else it was fetched.
    pub stored: bool,
    /// Digest of the plain EROFS image.
    pub image_digest: Digest,
    /// Digest of the bootable EROFS image, if the image can have one.
    pub bootable_digest: Option<Digest>,
    /// Why it can not.
    pub not_bootable: Option<String>,
}

/// What happened to a path from one image to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, and it differs.
    Changed,
}

/// In what a path differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// `type`, `content`, `mode`, `owner`, `time`, `links`, or `xattr` and the attribute's name.
    pub what: String,
    /// In the first image.
    pub from: String,
    /// In the second.
    pub to: String,
}

/// A path in which two images differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Absolute; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// What happened to it.
    pub change: Change,
    /// In what it differs, if both have it.
    pub differs: Vec<Aspect>,
}

/// Two images compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The first, as it was named.
    pub from: String,
    /// The second.
    pub to: String,
    /// In the order of the paths.
    pub differences: Vec<Difference>,
}
