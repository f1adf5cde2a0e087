//! Attacks and faults, one each: a scenario is a name, a promise, what the attacker does, and who must refuse.
//!
//! Each has its control run: the same machine without the attack boots, else a machine that is merely broken would
//! "refuse" too. To add one: write a function in a file of this folder and put it into that file's table.

use anyhow::{bail, ensure, Context, Result};
use tempfile::TempDir;

use crate::bench::{Bench, Host, OURS};
use crate::case::{Case, Once, Shown};
use crate::disk::Disk;
use crate::firmware;
use crate::inside::enforcing;
use crate::machine::Machine;
use crate::run::Running;
use crate::verdict::Verdict;

mod disks;
mod image;
mod platform;

/// One attack.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What holds in spite of it.
    pub promise: &'static str,
    /// Which disk is attacked.
    pub start: Start,
    /// What the attacker does.
    pub attack: fn(&mut Bed) -> Result<()>,
    /// How it has to end.
    pub expect: Expect,
}

/// The state of the disk before the attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the installer left it: fs-verity is not on yet.
    Fresh,
    /// After a first boot: fs-verity is on for the image and all objects.
    Booted,
}

/// How a scenario has to end.
#[derive(Clone, Copy)]
pub enum Expect {
    /// `/init` refuses by one of these rules, its line says so, and the variable `CfsHostRefusal` has it afterwards.
    Refused(&'static [u8], &'static str),
    /// The firmware, the loader or the stub refuses.
    FirmwareRefuses,
    /// It comes no further than `/init`'s first look around: loader, stub or `/init` stop, whichever is reached first.
    NeverRuns,
    /// It boots, verified, and this holds inside.
    Boots(fn(&Bed, &mut Running) -> Result<()>),
    /// `/init` refuses, restarts into another deployment, and this holds there.
    FallsBack(fn(&Bed, &mut Running) -> Result<()>),
}

/// The machine under attack.
pub struct Bed<'a> {
    /// Makes further hosts.
    pub bench: &'a Bench,
    /// The host that is attacked.
    pub host: Host,
    /// A copy of its disk.
    pub disk: Disk,
    /// The machine that will start.
    pub machine: Machine,
    /// For further files.
    pub dir: TempDir,
}

/// All scenarios.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [image::ALL, disks::ALL, platform::ALL].into_iter().flatten()
}

/// Control runs of this process: one for each state of the disk.
#[derive(Default)]
pub struct Controls {
    fresh: Once<()>,
    booted: Once<()>,
}

impl Controls {
    /// Which were made, and whether the machine booted.
    pub fn results(&self) -> Vec<(Start, Result<(), String>)> {
        let made = [Start::Fresh, Start::Booted].map(|start| Some((start, self.of(start).made()?)));
        made.into_iter().flatten().collect()
    }

    /// The same machine without the attack has to boot.
    fn check(&self, bench: &Bench, start: Start) -> Result<()> {
        self.of(start).get(|| control(bench, start)).context("the control run, without any attack, failed")
    }

    fn of(&self, start: Start) -> &Once<()> {
        match start {
            Start::Fresh => &self.fresh,
            Start::Booted => &self.booted,
        }
    }
}

fn control(bench: &Bench, start: Start) -> Result<()> {
    let bed = Bed::new(bench, start)?;
    let (mut running, verdict, _) = bed.machine.boot()?;
    ensure!(matches!(verdict, Verdict::Booted { .. }), "{verdict:#?}");
    enforcing(&mut running)
}

impl<'a> Bed<'a> {
    fn new(bench: &'a Bench, start: Start) -> Result<Self> {
        let host = bench.host(&OURS)?;
        let dir = tempfile::Builder::new().prefix("cfs-vm-").tempdir().context("cannot make a working directory")?;
        let from = match start {
            Start::Fresh => host.disk.clone(),
            Start::Booted => bench.booted(&host)?,
        };
        let disk = from.copy_to(&dir.path().join("disk.img"))?;
        let machine = Machine::new(disk.path(), &firmware::enrolled(&host.sealed.keys)?);
        Ok(Self { bench, host, disk, machine, dir })
    }
}

impl Case for Scenario {
    fn name(&self) -> &str {
        self.name
    }

    /// Who stops the attack, and what holds.
    fn title(&self) -> String {
        let outcome = match self.expect {
            Expect::Refused(..) => "refused by /init",
            Expect::FirmwareRefuses => "refused by the firmware",
            Expect::NeverRuns => "refused before it runs",
            Expect::Boots(_) => "no effect",
            Expect::FallsBack(_) => "refused once, then boots",
        };
        format!("{outcome}: {}", self.promise)
    }
}

impl Scenario {
    /// Runs the control, the attack, and looks at what happened.
    pub fn run(&self, bench: &Bench, controls: &Controls) -> Result<Shown> {
        controls.check(bench, self.start)?;
        let mut bed = Bed::new(bench, self.start)?;
        (self.attack)(&mut bed).context("the attack itself could not be made")?;
        bed.machine.restarts = matches!(self.expect, Expect::FallsBack(_));
        let (running, verdict, retried) = bed.machine.boot()?;
        let line = self.judge(&bed, running, verdict)?;
        Ok(Shown { line, retried })
    }

    fn judge(&self, bed: &Bed, mut running: Running, verdict: Verdict) -> Result<String> {
        match (self.expect, verdict) {
            (Expect::Refused(rules, says), Verdict::Refused { rule, line }) => {
                ensure!(rules.contains(&rule), "refused by rule {rule}, not by one of {rules:?}: {line}");
                ensure!(line.contains(says), "the refusal does not say {says:?}: {line}");
                remembered(running, rule)?;
                Ok(line)
            }
            (Expect::FirmwareRefuses, Verdict::FirmwareRefused { line }) => Ok(line),
            (
                Expect::NeverRuns,
                Verdict::FirmwareRefused { line }
                | Verdict::FirmwareCrashed { line }
                | Verdict::Refused { rule: 1, line },
            ) => Ok(line),
            (Expect::Boots(holds), Verdict::Booted { .. }) => {
                holds(bed, &mut running)?;
                Ok("booted, and still enforcing".to_owned())
            }
            (Expect::FallsBack(holds), Verdict::Refused { line, .. }) => {
                let next = running.wait()?;
                ensure!(matches!(next, Verdict::Booted { .. }), "after the refusal: {next:#?}");
                holds(bed, &mut running)?;
                Ok(format!("{line}; then it booted"))
            }
            (_, verdict) => bail!("it ended otherwise: {verdict:#?}"),
        }
    }
}

/// The reason is found after the fact, in the variable `CfsHostRefusal`.
fn remembered(mut running: Running, rule: u8) -> Result<()> {
    ensure!(running.wait_end(std::time::Duration::from_secs(60))?, "the machine did not restart after its refusal");
    let ended = running.cut_power()?;
    let left = firmware::read(&ended.vars, firmware::CFS_HOST, "CfsHostRefusal")?;
    let left = left.context("the refusal left no variable CfsHostRefusal")?;
    let record: serde_json::Value = serde_json::from_slice(&left.data).context("CfsHostRefusal is no JSON")?;
    ensure!(record["rule"] == rule, "CfsHostRefusal names another rule: {record}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_promises_are_said() {
        let mut names: Vec<_> = all().map(|scenario| scenario.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(all().all(|scenario| !scenario.promise.is_empty()));
    }
}
