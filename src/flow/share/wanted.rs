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
            Ok(Reference::Registry(name)) => podman_name(&name),
            // A directory is no name of an image, and podman's storage has names already.
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
    /// Manifests that nobody asked for: the host had them, or a name has moved on.
    pub kept: Vec<String>,
    /// Booted, then staged, then bound.
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
    /// Images that should be seen and cannot be, and why.
    pub broken: BTreeMap<String, String>,
}

impl Wish {
    /// Every image that is looked at.
    pub fn manifests(&self) -> BTreeSet<String> {
        let asked = self.asked.iter().map(|(_, manifest)| manifest);
        asked.chain(&self.kept).chain(self.host.iter().map(|image| &image.manifest)).cloned().collect()
    }

    /// Why an image is to be seen, whatever podman has, and which image a name means.
    fn reasons(&self) -> (BTreeMap<String, Vec<Because>>, BTreeMap<String, String>) {
        let mut because: BTreeMap<String, Vec<Because>> = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (name, manifest) in self.asked.iter().filter(|(name, _)| !self.leaving.contains(name)) {
            because.insert(manifest.clone(), vec![Because::Asked]);
            names.insert(name.clone(), manifest.clone());
        }
        for image in &self.host {
            because.entry(image.manifest.clone()).or_default().push(image.because);
            if let Some(name) = &image.name {
                names.entry(name.clone()).or_insert_with(|| image.manifest.clone());
            }
        }
        (because, names)
    }

    /// Decides; refuses if something of podman's builds on what leaves.
    pub fn decide(&self, known: &Known, own: &Own) -> Result<Wanted, Refused> {
        let (mut because, names) = self.reasons();
        let mut missing = own.needs();
        let mut provide = |manifest: &String| -> Vec<String> {
            let layers = known.images.get(manifest).into_iter().flat_map(|image| &image.layers);
            layers.filter_map(|layer| missing.remove(&layer.record.id)).flatten().collect()
        };
        because.keys().for_each(|manifest| drop(provide(manifest)));
        let (needed, dropped): (Vec<&String>, Vec<&String>) = self
            .kept
            .iter()
            .filter(|manifest| !because.contains_key(*manifest))
            // Of a broken one nobody knows whether it is needed, and of any while podman's storage is not there.
            .partition(|manifest| {
                own.is_unknown || known.broken.contains_key(*manifest) || !provide(manifest).is_empty()
            });
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
        let mut wanted = Wanted { because, dropped, broken: known.broken.clone(), ..Wanted::default() };
        wanted.fill(known, own, &names);
        Ok(wanted)
    }
}

