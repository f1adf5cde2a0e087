//! Words of the domain, data only: nothing here reads, writes or decides.

pub mod arch;
pub mod bound;
pub mod disk;
pub mod etc;
pub mod fsck;
pub mod image;
pub mod limits;
pub mod progress;
pub mod prune;
pub mod reference;
pub mod share;
pub mod sharing;
pub mod status;
pub mod storage;
mod text;
pub mod update;

pub use cfs_init::claims::{Claims, Role, UkiId};
pub use cfs_init::digest::Digest;
pub use cfs_init::names::{DeploymentId, EntryName};
