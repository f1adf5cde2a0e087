//! status: what was booted and why it may be trusted. Reads only, needs no root, never fails: what is missing is a condition.

use std::path::Path;

use cfs_init::fallback::RefusalRecord;

use crate::boot::efivar::{self, CFS_HOST, GLOBAL, LOADER};
use crate::deploy::{layout, origin::Origin};
use crate::model::status::{
    Booted, Condition, Deployment, Firmware, RollbackProtection, Severity, Status, Tier, Writable,
};
use crate::model::{DeploymentId, EntryName};

/// Where `/init` leaves its record.
const BOOTED: &str = "run/cfs-host/booted.json";
const SYSROOT: &str = "sysroot";

/// The state of the host whose root directory this is.
pub fn observe(root: &Path) -> Status {
    let mut conditions = Vec::new();
    let booted = booted(root, &mut conditions);
    let firmware = firmware(root);
    let deployments = deployments(root, booted.as_ref(), &mut conditions);
    let refusal_hint = refusal_hint(root, booted.as_ref());
    if let Some(booted) = &booted {
        judge(booted, &deployments, &mut conditions);
    }
    if let Some(hint) = &refusal_hint {
        let message = format!("an earlier boot of {} was refused: rule {}: {}", hint.entry, hint.rule, hint.why);
        conditions.push(Condition { kind: "EarlierBootRefused", severity: Severity::Warning, message });
    }
    if firmware.setup_mode == Some(true) {
        let message = "the firmware is in setup mode: anyone can enroll keys".to_owned();
        conditions.push(Condition { kind: "SetupMode", severity: Severity::Alarm, message });
    }
    let verified = booted.as_ref().is_some_and(|booted| booted.mode == "enforce" && booted.secure_boot);
    Status {
        api_version: "cfs-host/v1",
        kind: "Status",
        tier: if verified { Tier::Verified } else { Tier::None },
        rollback_protection: RollbackProtection::None,
        firmware,
        writable: writable(root),
        deployments,
        refusal_hint,
        conditions,
        booted,
    }
}

fn booted(root: &Path, conditions: &mut Vec<Condition>) -> Option<Booted> {
    let mut odd = |kind, severity, message| conditions.push(Condition { kind, severity, message });
    let bytes = match std::fs::read(root.join(BOOTED)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message =
                format!("this system was not started by cfs-host's initrd (no /{BOOTED}): nothing is verified");
            odd("NotBootedByCfsHost", Severity::Alarm, message);
            return None;
        }
        Err(error) => {
            odd("BootRecordUnreadable", Severity::Alarm, format!("cannot read /{BOOTED}: {error}"));
            return None;
        }
    };
    match serde_json::from_slice::<Booted>(&bytes) {
        Ok(booted) if booted.version == 1 => Some(booted),
        Ok(booted) => {
            let message = format!("/{BOOTED} has version {}, this program reads version 1", booted.version);
            odd("BootRecordUnreadable", Severity::Alarm, message);
            None
        }
        Err(error) => {
            odd("BootRecordUnreadable", Severity::Alarm, format!("/{BOOTED} is not valid: {error}"));
            None
        }
    }
}

/// What the record itself says that people should know.
fn judge(booted: &Booted, deployments: &[Deployment], conditions: &mut Vec<Condition>) {
    let mut odd = |kind, severity, message| conditions.push(Condition { kind, severity, message });
    if booted.mode != "enforce" {
        let message = "PERMISSIVE: failed checks did not stop this boot; do not use it in production".to_owned();
        odd("Permissive", Severity::Alarm, message);
    }
    for problem in &booted.problems {
        odd("Overlooked", Severity::Alarm, format!("overlooked in permissive mode: {problem}"));
    }
    if !booted.secure_boot {
        let message = "Secure Boot was off: nobody verified the UKI, so what it verified proves nothing".to_owned();
        odd("SecureBootOff", Severity::Alarm, message);
    }
    for ignored in &booted.ignored {
        odd("HintIgnored", Severity::Warning, format!("a hint of the loader did not count: {ignored}"));
    }
    if !deployments.iter().any(|deployment| deployment.booted) {
        let message =
            format!("the booted deployment {} is not below /{SYSROOT}/{}", booted.deployment, layout::DEPLOYMENTS);
        odd("BootedDeploymentMissing", Severity::Warning, message);
    }
}

fn deployments(root: &Path, booted: Option<&Booted>, conditions: &mut Vec<Condition>) -> Vec<Deployment> {
    let sysroot = root.join(SYSROOT);
    let entries = loader_entries(root);
    let newest = entries.iter().max_by_key(|entry| entry.order).map(|entry| entry.deployment.clone());
    let mut read = |id: DeploymentId| {
        let origin = Origin::read(&layout::deployment(&sysroot, &id).join(layout::ORIGIN));
        let origin = origin.map_err(|error| {
            let message = error.to_string();
            conditions.push(Condition { kind: "OriginUnreadable", severity: Severity::Warning, message });
        });
        let origin = origin.ok();
        let own = entries.iter().filter(|entry| entry.deployment == id);
        Deployment {
            booted: booted.is_some_and(|booted| booted.deployment == id.to_string()),
            default: newest.as_ref() == Some(&id),
            entries: own.map(EntryName::to_string).collect(),
            reference: origin.as_ref().map(|origin| origin.reference.clone()),
            manifest_digest: origin.as_ref().map(|origin| origin.manifest_digest.clone()),
            image: origin.as_ref().map(|origin| origin.image),
            deployed_at: origin.map(|origin| origin.deployed_at),
            id: id.to_string(),
        }
    };
    layout::list(&sysroot).into_iter().map(&mut read).collect()
}

/// The entries of ours that the loader found.
fn loader_entries(root: &Path) -> Vec<EntryName> {
    let names =
        efivar::read(root, "LoaderEntries", LOADER).and_then(|variable| variable.as_texts()).unwrap_or_default();
    names.iter().filter_map(|name| name.strip_suffix(".conf").unwrap_or(name).parse().ok()).collect()
}

fn firmware(root: &Path) -> Firmware {
    let truth = |name| efivar::read(root, name, GLOBAL)?.as_bool();
    let loader = efivar::read(root, "LoaderInfo", LOADER).and_then(|variable| variable.as_texts()?.into_iter().next());
    Firmware { secure_boot: truth("SecureBoot"), setup_mode: truth("SetupMode"), loader }
}

/// The record has it if this boot was good and removed the variable.
pub(super) fn refusal_hint(root: &Path, booted: Option<&Booted>) -> Option<RefusalRecord> {
    let variable = efivar::read(root, "CfsHostRefusal", CFS_HOST);
    let from_variable = variable.and_then(|variable| RefusalRecord::parse(&variable.value));
    from_variable.or_else(|| booted.and_then(|booted| booted.refusal.clone()))
}

fn writable(root: &Path) -> Writable {
    let mounts = std::fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    Writable { etc: mounted_writable(&mounts, "/etc"), var: mounted_writable(&mounts, "/var") }
}

/// Whether the topmost mount at this place is writable. Format: `proc_pid_mountinfo(5)`.
fn mounted_writable(mountinfo: &str, place: &str) -> Option<bool> {
    mountinfo.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(4);
        (fields.next()? == place)
            .then(|| fields.next().is_some_and(|options| options.split(',').any(|option| option == "rw")))
    })
}

#[cfg(test)]
mod tests;
