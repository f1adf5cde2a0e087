//! What a check of a store found. The JSON form is stable: fields are added, never changed.

use serde::Serialize;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The object, name or file.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// One check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Objects that were looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them the kernel measured by fs-verity; the others were read and hashed.
    pub measured: u64,
    /// Names of streams.
    pub streams: u64,
    /// Names of images.
    pub images: u64,
    /// Tags.
    pub tags: u64,
    /// Deployments.
    pub deployments: u64,
    /// Temporary files: of programs at work, or left by one that was killed; the next one that writes removes those.
    pub temporary: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}
