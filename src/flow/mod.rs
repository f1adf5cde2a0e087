//! The sequences of steps, one file each; nothing else knows the order.

pub mod admit;
pub mod bound;
pub mod etc;
pub mod finalize;
pub mod fsck;
pub mod host;
pub mod images;
pub mod import;
pub mod install;
pub mod journal;
pub mod pin;
pub mod prune;
pub mod reboot;
pub mod report;
pub mod rollback;
pub mod seal;
pub mod share;
pub mod sign;
pub mod stage;
pub mod status;
pub mod storage;
#[cfg(test)]
pub(crate) mod testing;
pub mod trial;
pub mod uki;
pub mod verify;
pub mod workshop;

/// A verb that cannot do what it was asked for: what, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);
