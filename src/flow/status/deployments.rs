//! The directories below `cfs/deploy`, and how they and the entries fit together.

use std::io::ErrorKind;
use std::path::Path;

use super::next::Entries;
use super::seen::Seen;
use super::waiting::Waiting;
use crate::boot::order;
use crate::deploy::layout::{self, DEPLOYMENTS};
use crate::deploy::origin::Origin;
use crate::deploy::records::{HEALTH, PINNED};
use crate::deploy::whole;
use crate::model::status::{Deployment, Severity, Verdict};
use crate::model::update::{Health, Outcome};
use crate::model::{DeploymentId, EntryName};

/// The most names that are looked at.
const MAX_NAMES: usize = 4096;
/// How many odd names are told.
const MAX_TOLD: usize = 8;

/// Every deployment, sorted by name.
pub fn deployments(
    sysroot: &Path,
    booted: Option<&str>,
    entries: &Entries,
    waiting: &Waiting,
    seen: &mut Seen,
) -> Vec<Deployment> {
    let Some(ids) = list(sysroot, seen) else { return Vec::new() };
    let default = order::default(&entries.ours).map(|entry| &entry.deployment);
    let previous = order::previous(&entries.ours).map(|entry| &entry.deployment);
    let mut found = Vec::new();
    for id in &ids {
        let directory = layout::deployment(sysroot, id);
        let origin = origin(sysroot, id, seen);
        let own: Vec<&EntryName> = entries.ours.iter().filter(|entry| entry.deployment == *id).collect();
        let failed = |image: &&crate::model::update::DeniedImage| {
            image.deployment == *id
                || origin.as_ref().is_some_and(|origin| origin.manifest_digest == image.manifest_digest)
        };
        found.push(Deployment {
            id: id.to_string(),
            booted: booted == Some(&id.to_string()),
            default: default == Some(id),
            good: own.iter().any(|entry| entry.order > 0),
            staged: waiting.staged.as_ref().is_some_and(|staged| staged.deployment == *id),
            on_trial: waiting.trial.as_ref().is_some_and(|trial| trial.deployment == *id),
            rollback_target: previous == Some(id),
            pinned: std::fs::symlink_metadata(directory.join(PINNED)).is_ok(),
            denied: waiting.denied.iter().any(|image| failed(&image)),
            health: seen.record::<Health>(&directory.join(HEALTH)).map(verdict),
            entries: own.iter().map(ToString::to_string).collect(),
            reference: origin.as_ref().map(|origin| origin.reference.clone()),
            manifest_digest: origin.as_ref().map(|origin| origin.manifest_digest.clone()),
            image: origin.as_ref().map(|origin| origin.image),
            image_version: origin.as_ref().and_then(|origin| origin.image_version.clone()),
            image_created: origin.as_ref().and_then(|origin| origin.image_created.clone()),
            bound_images: origin.as_ref().map(|origin| origin.bound_images.clone()).unwrap_or_default(),
            deployed_at: origin.map(|origin| origin.deployed_at),
        });
    }
    fit(&ids, &found, booted, entries, waiting, seen);
    found
}

/// The ids; `None` if that cannot be known.
fn list(sysroot: &Path, seen: &mut Seen) -> Option<Vec<DeploymentId>> {
    let path = sysroot.join(DEPLOYMENTS);
    let names = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Vec::new()),
        Err(error) => {
            let message = format!("cannot list {}: {error}", path.display());
            seen.unreadable("DeploymentsUnreadable", Severity::Warning, &path, message);
            return None;
        }
        Ok(names) => names,
    };
    let (mut ids, mut unfinished, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
    for entry in names.take(MAX_NAMES).flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.parse() {
            Ok(id) => ids.push(id),
            Err(_) if name.starts_with(".tmp-") => unfinished.push(name),
            Err(_) => foreign.push(name),
        }
    }
    ids.sort();
    told(&path, unfinished, "HalfMade", "left by a run that did not end; the next verb that writes removes it", seen);
    told(&path, foreign, "ForeignName", "not a deployment, and left alone", seen);
    Some(ids)
}

