//! After a boot: what became of the trial, and its promotion. One file for each moment of a boot.
//!
//! `cfs/trial.json` is what a trial and its judge tell each other. A trial writes it about itself; whoever finds one of
//! another deployment is the judge. The file goes last, so a power cut on the way is answered by doing it all again.

mod cause;
mod health;
mod promote;
mod settle;

pub use health::{check_health, give_up, Verdict};
pub use promote::promote;
pub use settle::{settle, Settled};

use std::time::Duration;

use super::host::Host;
use crate::deploy::origin::now;
use crate::deploy::records::{self, TRIAL};
use crate::model::update::{Phase, Trial};
use crate::sys::Sys;

/// How long a step of a boot waits for another writer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The trial, if this boot is it.
pub(super) fn of_this_boot(host: &Host) -> anyhow::Result<Option<Trial>> {
    let trial = records::read::<Trial>(&host.sysroot().join(TRIAL))?;
    Ok(trial.filter(|trial| trial.deployment == host.deployment))
}

/// Notes how far it came.
fn note_phase(host: &Host, sys: &Sys, trial: &Trial, phase: Phase, why: Option<String>) -> anyhow::Result<()> {
    let trial = Trial { phase, why, at: now(), ..trial.clone() };
    Ok(records::write(sys, &host.sysroot().join(TRIAL), &trial)?)
}

/// Nothing is on trial any more.
pub(super) fn forget(host: &Host, sys: &Sys) -> anyhow::Result<()> {
    let path = host.sysroot().join(TRIAL);
    sys.remove_file(&path)?;
    Ok(sys.sync_dir(crate::sys::parent(&path))?)
}

#[cfg(test)]
mod tests;
