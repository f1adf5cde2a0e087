//! Which store a verb works on: the host's, or another one.

use std::path::{Path, PathBuf};

use crate::flow::host::REPOSITORY;
use crate::store::Store;
use crate::sys::Sys;

/// Where a host has its root file system.
const HOST: &str = "/sysroot";

#[derive(Debug, clap::Args)]
pub(super) struct Sysroot {
    /// Use the store in DIR/composefs; the host's is in /sysroot/composefs
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
}

impl Sysroot {
    /// The root file system.
    pub fn path(&self) -> &Path {
        self.sysroot.as_deref().unwrap_or(Path::new(HOST))
    }

    /// Whether one was named.
    pub fn is_given(&self) -> bool {
        self.sysroot.is_some()
    }

    /// The store, which must be there.
    pub fn store(&self) -> crate::store::Result<Store> {
        Store::open(&self.path().join(REPOSITORY))
    }

    /// The store, if there is one: for verbs that can do without.
    pub fn store_if_any(&self) -> crate::store::Result<Option<Store>> {
        match self.sysroot.is_some() || self.path().join(REPOSITORY).exists() {
            true => self.store().map(Some),
            false => Ok(None),
        }
    }

    /// The store; one that was named is made if it is missing, the host's is not.
    pub fn store_or_create(&self, sys: &Sys) -> crate::store::Result<Store> {
        let Some(sysroot) = &self.sysroot else { return self.store() };
        sys.create_dir(sysroot, 0o755)?;
        Store::open_or_create(&sysroot.join(REPOSITORY), sys)
    }
}
