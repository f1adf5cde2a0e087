//! What is stored, once, and for whom. The JSON form is stable: fields are added, never changed.

use serde::Serialize;

/// What one kind of user has. Bytes are space on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// How many.
    pub count: u64,
    /// The space that they would take, each apart from all others.
    pub bytes: u64,
}

impl Part {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// The use of a store, and of podman's storage beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageUse {
    /// Deployments of this root file system.
    pub deployments: Part,
    /// Images that tags keep.
    pub images: Part,
    /// Container images that deployments bind.
    pub bound: Part,
    /// Layers of podman's storage, of images and containers.
    pub podman: Part,
    /// Where that is.
    pub podman_storage: Option<String>,
    /// Objects of the store; each is there once.
    pub objects: Part,
    /// Objects that are files of podman's too.
    pub linked: Part,
    /// Bytes of other objects that files elsewhere share, clones of podman's among them.
    pub cloned_bytes: u64,
    /// What deployments, images and podman would take apart.
    pub bytes_apart: u64,
    /// What all of it takes.
    pub bytes_stored: u64,
}
