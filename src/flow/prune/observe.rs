//! What `prune` looks at: deployments, the ESP, and everybody who may need one of them. Reads only; what cannot be read is
//! an error, or is kept as one where it stops a part of the work alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;

use crate::boot::entry::Entry;
use crate::boot::one_shot;
use crate::boot::running_esp::RunningEsp;
use crate::deploy::layout::{self, DEPLOYMENTS};
use crate::deploy::origin::Origin;
use crate::deploy::records::{self, PINNED, TRIAL};
use crate::flow::host::Host;
use crate::model::update::{Staged, Trial};
use crate::model::{DeploymentId, Digest, EntryName};

/// The mounts of the running system.
const MOUNTS: &str = "proc/self/mountinfo";

/// A deployment's directory.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Where it came from, or why that is not known.
    pub origin: Result<Origin, String>,
    /// Somebody pinned it.
    pub pinned: bool,
}

/// The state of a host, as far as removing is concerned.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub booted: DeploymentId,
    pub booted_image: Option<Digest>,
    pub directories: BTreeMap<DeploymentId, Directory>,
    /// Our entries.
    pub entries: Vec<Entry>,
    /// Files with a name like ours that are no entries of ours.
    pub strange: Vec<String>,
    /// Our UKIs, and their sizes.
    pub ukis: BTreeMap<String, u64>,
    pub staged: Option<Staged>,
    pub trial: Option<Trial>,
    /// What the loader is to start next, once.
    pub one_shot: Option<EntryName>,
    /// Deployments of which something is mounted.
    pub mounted: BTreeSet<DeploymentId>,
}

impl Observed {
    pub fn of(host: &Host, esp: &RunningEsp) -> anyhow::Result<Self> {
        let sysroot = host.sysroot();
        let (entries, strange) = esp.read_entries()?;
        let ukis = esp.ukis()?.into_iter().map(|name| Ok((name.clone(), esp.uki_size(&name)?)));
        Ok(Self {
            booted: host.deployment.clone(),
            booted_image: host.booted.image,
            directories: directories(&sysroot)?,
            entries,
            strange,
            ukis: ukis.collect::<anyhow::Result<_>>()?,
            staged: host.staged()?,
            trial: records::read(&sysroot.join(TRIAL))?,
            one_shot: one_shot::get(host.root()).and_then(|id| id.strip_suffix(".conf")?.parse().ok()),
            mounted: mounted(&host.root().join(MOUNTS))?,
        })
    }

    /// As it is once `unstage` has dropped what is staged and armed; gives which deployment that takes away.
    pub fn after_unstage(mut self) -> (Self, Option<DeploymentId>) {
        let staged = self.staged.take().map(|staged| staged.deployment).filter(|id| *id != self.booted);
        let armed = self.trial.take_if(|trial| trial.deployment != self.booted).map(|trial| trial.entry);
        let unnamed = staged.clone().map(|deployment| EntryName { deployment, order: 0 });
        let gone = |name: &EntryName| armed.as_ref() == Some(name) || unnamed.as_ref() == Some(name);
        self.entries.retain(|entry| !gone(&entry.name));
        self.one_shot = self.one_shot.filter(|name| !gone(name));
        if let Some(id) = &staged {
            self.directories.remove(id);
        }
        (self, staged)
    }
}

/// Every deployment's directory on a root file system, which need not have any.
pub fn deployments(sysroot: &Path) -> anyhow::Result<BTreeMap<DeploymentId, Directory>> {
    let path = sysroot.join(DEPLOYMENTS);
    match path.try_exists().with_context(|| format!("cannot read {}", path.display()))? {
        true => directories(sysroot),
        false => Ok(BTreeMap::new()),
    }
}

/// Every deployment's directory; other names are not ours.
fn directories(sysroot: &Path) -> anyhow::Result<BTreeMap<DeploymentId, Directory>> {
    let path = sysroot.join(DEPLOYMENTS);
    let cannot = || format!("cannot read {}", path.display());
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(&path).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<DeploymentId>().ok()) else { continue };
        let directory = path.join(name);
        let origin = Origin::read(&directory.join(layout::ORIGIN)).map_err(|error| error.to_string());
        let pinned = directory.join(PINNED);
        let pinned = pinned.try_exists().with_context(|| format!("cannot read {}", pinned.display()))?;
        found.insert(id, Directory { origin, pinned });
    }
    Ok(found)
}

/// Deployments of which something is mounted; none where there is no list of mounts (another root than `/`).
fn mounted(mounts: &Path) -> anyhow::Result<BTreeSet<DeploymentId>> {
    match std::fs::read_to_string(mounts) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        other => Ok(named_in(&other.with_context(|| format!("cannot read {}", mounts.display()))?)),
    }
}

/// Every deployment whose directory is in this text: as root of a mount, as source, or as a layer of an overlay.
fn named_in(mountinfo: &str) -> BTreeSet<DeploymentId> {
    let folder = format!("{DEPLOYMENTS}/");
    let rest = mountinfo.match_indices(&folder).map(|(at, _)| &mountinfo[at + folder.len()..]);
    let name = |rest: &str| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).next()?.parse().ok();
    rest.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_in_use_by_any_mount_is_found() {
        let text = "\
22 1 0:20 / / ro,relatime - overlay composefs ro,lowerdir+=/x,datadir+=/sysroot/composefs/objects,verity=require\n\
30 22 254:2 /cfs/deploy/0123456789abcdef.0/etc /etc rw - ext4 /dev/vda2 rw\n\
31 22 0:30 / /mnt rw - overlay overlay rw,upperdir=/sysroot/cfs/deploy/fedcba9876543210.12/etc,workdir=/tmp\n\
32 22 0:31 / /cfs/deploy/nonsense rw - tmpfs tmpfs rw\n";
        let found: Vec<String> = named_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["0123456789abcdef.0", "fedcba9876543210.12"]);
    }
}
