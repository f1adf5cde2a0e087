//! What must stay in a repository: said by those who use it, and by the repository's own tags.

use std::collections::BTreeSet;

use crate::model::Digest;

/// Everything that something outside of the repository needs. What it needs in turn stays too, and so does
/// what tags name (`images/refs/`, `streams/refs/`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    pub(super) images: BTreeSet<Digest>,
    pub(super) streams: BTreeSet<String>,
}

impl Roots {
    /// This image stays; it must be there.
    pub fn image(&mut self, digest: Digest) -> &mut Self {
        self.images.insert(digest);
        self
    }

    /// The stream of this name stays; it must be there.
    pub fn stream(&mut self, name: impl Into<String>) -> &mut Self {
        self.streams.insert(name.into());
        self
    }
}
