//! At shutdown: trial.json ► /etc brought up to date ► entry ► one-shot ► trial.json. Small, and told after the next boot if it fails.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::host::Host;
use super::stage::disarm;
use super::trial::forget;
use super::Refused;
use crate::boot::entry::Entry;
use crate::boot::running_esp::RunningEsp;
use crate::boot::{one_shot, uki};
use crate::deploy::layout;
use crate::deploy::origin::{now, Origin};
use crate::deploy::records::{self, TRIAL};
use crate::etc;
use crate::model::update::{Note, Phase, Staged, Trial};
use crate::model::{DeploymentId, EntryName};
use crate::sys::Sys;

/// A shutdown does not wait longer for another writer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes what is staged the next boot's trial; nothing if nothing is. What goes wrong is noted on the disk: nobody reads
/// the messages of a shutdown.
pub fn finalize(host: &Host, sys: &Sys) -> anyhow::Result<Option<DeploymentId>> {
    finalize_with(host, sys, &|target| {
        etc::refresh(sys, &host.store()?, &host.etc(), host.root(), target)?;
        Ok(())
    })
}

/// Brings the staged `/etc` at this path up to date.
type Refresh<'a> = dyn Fn(&Path) -> anyhow::Result<()> + 'a;

fn finalize_with(host: &Host, sys: &Sys, refresh: &Refresh<'_>) -> anyhow::Result<Option<DeploymentId>> {
    let staged = match host.staged() {
        Ok(Some(staged)) if !staged.download_only => staged,
        Ok(_) => return Ok(None),
        Err(error) => return Err(noted(host, sys, error)),
    };
    let armed = host.lock(sys, "internals finalize", PATIENCE, &|_| ()).and_then(|lock| {
        refuse_on_trial(host)?;
        let esp = host.esp(sys)?;
        let entry = Entry::new(trial_entry(&staged), &staged.system, staged.uki.clone());
        arm(host, &esp, sys, &staged, &entry, refresh).inspect_err(|_| take_back(host, &esp, sys, &entry.name))?;
        Ok((lock, esp))
    });
    let (_lock, esp) = armed.map_err(|error| noted(host, sys, error))?;
    // Armed is armed: what is shown until the power goes is not worth a note.
    host.publish_entries(sys, &esp)?;
    Ok(Some(staged.deployment))
}

fn noted(host: &Host, sys: &Sys, error: anyhow::Error) -> anyhow::Error {
    let note = Note { what: "finalize".into(), why: format!("{error:#}"), at: now() };
    match records::note(sys, &host.sysroot(), note) {
        Ok(()) => error,
        Err(second) => error.context(format!("and that could not be noted: {second}")),
    }
}

fn trial_entry(staged: &Staged) -> EntryName {
    EntryName { deployment: staged.deployment.clone(), order: 0 }
}

/// One trial at a time: what is known of one that runs and is not promoted has to last until its judge has seen it.
fn refuse_on_trial(host: &Host) -> anyhow::Result<()> {
    match records::read::<Trial>(&host.sysroot().join(TRIAL)) {
        Ok(Some(trial)) if trial.deployment == host.deployment => Err(Refused(format!(
            "{} was on trial itself and not promoted yet, so what was staged on it is dropped: upgrade again",
            trial.deployment
        ))
        .into()),
        // One that cannot be read is overwritten: it can never be used.
        _ => Ok(()),
    }
}

/// "arming" ► /etc ► entry ► one-shot ► "armed". From its first write to its last a stop is known to be none of the image's fault.
fn arm(
    host: &Host,
    esp: &RunningEsp,
    sys: &Sys,
    staged: &Staged,
    entry: &Entry,
    refresh: &Refresh<'_>,
) -> anyhow::Result<()> {
    let (sysroot, id) = (host.sysroot(), &staged.deployment);
    let trial = |phase| Trial {
        version: 1,
        deployment: id.clone(),
        entry: entry.name.clone(),
        reference: staged.reference.clone(),
        manifest_digest: staged.manifest_digest.clone(),
        image: staged.image,
        phase,
        why: None,
        at: now(),
        unknown: Default::default(),
    };
    records::write(sys, &sysroot.join(TRIAL), &trial(Phase::Arming))?;
    // Armed already, by a shutdown that did not happen: it does not boot while its /etc is changed.
    disarm(host, esp, sys, &entry.name)?;
    let directory = layout::deployment(&sysroot, id);
    let origin = Origin::read(&directory.join(layout::ORIGIN)).context("the staged deployment is not whole")?;
    let bytes = esp.read_uki(&staged.uki)?;
    if bytes.map(|bytes| uki::sha256(&bytes)) != Some(origin.uki) {
        let why = format!("{} on the EFI system partition is missing or damaged: upgrade again", staged.uki);
        return Err(Refused(why).into());
    }
    refresh(&directory.join(layout::ETC))?;
    esp.put_entry(sys, entry)?;
    one_shot::set(sys, host.root(), &entry.name)?;
    Ok(records::write(sys, &sysroot.join(TRIAL), &trial(Phase::Armed))?)
}

/// After a failure: the loader's wish goes first. Best effort: what cannot be taken back is still "arming" and so blames nobody.
fn take_back(host: &Host, esp: &RunningEsp, sys: &Sys, entry: &EntryName) {
    let _ = disarm(host, esp, sys, entry).and_then(|()| forget(host, sys));
}

#[cfg(test)]
mod tests;
