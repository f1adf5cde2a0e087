//! A running host: where its things are, what it booted, which policy decided.
//!
//! `/` is the real one. Below another root directory (tests, a mounted disk) the ESP lies in `esp/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use cfs_init::policy::Policy;

use crate::boot::running_esp::RunningEsp;
use crate::boot::uki;
use crate::deploy::layout;
pub use crate::deploy::layout::REPOSITORY;
use crate::deploy::lock;
use crate::deploy::origin::Origin;
use crate::deploy::records::{self, STAGED};
use crate::model::status::Booted;
use crate::model::update::{EntriesNow, Staged};
use crate::model::DeploymentId;
use crate::store::Store;
use crate::sys::{Locked, Sys};

/// Where `/init` leaves its record.
pub const BOOTED: &str = "run/cfs-host/booted.json";
/// What kured and others look for.
pub const REBOOT_REQUIRED: &str = "run/reboot-required";
/// The entries as the last writer of this boot left them.
pub const ENTRIES_NOW: &str = "run/cfs-host/entries.json";

/// This system cannot be updated.
#[derive(Debug, thiserror::Error)]
pub enum NotAHost {
    /// Not booted by us.
    #[error("this system was not started by cfs-host's initrd ({0}): there is nothing to update; `cfs-host install` makes a host")]
    NotBooted(String),
    /// Only root can.
    #[error("only root can change what a host boots")]
    NotRoot,
    /// The disk does not hold what runs.
    #[error("the booted deployment {0} cannot be found on the disk: {1}")]
    BootedMissing(String, String),
    /// The UKI that runs cannot be found.
    #[error("the UKI that started this system cannot be found on the ESP: {0}; reboot, or install again")]
    NoPolicy(String),
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    root: PathBuf,
    /// What `/init` wrote.
    pub booted: Booted,
    /// The deployment that runs.
    pub deployment: DeploymentId,
}

impl Host {
    /// The host whose root directory this is, for a verb that writes.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(NotAHost::NotRoot.into());
        }
        Ok(Self::read(root)?)
    }

    /// The same, for reading.
    pub fn read(root: &Path) -> Result<Self, NotAHost> {
        let path = root.join(BOOTED);
        let odd = |why: String| NotAHost::NotBooted(format!("{}: {why}", path.display()));
        let bytes = std::fs::read(&path).map_err(|error| odd(error.to_string()))?;
        let booted: Booted = serde_json::from_slice(&bytes).map_err(|error| odd(error.to_string()))?;
        let deployment = booted.deployment.parse().map_err(|error| odd(format!("{error}")))?;
        Ok(Self { root: root.to_owned(), booted, deployment })
    }

    /// The running system's root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root file system, which holds store and deployments.
    pub fn sysroot(&self) -> PathBuf {
        self.root.join("sysroot")
    }

    /// The `/etc` that runs.
    pub fn etc(&self) -> PathBuf {
        layout::deployment(&self.sysroot(), &self.deployment).join(layout::ETC)
    }

    /// The store.
    pub fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.sysroot().join(REPOSITORY))?)
    }

    /// The one writer's lock.
    pub fn lock(&self, sys: &Sys, verb: &str, patience: Duration, say: &dyn Fn(&str)) -> anyhow::Result<Locked> {
        Ok(lock::acquire(sys, &self.sysroot(), verb, patience, say)?)
    }

    /// The origin of a deployment.
    pub fn origin(&self, id: &DeploymentId) -> anyhow::Result<Origin> {
        Ok(Origin::read(&layout::deployment(&self.sysroot(), id).join(layout::ORIGIN))?)
    }

    /// The ESP that the loader came from.
    pub fn esp(&self, sys: &Sys) -> anyhow::Result<RunningEsp> {
        match self.root == Path::new("/") {
            true => Ok(RunningEsp::mount(sys, &self.root)?),
            false => Ok(RunningEsp::at(&self.root.join("esp"))),
        }
    }

    /// What waits for the shutdown.
    pub fn staged(&self) -> anyhow::Result<Option<Staged>> {
        Ok(records::read(&self.root.join(STAGED))?)
    }

    /// The policy that decided this boot: from the UKI on the ESP whose id is the one that `/init` reported.
    pub fn policy(&self, esp: &RunningEsp) -> anyhow::Result<Policy> {
        let missing = |why: String| NotAHost::NoPolicy(why);
        let origin = self.origin(&self.deployment)?;
        let name = cfs_init::names::uki_file_name(origin.uki.as_bytes());
        let bytes = esp.read_uki(&name)?.ok_or_else(|| missing(format!("no {name}")))?;
        let policy = uki::embedded_policy(&bytes).with_context(|| missing(name.clone()))?;
        match self.booted.uki_id == Some(policy.uki_id) {
            true => Ok(policy),
            false => Err(missing(format!("{name} has another uki-id than the one that runs")).into()),
        }
    }

    /// Leaves the state of the ESP for those who may not look at it.
    pub fn publish_entries(&self, sys: &Sys, esp: &RunningEsp) -> anyhow::Result<()> {
        let now = EntriesNow {
            version: 1,
            entries: esp.entries()?.iter().map(|entry| entry.name.to_string()).collect(),
            one_shot: crate::boot::one_shot::get(&self.root),
        };
        Ok(sys.write_file(&self.root.join(ENTRIES_NOW), &serde_json::to_vec(&now)?, 0o644)?)
    }
}
