//! Who stays, who may go, and what goes with them: pure, from what was observed.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::Observed;
use crate::flow::bound::keep_with;
use crate::flow::Refused;
use crate::model::{DeploymentId, Digest, EntryName};
use crate::store::Roots;

/// What the store keeps beside what deployments need.
#[derive(Clone, Debug, Default)]
pub struct Also {
    /// EROFS images.
    pub images: Vec<Digest>,
    /// Streams, by name.
    pub streams: Vec<String>,
}

/// A deployment that goes, and why.
pub(super) type Going = (DeploymentId, String);

impl Observed {
    /// All that are known: by a directory, or by an entry alone.
    pub fn all(&self) -> BTreeSet<DeploymentId> {
        let named = self.entries.iter().map(|entry| entry.name.deployment.clone());
        self.directories.keys().cloned().chain(named).collect()
    }

    /// Those that were promoted and can be started, the newest first.
    pub fn good(&self) -> Vec<DeploymentId> {
        let mut found: Vec<DeploymentId> = Vec::new();
        for entry in self.entries.iter().rev().filter(|entry| entry.name.order > 0) {
            let id = &entry.name.deployment;
            if self.directories.contains_key(id) && self.ukis.contains_key(&entry.uki) && !found.contains(id) {
                found.push(id.clone());
            }
        }
        found
    }

    /// Those that nobody may remove, and why not.
    pub fn must_stay(&self) -> BTreeMap<DeploymentId, Vec<&'static str>> {
        let mut stay: BTreeMap<DeploymentId, Vec<&'static str>> = BTreeMap::new();
        let mut because = |id: &DeploymentId, why| stay.entry(id.clone()).or_default().push(why);
        because(&self.booted, "it runs");
        let highest = self.entries.iter().map(|entry| entry.name.order).max().filter(|order| *order > 0);
        for entry in self.entries.iter().filter(|entry| Some(entry.name.order) == highest) {
            because(&entry.name.deployment, "it is the default");
        }
        // If the default cannot be started these two are what is left to go back to.
        for id in self.good().iter().take(2) {
            because(id, "it is one of the two newest good ones");
        }
        for (id, _) in self.directories.iter().filter(|(_, directory)| directory.pinned) {
            because(id, "it is pinned");
        }
        self.staged.iter().for_each(|staged| because(&staged.deployment, "it is staged"));
        self.trial.iter().for_each(|trial| because(&trial.deployment, "it is on trial"));
        self.one_shot.iter().for_each(|name| because(&name.deployment, "the loader starts it next"));
        self.mounted.iter().for_each(|id| because(id, "something of it is mounted"));
        let all = self.all();
        stay.retain(|id, _| all.contains(id));
        stay
    }

    /// Those that may go if so many good ones stay beside the pinned: what nobody can start first, then the oldest.
    pub fn surplus(&self, keep: usize) -> Vec<Going> {
        let (stay, good) = (self.must_stay(), self.good());
        let pinned = |id: &DeploymentId| self.directories.get(id).is_some_and(|directory| directory.pinned);
        let kept: BTreeSet<&DeploymentId> = good.iter().filter(|id| !pinned(id)).take(keep).collect();
        let may_go = |id: &DeploymentId| !stay.contains_key(id) && !kept.contains(id);
        let never = self.all().into_iter().filter(|id| may_go(id) && !good.contains(id));
        let useless = never.map(|id| {
            let why = match self.entries.iter().any(|entry| entry.name.deployment == id) {
                true => "it never became good, or is not whole",
                false => "no boot entry names it",
            };
            (id, why.to_owned())
        });
        let old =
            good.iter().rev().filter(|id| may_go(id)).map(|id| (id.clone(), "newer good ones are there".to_owned()));
        useless.chain(old).collect()
    }

    /// These, if each of them may go.
    pub fn chosen(&self, ids: &[DeploymentId]) -> Result<Vec<Going>, Refused> {
        let (all, stay) = (self.all(), self.must_stay());
        let one = |id: &DeploymentId| match stay.get(id) {
            Some(why) => Err(Refused(format!("deployment {id} must stay: {}", why.join(", ")))),
            None if all.contains(id) => Ok((id.clone(), "it was asked for".to_owned())),
            None => Err(Refused(format!("there is no deployment {id}: `cfs-host status` lists them"))),
        };
        ids.iter().collect::<BTreeSet<_>>().into_iter().map(one).collect()
    }

    /// The entries of these.
    pub fn entries_of(&self, gone: &BTreeSet<DeploymentId>) -> Vec<EntryName> {
        let names = self.entries.iter().map(|entry| entry.name.clone());
        names.filter(|name| gone.contains(&name.deployment)).collect()
    }

    /// UKIs that those who stay need, whatever entries say; or why no UKI may be removed.
    pub fn needed_ukis(&self, gone: &BTreeSet<DeploymentId>) -> Result<Vec<String>, String> {
        if let Some(name) = self.strange.first() {
            return Err(format!("no UKI is removed: the entry {name} cannot be read, so what it needs is not known; repair or remove it"));
        }
        let mut needed: Vec<String> = self.staged.iter().map(|staged| staged.uki.clone()).collect();
        for (id, directory) in self.directories.iter().filter(|(id, _)| !gone.contains(id)) {
            match &directory.origin {
                Ok(origin) => needed.push(cfs_init::names::uki_file_name(origin.uki.as_bytes())),
                Err(_) if self.entries.iter().any(|entry| entry.name.deployment == *id) => {}
                Err(why) => return Err(format!("no UKI is removed: {why}")),
            }
        }
        Ok(needed)
    }

    /// UKIs that go with these.
    pub fn unnamed_ukis(&self, gone: &BTreeSet<DeploymentId>) -> Result<Vec<String>, String> {
        let mut needed: BTreeSet<String> = self.needed_ukis(gone)?.into_iter().collect();
        let stay = self.entries.iter().filter(|entry| !gone.contains(&entry.name.deployment));
        needed.extend(stay.map(|entry| entry.uki.clone()));
        Ok(self.ukis.keys().filter(|name| !needed.contains(*name)).cloned().collect())
    }

    /// What the store must keep for those who stay, and beside that this; or why it keeps everything.
    pub fn roots(&self, gone: &BTreeSet<DeploymentId>, also: &Also) -> Result<Roots, String> {
        let mut roots = Roots::default();
        if let Some(image) = self.booted_image {
            roots.image(image);
        }
        for image in &also.images {
            roots.image(*image);
        }
        for name in &also.streams {
            roots.stream(name);
        }
        for (_, directory) in self.directories.iter().filter(|(id, _)| !gone.contains(id)) {
            let origin =
                directory.origin.as_ref().map_err(|why| format!("nothing is removed from the store: {why}"))?;
            keep_with(&mut roots, origin);
        }
        Ok(roots)
    }
}
