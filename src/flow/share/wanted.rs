//! Which images podman shall see, and under which names: pure, from tags, host, and what podman has itself.

use std::collections::{BTreeMap, BTreeSet};

use super::load::Known;
use crate::flow::Refused;
use crate::model::reference::Reference;
use crate::model::share::Because;
use crate::share::{podman_name, Image, Own};

/// An image of the host.
#[derive(Clone, Debug)]
pub(super) struct OfHost {
    pub manifest: String,
    name: Option<String>,
    because: Because,
}

impl OfHost {
    pub fn new(manifest: &str, reference: &str, because: Because) -> Self {
        let name = match reference.parse() {
            Ok(Reference::Registry(name)) => podman_name(name.split_once('@').map_or(&*name, |(name, _)| name)),
            // A directory is no name of the host's image.
            _ => None,
        };
        Self { manifest: manifest.to_owned(), name, because }
    }
}

/// What tags and host say.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// podman's name and manifest of what somebody published.
    pub asked: Vec<(String, String)>,
    /// Manifests that were published for the host's sake.
    pub kept: Vec<String>,
    /// Booted, then staged.
    pub host: Vec<OfHost>,
    /// Names that go.
    pub leaving: Vec<String>,
}

/// What podman shall see.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub images: Vec<Image>,
    /// Why each of them is there, by manifest.
    pub because: BTreeMap<String, Vec<Because>>,
    /// Names that podman has for something of its own, by manifest.
    pub hidden: BTreeMap<String, Vec<String>>,
    /// Manifests that nothing needs any more.
    pub dropped: Vec<String>,
}

impl Wish {
    /// Every image that is looked at.
    pub fn manifests(&self) -> BTreeSet<String> {
        let asked = self.asked.iter().map(|(_, manifest)| manifest);
        asked.chain(&self.kept).chain(self.host.iter().map(|image| &image.manifest)).cloned().collect()
    }

    /// Decides; refuses if something of podman's builds on what leaves.
    pub fn decide(&self, known: &Known, own: &Own) -> Result<Wanted, Refused> {
        let mut because: BTreeMap<String, Vec<Because>> = BTreeMap::new();
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for (name, manifest) in self.asked.iter().filter(|(name, _)| !self.leaving.contains(name)) {
            because.entry(manifest.clone()).or_default().push(Because::Asked);
            names.insert(name.clone(), manifest.clone());
        }
        for image in &self.host {
            because.entry(image.manifest.clone()).or_default().push(image.because);
            if let Some(name) = &image.name {
                names.entry(name.clone()).or_insert_with(|| image.manifest.clone());
            }
        }
        let mut missing = own.needs();
        let mut provide = |manifest: &String| -> Vec<String> {
            let layers = known.0.get(manifest).into_iter().flat_map(|image| &image.layers);
            layers.filter_map(|layer| missing.remove(&layer.record.id)).flatten().collect()
        };
        because.keys().for_each(|manifest| drop(provide(manifest)));
        let (needed, dropped): (Vec<&String>, Vec<&String>) = self
            .kept
            .iter()
            .filter(|manifest| !because.contains_key(*manifest))
            .partition(|manifest| !provide(manifest).is_empty());
        for (name, manifest) in self.asked.iter().filter(|(name, _)| self.leaving.contains(name)) {
            let users = provide(manifest);
            if !users.is_empty() {
                let users = users.join(", ");
                return Err(Refused(format!(
                    "podman needs {name}: {users} builds on it; remove that first (podman rm, podman rmi)"
                )));
            }
        }
        let dropped = dropped.into_iter().cloned().collect();
        because.extend(needed.into_iter().map(|manifest| (manifest.clone(), vec![Because::Needed])));
        let mut wanted = Wanted { because, dropped, ..Wanted::default() };
        wanted.fill(known, own, &names);
        Ok(wanted)
    }
}

impl Wanted {
    /// Images with the names that podman does not have itself; one that it has under the same id it lists itself.
    fn fill(&mut self, known: &Known, own: &Own, names: &BTreeMap<String, String>) {
        for (manifest, image) in known.0.iter().filter(|(manifest, _)| self.because.contains_key(*manifest)) {
            let mut image = image.clone();
            let named = names.iter().filter(|(_, of)| *of == manifest).map(|(name, _)| name.clone());
            let (hidden, shown): (Vec<String>, Vec<String>) =
                named.partition(|name| own.has_name(name, &image.record.id));
            image.listed = !own.has_image(&image.record.id);
            image.record.names = shown;
            self.hidden.insert(manifest.clone(), hidden);
            // Two manifests of one configuration are one image to podman: the first has both's names.
            match self.images.iter_mut().find(|known| known.record.id == image.record.id) {
                Some(same) => same.record.names.append(&mut image.record.names),
                None => self.images.push(image),
            }
        }
    }
}
