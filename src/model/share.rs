//! What podman sees of a store, as `image shared` tells it. The JSON form is stable: fields are added, never changed.

use std::collections::BTreeMap;

use serde::Serialize;

/// How a layer of a store becomes a directory that podman takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Each layer is mounted, read-only: an EROFS image over the store's objects.
    Mounts,
    /// podman mounts an EROFS image of each layer itself.
    Blobs,
    /// A directory of files that share their blocks with objects.
    Reflinks,
    /// A directory of files that are objects under a second name.
    HardLinks,
}

/// A form that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// Which.
    pub form: Form,
    /// Whether it is the one that is used.
    pub chosen: bool,
    /// Why, or why not.
    pub why: String,
}

/// Why an image is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// Somebody said so.
    Asked,
    /// It runs.
    Booted,
    /// It waits for the shutdown.
    Staged,
    /// What runs, or waits, binds it.
    Bound,
    /// It was, and something of podman's own builds on it.
    Needed,
}

/// An image that is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedImage {
    /// podman's id of it.
    pub id: String,
    /// OCI digest of its manifest.
    pub manifest_digest: String,
    /// The names by which podman finds it.
    pub names: Vec<String>,
    /// Names that it should have, and podman has for an image of its own.
    pub hidden_names: Vec<String>,
    /// Why it is published.
    pub because: Vec<Because>,
    /// Its layers.
    pub layers: usize,
    /// Whether podman lists it from here; else it has the same image of its own.
    pub listed: bool,
    /// Whether all that it needs is in place.
    pub in_place: bool,
}

/// All that is published of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shared {
    /// The additional image store.
    pub directory: String,
    /// The form in use; absent where none is safe.
    pub form: Option<Form>,
    /// Every form, and why it is used or not.
    pub considered: Vec<Considered>,
    /// Whether the kernel checks what podman reads against the objects' names.
    pub verity: bool,
    /// podman's version, if there is one.
    pub podman: Option<String>,
    /// Whether podman's configuration names the directory.
    pub configured: bool,
    /// Whose podman sees images: the user's, or root's and those of the users who have images of their own.
    pub users: String,
    /// In the order of their names.
    pub images: Vec<SharedImage>,
    /// Manifests of images that should be seen and cannot be, and why.
    pub broken: BTreeMap<String, String>,
}
