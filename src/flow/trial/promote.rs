//! The trial that runs was good: its entry under a higher order ► the old entry goes ► `trial.json` goes.

use super::super::host::Host;
use super::super::Refused;
use super::{forget, note_phase, of_this_boot, PATIENCE};
use crate::boot::running_esp::RunningEsp;
use crate::deploy::records::NOTES;
use crate::model::update::{Phase, Trial};
use crate::model::DeploymentId;
use crate::sys::Sys;

/// The trial that runs becomes the default. `None`: this boot is no trial.
pub fn promote(host: &Host, sys: &Sys) -> anyhow::Result<Option<DeploymentId>> {
    let _lock = host.lock(sys, "internals promote", PATIENCE, &|_| ())?;
    let Some(trial) = of_this_boot(host)? else { return Ok(None) };
    if trial.phase == Phase::Unhealthy {
        let why = trial.why.as_deref().unwrap_or("its health checks failed");
        return Err(Refused(format!("{} is not promoted: {why}", trial.deployment)).into());
    }
    // Whatever happens to the promotion, the image is not to be blamed for it.
    note_phase(host, sys, &trial, Phase::Healthy, None)?;
    let esp = match enter(host, sys, &trial) {
        Ok(esp) => esp,
        Err(error) => {
            let why = format!("it was healthy, but its promotion failed: {error:#}");
            // The first error is the one to tell.
            let _ = note_phase(host, sys, &trial, Phase::Healthy, Some(why));
            return Err(error.context("the deployment that runs is healthy but could not be made the default"));
        }
    };
    forget(host, sys)?;
    // What went wrong on the way here is no longer news.
    sys.remove_file(&host.sysroot().join(NOTES))?;
    host.publish_entries(sys, &esp)?;
    Ok(Some(trial.deployment))
}

fn enter(host: &Host, sys: &Sys, trial: &Trial) -> anyhow::Result<RunningEsp> {
    let esp = host.esp(sys)?;
    let mut own = esp.entries()?.into_iter().filter(|entry| entry.name.deployment == trial.deployment);
    let gone = |what: &str| Refused(format!("{what} is gone from the EFI system partition: upgrade again"));
    let entry = own.next_back().ok_or_else(|| gone(&trial.entry.conf()))?;
    if !esp.ukis()?.contains(&entry.uki) {
        return Err(gone(&entry.uki).into());
    }
    esp.promote(sys, &entry)?;
    Ok(esp)
}