fn told(directory: &Path, mut names: Vec<String>, kind: &'static str, what: &str, seen: &mut Seen) {
    names.sort();
    if names.len() > MAX_TOLD {
        let more = names.len() - MAX_TOLD;
        names.truncate(MAX_TOLD);
        names.push(format!("{more} more"));
    }
    if !names.is_empty() {
        seen.odd(kind, Severity::Info, format!("in {}: {}: {what}", directory.display(), names.join(", ")));
    }
}

fn origin(sysroot: &Path, id: &DeploymentId, seen: &mut Seen) -> Option<Origin> {
    let path = layout::deployment(sysroot, id).join(layout::ORIGIN);
    match Origin::read(&path) {
        Ok(origin) => {
            let missing = whole::missing(sysroot, id, &origin);
            if !missing.is_empty() {
                let message = format!("the deployment {id} will not boot: it lacks {}", missing.join(", "));
                seen.odd("DeploymentIncomplete", Severity::Warning, message);
            }
            let unbound = whole::missing_bound(sysroot, &origin);
            if !unbound.is_empty() {
                let message = format!(
                    "the store lost images that the deployment {id} binds: {}; its services will have to fetch \
                     them; `cfs-host image pull --share IMAGE` brings one back",
                    unbound.join(", ")
                );
                seen.odd("BoundImageMissing", Severity::Warning, message);
            }
            Some(origin)
        }
        Err(error) => {
            seen.unreadable("OriginUnreadable", Severity::Warning, &path, error.to_string());
            None
        }
    }
}

fn verdict(health: Health) -> Verdict {
    let mut failed: Vec<_> = health.checks.into_iter().filter(|check| check.outcome != Outcome::Passed).collect();
    failed.sort_by_key(|check| !check.required);
    Verdict { healthy: health.healthy, at: health.at, failed: failed.into_iter().map(|check| check.name).collect() }
}

/// Entries without a directory, directories without an entry.
fn fit(
    ids: &[DeploymentId],
    found: &[Deployment],
    booted: Option<&str>,
    entries: &Entries,
    waiting: &Waiting,
    seen: &mut Seen,
) {
    if let Some(booted) = booted.filter(|booted| found.iter().all(|deployment| deployment.id != *booted)) {
        let message = format!("the booted deployment {booted} is not below {DEPLOYMENTS} of the root file system");
        seen.odd("BootedDeploymentMissing", Severity::Warning, message);
    }
    for entry in entries.ours.iter().filter(|entry| !ids.contains(&entry.deployment)) {
        let next = entries.next.as_ref().and_then(|next| next.deployment.as_ref());
        let is_next = next == Some(&entry.deployment.to_string());
        let severity = if is_next { Severity::Alarm } else { Severity::Warning };
        let message = format!("the boot entry {entry} leads nowhere: its deployment is not there");
        seen.odd("EntryWithoutDeployment", severity, message);
    }
    for trial in waiting.trial.iter().filter(|trial| !ids.contains(&trial.deployment)) {
        let message = format!("{} is on trial, and its deployment is not there", trial.deployment);
        seen.odd("TrialMissing", Severity::Warning, message);
    }
    for staged in waiting.staged.iter().filter(|staged| !ids.contains(&staged.deployment)) {
        let message = format!("{} is staged, and its deployment is not there: upgrade again", staged.deployment);
        seen.odd("StagedMissing", Severity::Warning, message);
    }
    let unused = |deployment: &&Deployment| {
        entries.known && deployment.entries.is_empty() && !(deployment.booted || deployment.staged || deployment.pinned)
    };
    for deployment in found.iter().filter(unused) {
        let message = format!("nothing boots the deployment {}: it has no entry; `prune` removes it", deployment.id);
        seen.odd("DeploymentWithoutEntry", Severity::Info, message);
    }
}
