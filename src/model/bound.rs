//! Logically bound images: container images that a host's image needs beside itself. The JSON forms are stable: fields are added,
//! never changed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A container image that a deployment's image binds, as its record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundImage {
    /// The reference that the image's quadlet file has.
    pub reference: String,
    /// OCI digest of the manifest that it meant when the deployment was made.
    pub manifest_digest: String,
    /// Where it was read, if not where the reference says.
    #[serde(default)]
    pub read_from: Option<String>,
}

/// For people; not where it was read.
impl fmt::Display for BoundImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reference, self.manifest_digest)
    }
}

/// A bound image that is going to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedBound {
    /// The image.
    #[serde(flatten)]
    pub image: BoundImage,
    /// The files of the host's image that name it.
    pub files: Vec<String>,
    /// Its layers.
    pub layers: usize,
    /// Layers that the store does not have.
    pub new_layers: usize,
    /// Bytes of those, as the manifest says.
    pub bytes_to_fetch: u64,
}

impl PlannedBound {
    /// A line for people.
    pub fn text(&self) -> String {
        let BoundImage { reference, manifest_digest, read_from } = &self.image;
        let from = read_from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        let (new, all, bytes) = (self.new_layers, self.layers, self.bytes_to_fetch);
        format!("Binding {reference}{from} ({manifest_digest}): {new} of {all} layers are new, {bytes} bytes")
    }
}
