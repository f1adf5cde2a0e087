//! One machine on its way: power comes and goes, its disk and its firmware's variables stay.
//!
//! What the units of cfs-host do on a real host is done here by the image's init (`settle`), by its `systemctl` (`finalize`,
//! then the restart) and by [`Trip::come_up`] (`health`, `promote`).

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::{Ground, UPDATING};
use crate::disk::Disk;
use crate::firmware;
use crate::inside;
use crate::powered::Powered;
use crate::verdict::Verdict;

/// The machine of one road. It follows a name of its own in the registry.
pub struct Trip<'a> {
    /// What all roads share.
    pub ground: &'a Ground<'a>,
    /// Its disk.
    pub disk: Disk,
    power: Powered,
    name: String,
    /// For further files; gone when the trip ends.
    pub dir: TempDir,
}

impl<'a> Trip<'a> {
    /// A machine with v1 that booted before and follows a name in the registry under which v1 is. Its power is off.
    pub fn new(ground: &'a Ground<'a>) -> Result<Self> {
        let name = ground.tag();
        ground.publish("v1", &name)?;
        let host = ground.bench.host(&UPDATING)?;
        let dir = tempfile::Builder::new().prefix("cfs-vm-").tempdir().context("cannot make a working directory")?;
        let disk = ground.bench.booted(&host)?.copy_to(&dir.path().join("disk.img"))?;
        follow(&disk, &host.deployment()?, &ground.registry.reference(&name))?;
        let vars = firmware::enrolled(&host.sealed.keys)?;
        Self::with(ground, name, disk, &vars, dir)
    }

    /// The machine of this disk and of a copy of these variables.
    pub(super) fn with(ground: &'a Ground<'a>, name: String, disk: Disk, vars: &Path, dir: TempDir) -> Result<Self> {
        let own = dir.path().join("vars.fd");
        std::fs::copy(vars, &own).with_context(|| format!("cannot copy {}", vars.display()))?;
        let mut power = Powered::new(&disk, &own);
        power.machine.network = true;
        Ok(Self { ground, disk, power, name, dir })
    }

    /// Goes on by these steps; if they fail, the end of the console is told too.
    pub(super) fn go(&mut self, steps: impl FnOnce(&mut Self) -> Result<String>) -> Result<String> {
        steps(self).map_err(|error| self.explained(error))
    }

    /// The name in the registry that this machine follows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From now on the name that this machine follows means this version.
    pub fn publish(&self, version: &'static str) -> Result<()> {
        self.ground.publish(version, &self.name)
    }

    // --- power ---

    /// Power on; it has to come up with this version.
    pub fn power_on(&mut self, version: &str) -> Result<()> {
        self.switch_on()?;
        self.arrive(version)
    }

    /// The boot that is under way ends with this version running, verified.
    pub fn arrive(&mut self, version: &str) -> Result<()> {
        self.arrive_at_one(&[version]).map(drop)
    }

    /// The boot that is under way ends with one of these versions running, verified; gives which.
    pub fn arrive_at_one(&mut self, versions: &[&str]) -> Result<String> {
        let verdict = self.verdict()?;
        self.runs(verdict, versions)
    }

    /// A boot failed, and this version comes up by itself. On the way firmware and loader say of each thing that they try why
    /// they do not start it.
    pub fn fall_back(&mut self, version: &str) -> Result<()> {
        loop {
            match self.verdict()? {
                Verdict::FirmwareRefused { .. } => {}
                other => return self.runs(other, &[version]).map(drop),
            }
        }
    }

    fn runs(&mut self, verdict: Verdict, versions: &[&str]) -> Result<String> {
        ensure!(matches!(verdict, Verdict::Booted { .. }), "none of {versions:?} came up: {verdict:#?}");
        inside::enforcing(self.running()?)?;
        let found = self.check("cat /usr/share/tiny/version")?;
        ensure!(versions.contains(&found.as_str()), "{found} runs, none of {versions:?}");
        Ok(found)
    }

    /// As the units of a booted host do: health checks, then the promotion.
    pub fn come_up(&mut self) -> Result<()> {
        self.check("cfs-host internals health")?;
        self.check("cfs-host internals promote").map(drop)
    }

    /// A restart as a person asks for it: the step at shutdown, then the machine starts again.
    pub fn restart(&mut self) -> Result<()> {
        self.check("systemctl reboot").map(drop)
    }

    // --- questions ---

    /// `upgrade` with these further arguments; what came of it.
    pub fn upgrade(&mut self, further: &str) -> Result<String> {
        let done = self.ask(&format!("upgrade --insecure-transport {further}"))?;
        done["outcome"].as_str().map(str::to_owned).with_context(|| format!("upgrade names no outcome: {done}"))
    }

    /// Takes this version: published, staged.
    pub fn stage(&mut self, version: &'static str) -> Result<()> {
        self.publish(version)?;
        let outcome = self.upgrade("")?;
        ensure!(outcome == "staged", "{version} was not staged but {outcome}");
        Ok(())
    }
}

/// A trip is asked, and switched on and off, as any machine is.
impl Deref for Trip<'_> {
    type Target = Powered;

    fn deref(&self) -> &Powered {
        &self.power
    }
}

impl DerefMut for Trip<'_> {
    fn deref_mut(&mut self) -> &mut Powered {
        &mut self.power
    }
}

/// The only deployment of this disk follows another name: what `install --target-imgref` writes, for a port that is known now only.
fn follow(disk: &Disk, deployment: &str, reference: &str) -> Result<()> {
    let path = PathBuf::from("/cfs/deploy").join(deployment).join("origin.json");
    let path = path.to_str().context("a deployment's name is ASCII")?;
    let mut origin: Value = serde_json::from_slice(&disk.root_read(path)?).context("origin.json is no JSON")?;
    origin["reference"] = Value::from(reference);
    disk.root_write(path, origin.to_string().as_bytes())
}
