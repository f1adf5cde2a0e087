//! What `prune` removes, or removed. The JSON form is stable: fields are added, never changed.

use serde::Serialize;

/// A deployment, and why it goes or stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// Its id.
    pub deployment: String,
    /// Why.
    pub why: String,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// Nothing was removed: this is what would be.
    pub dry_run: bool,
    /// Deployments that go, in this order.
    pub remove: Vec<Because>,
    /// Deployments that stay.
    pub stay: Vec<Because>,
    /// Boot entries that go.
    pub entries: Vec<String>,
    /// UKIs that go.
    pub ukis: Vec<String>,
    /// Their bytes.
    pub uki_bytes: u64,
    /// Images that go from the store.
    pub images: usize,
    /// Streams (manifests, configurations, layers) that go from it.
    pub streams: usize,
    /// Objects that go from it.
    pub objects: usize,
    /// The space that those take.
    pub object_bytes: u64,
    /// What is left alone although it may be unneeded, because something cannot be read: what, and why.
    pub left_alone: Vec<String>,
}
