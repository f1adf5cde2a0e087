//! Images in a store, apart from any deployment: pull, list, look into, compare, mount, remove.

mod diff;
mod find;
mod list;
mod mount;
mod pull;
mod remove;

pub use diff::{against_annotated, diff};
pub use find::{digests, require, whole, Finder, Found};
pub use list::list;
pub use mount::{mount, Checking};
pub use pull::{pull, NoRoom};
pub use remove::remove;

/// There is no such image in the store.
#[derive(Debug, thiserror::Error)]
#[error("the store in {} has no image {name:?}: `cfs-host image list` shows what it has, `cfs-host image pull` brings one", store.display())]
pub struct NotThere {
    /// As it was asked for.
    pub name: String,
    /// Where.
    pub store: std::path::PathBuf,
}

#[cfg(test)]
mod tests;
