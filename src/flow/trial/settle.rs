//! Early in each boot: notes that the trial runs, or why it does not, and removes what ended runs left.

use super::super::host::Host;
use super::super::stage::disarm;
use super::{cause, forget, note_phase, PATIENCE};
use crate::boot::one_shot;
use crate::boot::running_esp::RunningEsp;
use crate::deploy::origin::now;
use crate::deploy::records::{self, TRIAL};
use crate::deploy::{self, layout};
use crate::model::update::{DeniedImage, Note, Phase, Trial};
use crate::model::EntryName;
use crate::sys::Sys;
use cause::Cause;

/// What an early boot found.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// No trial was on its way, or it was armed by this boot and has yet to start.
    Nothing,
    /// This boot is the trial.
    OnTrial,
    /// It was promoted, and only the record of its trial was left.
    Good,
    /// The trial did not end in a promotion: denied.
    Failed(Box<DeniedImage>),
    /// It ended for a reason that is none of the image's: nobody is denied. Why.
    Interrupted(String),
}

/// Settles what the last boot left open. However often it is interrupted, the end is the same.
pub fn settle(host: &Host, sys: &Sys) -> anyhow::Result<Settled> {
    let _lock = host.lock(sys, "internals settle", PATIENCE, &|_| ())?;
    let trial = match records::read::<Trial>(&host.sysroot().join(TRIAL)) {
        Err(error @ deploy::Error::Record { .. }) => Err(error.to_string()),
        other => Ok(other?),
    };
    if let Ok(Some(trial)) = trial.as_ref() {
        if trial.deployment == host.deployment {
            // Before anything that can fail: from here on it is known to have started.
            note_phase(host, sys, trial, Phase::Running, None)?;
        }
    }
    let esp = host.esp(sys)?;
    let settled = conclude(host, &esp, sys, trial);
    // Whatever came of that: those who may not look at the ESP are told what is on it.
    let published = host.publish_entries(sys, &esp);
    let settled = settled?;
    published?;
    esp.remove_leftovers(sys)?;
    layout::remove_leftovers(sys, &host.sysroot())?;
    Ok(settled)
}

/// `trial`: its record, or why that cannot be read.
fn conclude(host: &Host, esp: &RunningEsp, sys: &Sys, trial: Result<Option<Trial>, String>) -> anyhow::Result<Settled> {
    let settled = match &trial {
        Ok(None) => Settled::Nothing,
        Ok(Some(trial)) => judge(host, esp, sys, trial)?,
        Err(why) => {
            let why = format!("an update was on its way, but its record is lost: {why}");
            let_go(host, sys, "trial", why)?
        }
    };
    if !is_armed_by_this_boot(host, trial.ok().flatten().as_ref()) {
        sweep(host, esp, sys)?;
    }
    Ok(settled)
}

/// Armed for a shutdown that did not happen: what is staged is forgotten when this boot ends, and it is still there.
fn is_armed_by_this_boot(host: &Host, trial: Option<&Trial>) -> bool {
    let staged = host.staged().ok().flatten();
    staged.zip(trial).is_some_and(|(staged, trial)| staged.deployment == trial.deployment)
}

fn judge(host: &Host, esp: &RunningEsp, sys: &Sys, trial: &Trial) -> anyhow::Result<Settled> {
    let entries = esp.entries()?;
    if entries.iter().any(|entry| entry.name.deployment == trial.deployment && entry.name.order > 0) {
        disarm(host, esp, sys, &trial.entry)?;
        forget(host, sys)?;
        return Ok(Settled::Good);
    }
    if trial.deployment == host.deployment {
        return Ok(Settled::OnTrial);
    }
    if is_armed_by_this_boot(host, Some(trial)) {
        return Ok(Settled::Nothing);
    }
    // A record of it was written by a run that was interrupted before the trial was forgotten.
    let known = records::denial(&host.sysroot(), &trial.manifest_digest)?;
    if let Some(denied) = known.filter(|denied| denied.deployment == trial.deployment) {
        return condemn(host, esp, sys, trial, denied);
    }
    match cause::of(host, trial, entries.iter().any(|entry| entry.name == trial.entry)) {
        Cause::Innocent(why) => let_go(host, sys, &format!("update to {}", trial.deployment), why),
        Cause::Failed(kind, why) => {
            let denied = DeniedImage::of_trial(trial, kind, why, now());
            records::deny(sys, &host.sysroot(), denied.clone())?;
            condemn(host, esp, sys, trial, denied)
        }
    }
}

/// The image is denied; its entry goes, then the trial.
fn condemn(host: &Host, esp: &RunningEsp, sys: &Sys, trial: &Trial, denied: DeniedImage) -> anyhow::Result<Settled> {
    disarm(host, esp, sys, &trial.entry)?;
    forget(host, sys)?;
    Ok(Settled::Failed(Box::new(denied)))
}

/// Nobody is denied, but somebody should know. The entry goes with the sweep that follows.
fn let_go(host: &Host, sys: &Sys, what: &str, why: String) -> anyhow::Result<Settled> {
    records::note(sys, &host.sysroot(), Note { what: what.to_owned(), why: why.clone(), at: now() })?;
    forget(host, sys)?;
    Ok(Settled::Interrupted(why))
}

/// Entries of order 0 that no trial stands for go, and so does a wish for one that the loader did not forget by itself.
/// The entry of what runs stays: it is on trial, or its record was lost.
fn sweep(host: &Host, esp: &RunningEsp, sys: &Sys) -> anyhow::Result<()> {
    let wish = one_shot::get(host.root());
    let wish = wish.and_then(|id| id.trim_end_matches(".conf").parse::<EntryName>().ok());
    if wish.is_some_and(|entry| entry.order == 0) {
        one_shot::clear(sys, host.root())?;
    }
    for entry in esp.entries()? {
        if entry.name.order == 0 && entry.name.deployment != host.deployment {
            esp.remove_entry(sys, &entry.name)?;
        }
    }
    Ok(())
}
