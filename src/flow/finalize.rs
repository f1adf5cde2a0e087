//! At shutdown: /etc brought up to date ► trial.json ► entry ► one-shot. Small, and told after the next boot if it fails.

use std::time::Duration;

use anyhow::Context;

use super::host::Host;
use super::stage::disarm;
use super::Refused;
use crate::boot::entry::Entry;
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
    let staged = match host.staged() {
        Ok(Some(staged)) if !staged.download_only => staged,
        Ok(_) => return Ok(None),
        Err(error) => return Err(noted(host, sys, error)),
    };
    arm(host, sys, &staged).map(|()| Some(staged.deployment)).map_err(|error| noted(host, sys, error))
}

fn noted(host: &Host, sys: &Sys, error: anyhow::Error) -> anyhow::Error {
    let note = Note { what: "finalize".into(), why: format!("{error:#}"), at: now() };
    match records::note(sys, &host.sysroot(), note) {
        Ok(()) => error,
        Err(second) => error.context(format!("and that could not be noted: {second}")),
    }
}

fn arm(host: &Host, sys: &Sys, staged: &Staged) -> anyhow::Result<()> {
    let _lock = host.lock(sys, "finalize", PATIENCE, &|_| ())?;
    let (sysroot, id) = (host.sysroot(), &staged.deployment);
    let esp = host.esp(sys)?;
    let directory = layout::deployment(&sysroot, id);
    let origin = Origin::read(&directory.join(layout::ORIGIN)).context("the staged deployment is not whole")?;
    let bytes = esp.read_uki(&staged.uki)?;
    if bytes.map(|bytes| uki::sha256(&bytes)) != Some(origin.uki) {
        let why = format!("{} on the EFI system partition is missing or damaged: upgrade again", staged.uki);
        return Err(Refused(why).into());
    }
    let entry = Entry::new(EntryName { deployment: id.clone(), order: 0 }, &staged.system, staged.uki.clone());
    // Armed already, by a shutdown that did not happen: it does not boot while its /etc is changed.
    disarm(host, &esp, sys, &entry.name)?;
    etc::refresh(sys, &host.store()?, &host.etc(), host.root(), &directory.join(layout::ETC))?;
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
    esp.put_entry(sys, &entry)?;
    one_shot::set(sys, host.root(), &entry.name)?;
    records::write(sys, &sysroot.join(TRIAL), &trial(Phase::Armed))?;
    host.publish_entries(sys, &esp)
}
