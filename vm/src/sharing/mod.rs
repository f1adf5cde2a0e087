//! One store for host and containers, seen on a real host: systemd, podman and crun, booted under Secure Boot, with fs-verity on.
//!
//! A day is one machine on a disk of its own, and what is shown on it, in this order. To add something: write a function in a
//! file of this folder and put it into that file's table.

use std::time::Instant;

use anyhow::{anyhow, Result};

use crate::bench::{Bench, Recipe, OURS};
use crate::case::{Case, Shown};

mod cut;
mod from_host;
mod from_podman;
mod media;
mod tampered;
mod visit;

use visit::Visit;

/// The host of all days.
const HOST: Recipe = Recipe { image: "sharing", ..OURS };

/// podman's name of the image on the second disk.
const APP: &str = "localhost/app:v1";

/// One machine.
pub struct Day {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Whether every write of the first boot is logged.
    pub logged: bool,
    /// What is shown on it.
    pub acts: &'static [Act],
}

/// One thing that is shown.
pub struct Act {
    /// Its name.
    pub name: &'static str,
    /// What holds.
    pub promise: &'static str,
    /// Shows it; gives what was seen.
    go: fn(&mut Visit) -> Result<String>,
}

/// What came of an act.
pub struct Seen {
    /// The act.
    pub act: &'static Act,
    /// How long it took.
    pub seconds: f64,
    /// What was seen, or why it does not hold.
    pub result: Result<Shown>,
}

/// All of them, the longest first.
pub fn all() -> Vec<&'static Day> {
    vec![&from_host::DAY, &cut::DAY, &from_podman::DAY, &tampered::DAY]
}

impl Case for Day {
    fn name(&self) -> &str {
        self.name
    }

    fn title(&self) -> String {
        let acts: Vec<&str> = self.acts.iter().map(|act| act.name).collect();
        format!("{}: {}", self.about, acts.join(", "))
    }
}

impl Day {
    /// Goes through it, and tells of each act. One that fails does not stop those after it; a machine that does not start fails all.
    pub fn go(&'static self, bench: &Bench, tell: &mut dyn FnMut(Seen)) {
        let mut since = Instant::now();
        let mut visit =
            Visit::new(bench, self.logged).map_err(|error| format!("the machine could not be made: {error:#}"));
        for act in self.acts {
            let result = match &mut visit {
                Ok(visit) => visit.show(act.go),
                Err(why) => Err(anyhow!(why.clone())),
            };
            let seconds = since.elapsed().as_secs_f64();
            tell(Seen { act, seconds, result });
            since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_promises_are_said() {
        let days = all();
        let acts: Vec<&Act> = days.iter().flat_map(|day| day.acts).collect();
        let names: std::collections::HashSet<_> = acts.iter().map(|act| act.name).collect();
        assert_eq!(names.len(), acts.len());
        assert!(acts.iter().all(|act| !act.promise.is_empty()));
    }
}
