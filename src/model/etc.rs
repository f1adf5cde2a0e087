//! What a machine made of its image's `/etc`.

use serde::Serialize;

/// How a path differs from the image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The machine added it.
    Added,
    /// The machine removed it.
    Removed,
    /// Content, type or link target.
    Content,
    /// Owner, mode or extended attributes.
    Metadata,
}

/// One path that the machine changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// From `/etc` on.
    pub path: String,
    /// How.
    pub change: Change,
}

/// An image's version that a merge kept beside the machine's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Where it lies: `/etc/NAME.cfs-new`.
    pub path: String,
    /// Which path it is a version of.
    pub of: String,
}

/// The document `EtcDiff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EtcDiff {
    /// The deployment that runs.
    pub deployment: String,
    /// The image that it came from.
    pub reference: String,
    /// What the machine changed, sorted by path.
    pub changes: Vec<Changed>,
    /// What waits for a person: image's versions beside the machine's.
    pub waiting: Vec<Waiting>,
    /// What this user may not read; nothing is said about it and what is below.
    pub unreadable: Vec<String>,
    /// Conflicts in the `/etc` that is staged for the next boot.
    pub staged_conflicts: Vec<String>,
}
