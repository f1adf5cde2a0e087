//! rollback: an earlier good deployment becomes the default.
//!
//! Observe, refuse, then write: what is staged goes if it may, a trial that runs is given up, the target's entry is
//! written anew under the highest order. The default is good at every instant: before the new entry the old one, then the new one.

mod candidate;

use super::host::Host;
use super::stage::{disarm, unstage};
use super::Refused;
use crate::boot::order;
use crate::boot::running_esp::RunningEsp;
use crate::deploy::origin::now;
use crate::deploy::records::{self, TRIAL};
use crate::model::update::{DeniedImage, FailureKind, RolledBack, Trial};
use crate::model::{DeploymentId, EntryName};
use crate::sys::Sys;
use candidate::Candidate;

/// Promotes `to`, or the newest good deployment other than the default. Refuses while something is staged, unless it may be discarded.
/// The caller holds the lock.
pub fn rollback(host: &Host, sys: &Sys, to: Option<&DeploymentId>, discard_staged: bool) -> anyhow::Result<RolledBack> {
    let esp = host.esp(sys)?;
    let entries: Vec<EntryName> = esp.entries()?.into_iter().map(|entry| entry.name).collect();
    let before = order::default(&entries).map(|entry| entry.deployment.to_string());
    let is_good = order::promoted(&entries).any(|entry| entry.deployment == host.deployment);
    let target = match to {
        Some(id) => id.clone(),
        None => usual_target(&entries, is_good)?,
    };
    let candidate = Candidate::examine(host, &esp, &target)?;
    let trial = records::read::<Trial>(&host.sysroot().join(TRIAL))?;
    let own_trial = trial.as_ref().filter(|trial| trial.deployment == host.deployment);
    refuse_staged(host, trial.as_ref(), discard_staged)?;

    let discarded = unstage(host, &esp, sys)?;
    let gave_up = own_trial.filter(|_| !is_good);
    match own_trial {
        Some(trial) if is_good => finish_promotion(host, &esp, sys, trial)?,
        Some(trial) => give_up(host, &esp, sys, trial)?,
        None => {}
    }
    let wanted = host.origin(&target)?.manifest_digest;
    if let Some(before) = order::default(&entries).filter(|_| gave_up.is_none()) {
        judge(host, sys, &before.deployment, &target, &wanted)?;
    }
    candidate.promote(&esp, sys)?;
    records::allow(sys, &host.sysroot(), &wanted)?;
    if gave_up.is_some() {
        sys.remove_file(&host.sysroot().join(TRIAL))?;
    }
    host.publish_entries(sys, &esp)?;
    Ok(RolledBack {
        before,
        now: target.to_string(),
        gave_up: gave_up.map(|trial| trial.deployment.to_string()),
        discarded,
        restart: target != host.deployment,
    })
}

/// Where nobody names one: from a boot that was never promoted back to the default, else to what was the default before.
/// A rollback that was interrupted after its new entry is finished, not undone.
fn usual_target(entries: &[EntryName], booted_is_good: bool) -> Result<DeploymentId, Refused> {
    let stays = !booted_is_good || order::half_promoted(entries);
    let entry = if stays { order::default(entries) } else { order::previous(entries) };
    let none = || Refused("there is no other good deployment to go back to; `cfs-host status` lists them".to_owned());
    entry.map(|entry| entry.deployment.clone()).ok_or_else(none)
}

/// An update that waits is not thrown away by the way.
fn refuse_staged(host: &Host, trial: Option<&Trial>, discard: bool) -> Result<(), Refused> {
    let armed = trial.filter(|trial| trial.deployment != host.deployment).map(|trial| trial.deployment.to_string());
    let staged = match host.staged() {
        Ok(staged) => staged.map(|staged| staged.deployment.to_string()),
        Err(error) => Some(format!("something ({error:#})")),
    };
    match staged.or(armed) {
        Some(what) if !discard => Err(Refused(format!(
            "{what} is staged for the next restart: restart into it, or drop it with `cfs-host rollback --discard-staged`"
        ))),
        _ => Ok(()),
    }
}

/// The trial that runs is not wanted: its image is remembered, and nothing boots it again.
fn give_up(host: &Host, esp: &RunningEsp, sys: &Sys, trial: &Trial) -> anyhow::Result<()> {
    let why = "somebody rolled back from it before it was promoted".to_owned();
    let denied = DeniedImage::of_trial(trial, FailureKind::RolledBack, trial.why.clone().unwrap_or(why), now());
    records::deny(sys, &host.sysroot(), denied)?;
    disarm(host, esp, sys, &trial.entry)
}

/// Going back is a verdict on the image that was the default: a timer does not take it again. Going back to an image with
/// such a verdict only takes that verdict back.
fn judge(host: &Host, sys: &Sys, before: &DeploymentId, target: &DeploymentId, wanted: &str) -> anyhow::Result<()> {
    // One that cannot be read has nothing by which it could be known again.
    let Ok(left) = host.origin(before) else { return Ok(()) };
    if left.manifest_digest == wanted || records::denial(&host.sysroot(), wanted)?.is_some() {
        return Ok(());
    }
    let denied = DeniedImage {
        manifest_digest: left.manifest_digest,
        image: left.image,
        reference: left.reference,
        deployment: before.clone(),
        kind: FailureKind::RolledBack,
        why: format!("somebody rolled back from it to {target}"),
        at: now(),
        unknown: Default::default(),
    };
    Ok(records::deny(sys, &host.sysroot(), denied)?)
}

/// The deployment that runs was promoted, and the rest of that was not done: it was good, so nobody may deny it later.
fn finish_promotion(host: &Host, esp: &RunningEsp, sys: &Sys, trial: &Trial) -> anyhow::Result<()> {
    disarm(host, esp, sys, &trial.entry)?;
    Ok(sys.remove_file(&host.sysroot().join(TRIAL))?)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
