//! status: what was booted and why it may be trusted, what boots next, what failed.
//!
//! Reads only, small files only, needs neither root nor network, never fails: what is missing, foreign or broken is a condition.

mod boot;
mod deployments;
mod next;
mod seen;
mod waiting;

use std::path::Path;

use crate::model::status::{RollbackProtection, Status, Tier};
pub(super) use boot::refusal_hint;
use seen::Seen;

/// Where `/init` mounts the root file system, from the root directory.
const SYSROOT: &str = "sysroot";

/// The state of the host whose root directory this is.
pub fn observe(root: &Path) -> Status {
    let mut seen = Seen::default();
    let sysroot = root.join(SYSROOT);
    let booted = boot::booted(root, &mut seen);
    if let Some(booted) = &booted {
        boot::judge(booted, &mut seen);
    }
    let id = booted.as_ref().map(|booted| booted.deployment.as_str());
    let firmware = boot::firmware(root, &mut seen);
    let refusal_hint = boot::refusal_hint(root, booted.as_ref());
    if let Some(hint) = &refusal_hint {
        boot::tell_refusal(hint, &mut seen);
    }
    let entries = next::entries(root, &mut seen);
    let waiting = waiting::waiting(root, &sysroot, &mut seen);
    let deployments = deployments::deployments(&sysroot, id, &entries, &waiting, &mut seen);
    let since = deployments.iter().find(|deployment| deployment.booted).and_then(|own| own.deployed_at.as_deref());
    waiting::judge(&waiting, id, since, &entries, &mut seen);
    let verified = booted.as_ref().is_some_and(|booted| booted.mode == "enforce" && booted.secure_boot);
    Status {
        api_version: "cfs-host/v1",
        kind: "Status",
        tier: if verified { Tier::Verified } else { Tier::None },
        rollback_protection: RollbackProtection::None,
        firmware,
        writable: boot::writable(root),
        next: entries.next,
        staged: waiting.staged,
        trial: waiting.trial,
        deployments,
        denied: waiting.denied,
        notes: waiting.notes,
        refusal_hint,
        conditions: seen.finish(),
        booted,
    }
}

#[cfg(test)]
mod tests;
