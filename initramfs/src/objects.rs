//! The objects that an image names (security rules 14 and 15).

use crate::digest::Digest;

/// An object that the image needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedObject {
    /// Its fs-verity digest, and its name in the store.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why an image is not one of composefs' V1 images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (image byte {at})")]
pub struct BadImage {
    /// What is wrong.
    pub what: &'static str,
    /// Where in the image.
    pub at: usize,
}

/// All objects that the image names, sorted, each once.
pub fn objects(_image: &[u8]) -> Result<Vec<NamedObject>, BadImage> {
    Err(BadImage { what: "not yet", at: 0 })
}
