//! The verdict: health checks of the system that runs, and the end of a trial that did not pass them.

use std::time::Duration;

use super::super::host::Host;
use super::{note_phase, of_this_boot, PATIENCE};
use crate::deploy::layout;
use crate::deploy::origin::now;
use crate::deploy::records::{self, HEALTH};
use crate::health;
use crate::model::update::{Check, Health, Outcome, Phase};
use crate::sys::Sys;

/// A trial that has to end does not wait longer for another writer.
const LAST_PATIENCE: Duration = Duration::from_secs(20);
/// How long the reason of a failed trial may be.
const MAX_WHY: usize = 600;

/// What the checks said.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// As it was kept.
    pub health: Health,
    /// This boot is a trial that failed: the machine has to restart.
    pub ends_trial: bool,
}

/// Runs the health checks and keeps the verdict; an unhealthy trial is noted as such.
pub fn check_health(host: &Host, sys: &Sys) -> anyhow::Result<Verdict> {
    let checks = health::run(sys, host.root());
    let healthy = health::healthy(&checks);
    let health = Health { version: 1, healthy, at: now(), checks, unknown: Default::default() };
    let lock = host.lock(sys, "internals health", PATIENCE, &|_| ())?;
    let trial = of_this_boot(host)?.filter(|_| !healthy);
    if let Some(trial) = &trial {
        note_phase(host, sys, trial, Phase::Unhealthy, Some(reason(&health.checks)))?;
    }
    let path = layout::deployment(&host.sysroot(), &host.deployment).join(HEALTH);
    let kept = records::write(sys, &path, &health);
    drop(lock);
    health::afterwards(sys, host.root(), healthy);
    // On a trial the verdict counts more than its record.
    if trial.is_none() {
        kept?;
    }
    Ok(Verdict { health, ends_trial: trial.is_some() })
}

/// For people: the first required check that did not pass, and how many more.
fn reason(checks: &[Check]) -> String {
    let failed: Vec<&Check> =
        checks.iter().filter(|check| check.required && check.outcome != Outcome::Passed).collect();
    let Some(first) = failed.first() else { return "a required check failed".to_owned() };
    let more = match failed.len() {
        1 => String::new(),
        several => format!(" (and {} more)", several - 1),
    };
    let output: String = first.output.chars().take(MAX_WHY).collect();
    format!("required check {}: {output}{more}", first.name)
}

/// Ends a trial that was not promoted: notes why, unless it is noted already. `false`: this boot is no such trial, or it
/// is healthy and only its promotion failed. Called when nothing else works, so what it cannot note it lets go.
pub fn give_up(host: &Host, sys: &Sys, why: &str) -> anyhow::Result<bool> {
    let lock = host.lock(sys, "internals give-up", LAST_PATIENCE, &|_| ());
    let Some(trial) = of_this_boot(host)? else { return Ok(false) };
    match trial.phase {
        Phase::Healthy => return Ok(false),
        Phase::Unhealthy => {}
        // Without its reason it counts as one that was not heard of again.
        _ if lock.is_err() => {}
        _ => drop(note_phase(host, sys, &trial, Phase::Unhealthy, Some(why.to_owned()))),
    }
    Ok(true)
}
