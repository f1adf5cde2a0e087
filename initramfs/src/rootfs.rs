//! What may lie in the initramfs (security rule 1).

use crate::policy::Policy;

/// What the walk over the initramfs found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Anything else.
    Other,
}

/// The first thing that should not be there, or that is missing.
pub fn unexpected(_found: &[(String, Found)], _policy: &Policy) -> Option<String> {
    None
}
