//! Power cuts in the middle of a step, unflushed writes lost: the machine comes up with a good deployment, and the next run works.

use std::fs::OpenOptions;

use anyhow::{ensure, Context, Result};

use super::recording::{Recording, STEPS};
use super::{Ground, Trip};
use crate::random::Random;
use crate::writelog::Survivors;

/// How many there are.
const COUNT: usize = 15;

/// One power cut.
pub struct Cut {
    name: String,
    number: usize,
}

/// All of them: each step in turn, three times, each time with another fate of what was not flushed.
pub(super) fn all() -> impl Iterator<Item = Cut> {
    (0..COUNT)
        .map(|number| Cut { name: format!("cut-{}-{}", STEPS[number % STEPS.len()].name, fate(number).0), number })
}

/// What becomes of writes that were not flushed.
fn fate(number: usize) -> (&'static str, fn(u64) -> Survivors) {
    match number / STEPS.len() {
        0 => ("some", Survivors::Some),
        1 => ("none", |_| Survivors::None),
        _ => ("all", |_| Survivors::All),
    }
}

impl Cut {
    /// Its name on the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One line for reports.
    pub fn title(&self) -> String {
        let (step, (fate, _)) = (&STEPS[self.number % STEPS.len()], fate(self.number));
        format!(
            "power cut during {}, {fate} of the unflushed writes survive: a good version boots, the next run works",
            step.name
        )
    }

    /// Makes the disk as the cut left it, and starts a machine from it.
    pub(super) fn go(&self, ground: &Ground) -> Result<String> {
        let tape = ground.recording.get(|| Recording::make(ground)).context("the update could not be recorded")?;
        let step = &STEPS[self.number % STEPS.len()];
        // Each cut has a row of its own, whichever runs first.
        let mut random = Random::new(ground.seed().wrapping_mul(1009).wrapping_add(self.number as u64));
        let at = tape.moment(self.number % STEPS.len(), &mut random)?;
        let survivors = fate(self.number).1(random.number());
        let dir = tempfile::Builder::new().prefix("cfs-vm-").tempdir().context("cannot make a working directory")?;
        let (log, before) = tape.disk()?;
        let disk = before.copy_to(&dir.path().join("disk.img"))?;
        let file = OpenOptions::new().read(true).write(true).open(disk.path())?;
        let cut = log.cut(&file, at, survivors)?;
        let vars = tape.variables(at, &mut random)?;
        let mut trip = Trip::with(ground, tape.name().to_owned(), disk, vars, dir)?;
        let said = format!(
            "request {at} of {}, seed {}: {} kB not flushed, {} kB of them lost",
            log.len(),
            ground.seed(),
            (cut.kept + cut.lost) >> 10,
            cut.lost >> 10
        );
        let came_up = trip.go(|trip| next_run(trip, step.versions)).with_context(|| said.clone())?;
        Ok(format!("{said}; {came_up}"))
    }
}

/// A good version comes up, and what the next run does works: settle (by the image's init), health, promote, prune, upgrade.
fn next_run(trip: &mut Trip, versions: &[&str]) -> Result<String> {
    trip.switch_on()?;
    let version = trip.arrive_at_one(versions)?;
    let damage = trip.check("dmesg | grep -E 'EXT4-fs (error|warning)|FAT-fs.*error' || true")?;
    ensure!(damage.is_empty(), "a file system is damaged: {damage}");
    trip.come_up()?;
    trip.ask("prune")?;
    let outcome = trip.upgrade("--force")?;
    let expected = if version == "v2" { "unchanged" } else { "staged" };
    ensure!(outcome == expected, "{version} runs, and the next upgrade was {outcome}");
    let status = trip.ask("status")?;
    let alarm = status["conditions"].as_array().is_some_and(|all| all.iter().any(|one| one["severity"] == "alarm"));
    ensure!(!alarm, "something is wrong: {}", status["conditions"]);
    Ok(format!("{version} came up, and the next upgrade was {outcome}"))
}
