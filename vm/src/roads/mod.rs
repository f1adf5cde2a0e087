//! Roads: one machine through several boots, its disk and its firmware's variables kept: updates, failures, power cuts.
//!
//! A road is a name, a promise and what happens on the way. The control of each that fails on purpose is the same update
//! with an image without a fault: it is taken, tried and promoted. To add one: write a function in a file of this folder
//! and put it into that file's table.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use crate::bench::{Bench, Recipe, UPDATING};
use crate::case::{Case, Once, Shown};
use crate::powered::Hung;
use crate::random::Random;
use crate::registry::Registry;

mod cuts;
mod failures;
mod follow;
mod recording;
mod trip;

pub use trip::Trip;

/// One road.
pub struct Road {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub promise: &'static str,
    /// Whether the road is worth nothing unless the same update without a fault works.
    pub control: bool,
    /// What happens on the way; gives the decisive line.
    pub go: fn(&mut Trip) -> Result<String>,
}

/// A road, or one of the power cuts.
pub enum Way {
    /// Step by step.
    Road(&'static Road),
    /// The power is cut in the middle of a step.
    Cut(cuts::Cut),
}

/// All of them, the longest first: the last ones to end decide how long the whole takes.
pub fn all() -> Vec<Way> {
    let roads = [follow::ALL, failures::ALL].into_iter().flatten().map(Way::Road);
    roads.chain(cuts::all().map(Way::Cut)).collect()
}

/// What all roads of one run share.
pub struct Ground<'a> {
    bench: &'a Bench,
    registry: Registry,
    seed: u64,
    trips: AtomicUsize,
    control: Once<()>,
    recording: Once<recording::Recording>,
}

impl<'a> Ground<'a> {
    /// A registry, and a seed if none is given.
    pub fn new(bench: &'a Bench, seed: Option<u64>) -> Result<Self> {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros() as u64);
        let seed = seed.unwrap_or_else(|| Random::new(now).number() % 1_000_000);
        let (control, recording) = (Once::default(), Once::default());
        Ok(Self { bench, registry: Registry::start()?, seed, trips: AtomicUsize::new(0), control, recording })
    }

    /// What chance follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The control run, if there was one.
    pub fn control_result(&self) -> Option<Result<(), String>> {
        self.control.made()
    }

    /// A name in the registry that no other trip uses.
    fn tag(&self) -> String {
        format!("host:trip-{}", self.trips.fetch_add(1, Ordering::Relaxed))
    }

    /// Puts a version of the updating image under a name.
    fn publish(&self, version: &'static str, name: &str) -> Result<()> {
        self.registry.push(&self.bench.sealed(&recipe(version))?.reference(), name)
    }
}

/// v5 gets a kernel argument of its own, so that it has a UKI of its own: damaging it must not hurt another version.
fn recipe(version: &'static str) -> Recipe {
    Recipe { version, karg: (version == "v5").then_some("quiet"), ..UPDATING }
}

impl Case for Way {
    fn name(&self) -> &str {
        match self {
            Self::Road(road) => road.name,
            Self::Cut(cut) => cut.name(),
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Road(road) => road.promise.to_owned(),
            Self::Cut(cut) => cut.title(),
        }
    }
}

impl Way {
    /// Goes it; once more from the start if the machine hung in silence, which emulated ones do now and then.
    pub fn run(&self, ground: &Ground) -> Result<Shown> {
        match self.go(ground) {
            Err(error) if error.downcast_ref::<Hung>().is_some() => {
                eprintln!("cfs-vm: {}: {error:#}: once more from the start", self.name());
                Ok(Shown { line: self.go(ground)?, retried: true })
            }
            other => Ok(Shown { line: other?, retried: false }),
        }
    }

    fn go(&self, ground: &Ground) -> Result<String> {
        match self {
            Self::Road(road) => {
                if road.control {
                    ground.control.get(|| follow::control(ground)).context("the control run failed")?;
                }
                Trip::new(ground)?.go(road.go)
            }
            Self::Cut(cut) => cut.go(ground),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_promises_are_said() {
        let all = all();
        let names: std::collections::HashSet<_> = all.iter().map(Case::name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|way| !way.title().is_empty()));
    }

    #[test]
    fn there_are_at_least_ten_power_cuts() {
        assert!(all().iter().filter(|way| matches!(way, Way::Cut(_))).count() >= 10);
    }
}
