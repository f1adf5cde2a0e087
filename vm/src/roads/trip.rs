//! One machine on its way: power comes and goes, its disk and its firmware's variables stay.
//!
//! What the units of cfs-host do on a real host is done here by the image's init (`settle`), by its `systemctl` (`finalize`,
//! then the restart) and by [`Trip::come_up`] (`health`, `promote`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::{Ground, UPDATING};
use crate::agent::Answer;
use crate::disk::Disk;
use crate::firmware;
use crate::inside;
use crate::machine::Machine;
use crate::run::Running;
use crate::verdict::{self, Verdict};

/// The longest that a verb may take in an emulated machine.
const LIMIT: Duration = Duration::from_secs(240);

/// The machine was silent for too long.
#[derive(Debug)]
pub(super) struct Hung(String);

impl std::fmt::Display for Hung {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "the machine hung; the console's end:\n{}", self.0)
    }
}

impl std::error::Error for Hung {}

/// The machine of one road. It follows a name of its own in the registry.
pub struct Trip<'a> {
    /// What all roads share.
    pub ground: &'a Ground<'a>,
    /// Its disk.
    pub disk: Disk,
    /// The machine as it starts next.
    pub machine: Machine,
    name: String,
    running: Option<Running>,
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
        let mut machine = Machine::new(disk.path(), &own);
        (machine.persistent, machine.restarts, machine.network) = (true, true, true);
        Ok(Self { ground, disk, machine, name, running: None, dir })
    }

    /// Goes on by these steps; if they fail, the end of the console is told too.
    pub(super) fn go(&mut self, steps: impl FnOnce(&mut Self) -> Result<String>) -> Result<String> {
        steps(self).map_err(|error| match self.running.as_ref().map(Running::console) {
            Some(Ok(console)) => error.context(format!("the console's end:\n{}\nfailed", verdict::tail(&console))),
            _ => error,
        })
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

    /// Power on, without waiting for anything.
    pub fn switch_on(&mut self) -> Result<()> {
        self.running = Some(self.machine.start()?);
        Ok(())
    }

    /// The power goes. What the guest wrote is kept.
    pub fn power_off(&mut self) -> Result<()> {
        self.running.take().context("the machine is off")?.cut_power().map(drop)
    }

    /// Lets the console come to a line with this text.
    pub fn watch_for(&mut self, text: &str) -> Result<()> {
        let found = self.running()?.wait_for(text, Duration::from_secs(120))?;
        if !found {
            return Err(Hung(format!("{text:?} did not come")).into());
        }
        Ok(())
    }

    /// How the boot that is under way ends.
    pub fn verdict(&mut self) -> Result<Verdict> {
        match self.running()?.wait()? {
            Verdict::Hung { tail } => Err(Hung(tail).into()),
            other => Ok(other),
        }
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

    /// Runs a command inside.
    pub fn run(&mut self, command: &str) -> Result<Answer> {
        self.running()?.agent().run(command, LIMIT)
    }

    /// Runs a command inside that has to succeed.
    pub fn check(&mut self, command: &str) -> Result<String> {
        let answer = self.run(command)?;
        ensure!(answer.code == 0, "{command:?} failed in the machine ({}): {}", answer.code, answer.output.trim());
        Ok(answer.output.trim_end_matches('\n').to_owned())
    }

    /// Runs a verb of `cfs-host` inside that prints JSON.
    pub fn ask(&mut self, verb: &str) -> Result<Value> {
        // Progress and messages go to standard error.
        let text = self.check(&format!("cfs-host {verb} --json 2>/tmp/stderr || {{ cat /tmp/stderr; exit 1; }}"))?;
        serde_json::from_str(&text).with_context(|| format!("{verb:?} gave no JSON: {text}"))
    }

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

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("the machine is off")
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
