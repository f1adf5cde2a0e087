//! A whole update, recorded: the disk before, every write with every flush, and the firmware's variables as they were over time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{anyhow, ensure, Context, Result};
use tempfile::TempDir;

use super::{Ground, Trip};
use crate::disk::Disk;
use crate::random::Random;
use crate::writelog::{self, Log};

/// How often the firmware's variables are looked at.
const POLL: Duration = Duration::from_millis(10);

/// Where the power can be cut, and what has to come up then.
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// The versions that are good, or on trial, at its begin or its end.
    pub versions: &'static [&'static str],
    go: fn(&mut Trip) -> Result<()>,
}

/// The steps of the recorded update.
pub const STEPS: [Step; 5] = [
    Step { name: "switch", versions: &["v1"], go: |trip| trip.stage("v2") },
    Step { name: "finalize", versions: &["v1", "v2"], go: |trip| trip.check("cfs-host internals finalize").map(drop) },
    Step {
        name: "first-boot",
        versions: &["v1", "v2"],
        go: |trip| {
            trip.restart()?;
            trip.arrive("v2")
        },
    },
    Step { name: "promote", versions: &["v1", "v2"], go: |trip| trip.come_up() },
    Step { name: "rollback", versions: &["v1", "v2"], go: |trip| trip.ask("rollback").map(drop) },
];

/// What was recorded. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Recording(Arc<Tape>);

#[derive(Debug)]
struct Tape {
    dir: TempDir,
    before: Disk,
    /// The name in the registry that the machine follows.
    name: String,
    /// How many requests had been made at the begin of each step, and at the end of the last.
    marks: Vec<usize>,
    variables: Vec<Variables>,
}

/// The firmware's variables from a request on.
#[derive(Clone, Debug)]
struct Variables {
    /// They began to change after this many requests.
    from: usize,
    /// They had changed before this many.
    until: usize,
    file: PathBuf,
}

impl Recording {
    /// Goes the road once.
    pub fn make(ground: &Ground) -> Result<Self> {
        let mut trip = Trip::new(ground)?;
        let dir = tempfile::Builder::new().prefix("cfs-tape-").tempdir().context("no place for a recording")?;
        let before = trip.disk.copy_to(&dir.path().join("before.img"))?;
        let log = dir.path().join("log");
        std::fs::write(&log, b"").context("cannot make the write log")?;
        trip.machine.write_log = Some(log.clone());
        let watch = Watch::start(&trip.machine.vars, &log, dir.path());
        let mut marks = Vec::new();
        trip.power_on("v1")?;
        for step in &STEPS {
            marks.push(writelog::position(&log)?);
            (step.go)(&mut trip).with_context(|| format!("recording {}", step.name))?;
        }
        marks.push(writelog::position(&log)?);
        let name = trip.name().to_owned();
        trip.power_off()?;
        let variables = watch.stop()?;
        Ok(Self(Arc::new(Tape { dir, before, name, marks, variables })))
    }

    /// The name in the registry that the machine follows.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// A moment in the middle of a step.
    pub fn moment(&self, step: usize, random: &mut Random) -> Result<usize> {
        let (from, to) = (self.0.marks[step], self.0.marks[step + 1]);
        ensure!(to > from, "{} wrote nothing to the disk", STEPS[step].name);
        Ok(from + 1 + random.below(to - from))
    }

    /// The log, and the disk before it.
    pub fn disk(&self) -> Result<(Log, &Disk)> {
        Ok((Log::open(&self.0.dir.path().join("log"))?, &self.0.before))
    }

    /// The firmware's variables at this moment; where they were about to change, chance decides.
    pub fn variables(&self, at: usize, random: &mut Random) -> Result<&Path> {
        let begun = self.0.variables.iter().filter(|one| one.from <= at);
        let settled = begun.clone().rfind(|one| one.until <= at);
        let possible: Vec<_> = settled.into_iter().chain(begun.filter(|one| one.until > at)).collect();
        let chosen = possible.get(random.below(possible.len())).context("there are no variables of that moment")?;
        Ok(&chosen.file)
    }
}

/// Looks at the variables' file while the machine runs, and keeps each state that lasted.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Variables>>>,
}

impl Watch {
    fn start(vars: &Path, log: &Path, dir: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (vars, log, dir, told) = (vars.to_owned(), log.to_owned(), dir.to_owned(), stop.clone());
        let thread = std::thread::spawn(move || watch(&vars, &log, &dir, &told));
        Self { stop, thread }
    }

    fn stop(self) -> Result<Vec<Variables>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the watch over the variables broke down"))?
    }
}

fn watch(vars: &Path, log: &Path, dir: &Path, stop: &AtomicBool) -> Result<Vec<Variables>> {
    let mut kept: Vec<Variables> = Vec::new();
    let (mut last, mut stable): (Option<SystemTime>, usize) = (None, 0);
    let mut changing: Option<usize> = Some(0);
    while !stop.load(Ordering::Relaxed) {
        let now = std::fs::metadata(vars)?.modified()?;
        let at = writelog::position(log)?;
        if last != Some(now) {
            // The last look that saw the old state was before this many requests.
            changing.get_or_insert(stable);
            last = Some(now);
        } else {
            if let Some(from) = changing.take() {
                let file = dir.join(format!("vars-{}.fd", kept.len()));
                std::fs::copy(vars, &file).context("cannot copy the variables")?;
                kept.push(Variables { from, until: at, file });
            }
            stable = at;
        }
        std::thread::sleep(POLL);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let dir = tempfile::tempdir().unwrap();
        let before = Disk::open(&image(dir.path())).unwrap();
        let state = |from, until, name: &str| Variables { from, until, file: name.into() };
        let variables = vec![state(0, 0, "old"), state(10, 20, "new")];
        Recording(Arc::new(Tape { dir, before, name: "n".into(), marks: vec![0, 5, 5, 9, 12, 30], variables }))
    }

    fn image(dir: &Path) -> PathBuf {
        let disk = dir.join("disk.img");
        std::fs::File::create(&disk).unwrap().set_len(8 << 20).unwrap();
        crate::command::run(&mut crate::cmd!("sgdisk", "-n", "1:2048:+1M", "-t", "1:ef00", &disk)).unwrap();
        disk
    }

    #[test]
    fn variables_are_those_of_the_moment_and_either_while_they_change() {
        let tape = recording();
        let at = |at| {
            let all =
                (0..50).map(|seed| tape.variables(at, &mut Random::new(seed)).unwrap().to_str().unwrap().to_owned());
            all.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(at(9), ["old"]);
        assert_eq!(at(10), ["new", "old"]);
        assert_eq!(at(19), ["new", "old"]);
        assert_eq!(at(20), ["new"]);
    }

    #[test]
    fn a_moment_lies_within_its_step_and_an_idle_step_has_none() {
        let tape = recording();
        let moments: Vec<usize> = (0..50).map(|seed| tape.moment(2, &mut Random::new(seed)).unwrap()).collect();
        assert!(moments.iter().all(|at| (6..=9).contains(at)) && moments.contains(&6) && moments.contains(&9));
        assert!(tape.moment(1, &mut Random::new(1)).is_err());
    }
}