impl Wanted {
    /// Images with the names that podman does not have itself; one that it has under the same id it lists itself.
    fn fill(&mut self, known: &Known, own: &Own, names: &BTreeMap<String, String>) {
        for (manifest, image) in known.images.iter().filter(|(manifest, _)| self.because.contains_key(*manifest)) {
            let mut image = image.clone();
            let named = names.iter().filter(|(_, of)| *of == manifest).map(|(name, _)| name.clone());
            let (hidden, mut shown): (Vec<String>, Vec<String>) =
                named.partition(|name| own.has_name(name, &image.record.id));
            if shown.is_empty() {
                shown.push(own_name(manifest));
            }
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

/// A name of its own: without any podman takes an image for a leftover, and tries to remove it with the last one built on it.
fn own_name(manifest: &str) -> String {
    let digits = manifest.trim_start_matches("sha256:");
    format!("localhost/cfs-host:{}", digits.get(..12).unwrap_or(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;
    use crate::share::published::Parts;
    use crate::share::{ImageRecord, Layer, LayerRecord};

    const NAME: &str = "example.org/host:v1";

    fn image(id: &str, layers: &[&str]) -> Image {
        let layer = |id: &&str| Layer {
            record: LayerRecord {
                id: (*id).to_owned(),
                parent: None,
                created: String::new(),
                compressed_diff_digest: String::new(),
                compressed_size: 0,
                diff_digest: String::new(),
                diff_size: 0,
                compression: 0,
            },
            below: Vec::new(),
            parts: Parts { erofs: Digest::new([0; 32]), list: Digest::new([0; 32]) },
        };
        let record = ImageRecord::new((&format!("m-{id}"), b""), (id, b""), "", "");
        Image { record, layers: layers.iter().map(layer).collect(), listed: true }
    }

    fn known(all: &[(&str, &[&str])]) -> Known {
        let images = all.iter().map(|(id, layers)| (format!("m-{id}"), image(id, layers))).collect();
        Known { images, ..Known::default() }
    }

    fn own(images: &str, layers: &str) -> Own {
        let dir = tempfile::tempdir().unwrap();
        let sys = crate::sys::Sys::real();
        for (kind, text) in [("images", images), ("layers", layers)] {
            sys.create_dir(&dir.path().join(format!("overlay-{kind}")), 0o755).unwrap();
            let path = dir.path().join(format!("overlay-{kind}/{kind}.json"));
            sys.write_file(&path, text.as_bytes(), 0o644).unwrap();
        }
        Own::read(dir.path()).unwrap()
    }

    fn of_host(id: &str, because: Because) -> OfHost {
        OfHost::new(&format!("m-{id}"), &format!("docker://{NAME}"), because)
    }

    fn names(wanted: &Wanted) -> Vec<(&str, &str)> {
        wanted.images.iter().map(|image| (image.record.id.as_str(), &*image.record.names[0])).collect()
    }

    #[test]
    fn a_name_is_that_of_what_was_asked_for_then_of_what_runs() {
        let known = known(&[("asked", &["a"]), ("booted", &["b"]), ("staged", &["c"])]);
        let host = vec![of_host("booted", Because::Booted), of_host("staged", Because::Staged)];
        let mut wish = Wish { host, ..Wish::default() };
        let wanted = wish.decide(&known, &Own::default()).unwrap();
        assert_eq!(names(&wanted), [("booted", NAME), ("staged", "localhost/cfs-host:m-staged")]);
        wish.asked = vec![(NAME.to_owned(), "m-asked".to_owned())];
        let wanted = wish.decide(&known, &Own::default()).unwrap();
        assert_eq!(names(&wanted)[..2], [("asked", NAME), ("booted", "localhost/cfs-host:m-booted")]);
    }

    #[test]
    fn an_image_that_the_host_has_left_stays_as_long_as_podman_needs_it() {
        let known = known(&[("new", &["base", "n"]), ("old", &["base", "o"])]);
        let kept = vec!["m-new".to_owned(), "m-old".to_owned()];
        let wish = Wish { kept, host: vec![of_host("new", Because::Booted)], ..Wish::default() };
        let needed = wish.decide(&known, &own("[]", r#"[{"id":"x","parent":"o"}]"#)).unwrap();
        assert_eq!((needed.images.len(), needed.because["m-old"].clone()), (2, vec![Because::Needed]));
        // What builds on a layer that another image has needs no more than that one.
        let shared = wish.decide(&known, &own("[]", r#"[{"id":"x","parent":"base"}]"#)).unwrap();
        assert_eq!((shared.images.len(), shared.dropped), (1, vec!["m-old".to_owned()]));
    }

    #[test]
    fn a_broken_image_is_told_and_does_not_lose_its_tag() {
        let mut known = known(&[("good", &["g"])]);
        known.broken.insert("m-bad".to_owned(), "gone".to_owned());
        let asked = vec![(NAME.to_owned(), "m-good".to_owned())];
        let wish = Wish { asked, kept: vec!["m-bad".to_owned()], ..Wish::default() };
        let wanted = wish.decide(&known, &Own::default()).unwrap();
        assert_eq!((wanted.images.len(), wanted.dropped.len(), wanted.broken.len()), (1, 0, 1));
    }

    #[test]
    fn nothing_is_dropped_while_nobody_knows_what_podman_has() {
        let known = known(&[("old", &["o"])]);
        let wish = Wish { kept: vec!["m-old".to_owned()], ..Wish::default() };
        let mut own = Own::default();
        own.is_unknown = true;
        assert_eq!(wish.decide(&known, &own).unwrap().images.len(), 1);
        assert_eq!(wish.decide(&known, &Own::default()).unwrap().dropped, ["m-old"]);
    }

    #[test]
    fn what_podman_builds_on_does_not_leave() {
        let known = known(&[("app", &["a"])]);
        let asked = vec![(NAME.to_owned(), "m-app".to_owned())];
        let wish = Wish { asked, leaving: vec![NAME.to_owned()], ..Wish::default() };
        let error = wish.decide(&known, &own(r#"[{"id":"i","names":["x"],"layer":"a"}]"#, "[]")).unwrap_err();
        assert!(error.to_string().contains("image x"), "{error}");
        assert_eq!(wish.decide(&known, &Own::default()).unwrap().images.len(), 0);
    }

    #[test]
    fn podman_keeps_the_names_and_images_that_it_has() {
        let known = known(&[("app", &["a"])]);
        let wish = Wish { asked: vec![(NAME.to_owned(), "m-app".to_owned())], ..Wish::default() };
        let other = wish.decide(&known, &own(&format!(r#"[{{"id":"i","names":["{NAME}"]}}]"#), "[]")).unwrap();
        assert_eq!(
            (names(&other), other.hidden["m-app"].clone()),
            (vec![("app", "localhost/cfs-host:m-app")], vec![NAME.to_owned()])
        );
        let same = wish.decide(&known, &own(r#"[{"id":"app","names":["y"]}]"#, "[]")).unwrap();
        assert!(!same.images[0].listed);
    }
}
