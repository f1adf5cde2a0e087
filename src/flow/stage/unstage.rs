//! The way back from staged, and from armed: the loader's wish goes first, what it named afterwards.

use crate::boot::one_shot;
use crate::boot::running_esp::RunningEsp;
use crate::deploy::layout;
use crate::deploy::records::{self, STAGED, TRIAL};
use crate::etc::STAGED_ETC;
use crate::flow::host::{Host, REBOOT_REQUIRED};
use crate::model::update::Trial;
use crate::model::EntryName;
use crate::sys::Sys;

/// Drops what is staged; nothing if nothing is. Gives whether there was something. The caller holds the lock.
pub fn unstage(host: &Host, esp: &RunningEsp, sys: &Sys) -> anyhow::Result<bool> {
    let sysroot = host.sysroot();
    // One that cannot be read is dropped like any other: its directory has no entry, so `prune` takes it.
    let staged = host.staged().unwrap_or(None);
    let armed = records::read::<Trial>(&sysroot.join(TRIAL))?.filter(|trial| trial.deployment != host.deployment);
    if let Some(trial) = &armed {
        disarm(host, esp, sys, &trial.entry)?;
        sys.remove_file(&sysroot.join(TRIAL))?;
    }
    for name in [STAGED, STAGED_ETC, REBOOT_REQUIRED] {
        let path = host.root().join(name);
        if path.exists() {
            sys.remove_file(&path)?;
        }
    }
    let id = staged.as_ref().map(|staged| staged.deployment.clone());
    if let Some(id) = id.filter(|id| *id != host.deployment) {
        let entry = EntryName { deployment: id.clone(), order: 0 };
        esp.remove_entry(sys, &entry)?;
        layout::remove(sys, &sysroot, &id)?;
        let uki = staged.as_ref().map(|staged| staged.uki.as_str()).unwrap_or_default();
        if esp.entries()?.iter().all(|entry| entry.uki != uki) && esp.ukis()?.iter().any(|name| name == uki) {
            esp.remove_uki(sys, uki)?;
        }
        host.publish_entries(sys, esp)?;
    }
    Ok(staged.is_some() || armed.is_some())
}

/// The loader forgets a trial: its wish first, then its entry.
pub fn disarm(host: &Host, esp: &RunningEsp, sys: &Sys, entry: &EntryName) -> anyhow::Result<()> {
    if one_shot::get(host.root()).is_some_and(|id| id == entry.conf()) {
        one_shot::clear(sys, host.root())?;
    }
    Ok(esp.remove_entry(sys, entry)?)
}
