//! Words of the domain, data only: nothing here reads, writes or decides.

pub mod arch;
pub mod disk;
pub mod reference;
pub mod status;

pub use cfs_init::claims::{Claims, Role, UkiId};
pub use cfs_init::digest::Digest;
pub use cfs_init::names::{DeploymentId, EntryName};
