//! What podman has itself: read from its store's lists. What cannot be read is an error, since what it needs would be a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::record::{OwnContainer, OwnImage, OwnLayer};
use super::{Error, Result};

/// Containers that go with the next restart are in a list of their own.
const LISTS: [&str; 2] = ["", "volatile-"];

/// Gives the content of a file, if it is there.
pub type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<Option<Vec<u8>>>;

/// podman's own images, layers and containers.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Nobody can tell now what it has: a home that is not there yet. Whatever it may need stays.
    pub is_unknown: bool,
    images: Vec<OwnImage>,
    containers: Vec<OwnContainer>,
    /// Layer and the one below it.
    parents: BTreeMap<String, Option<String>>,
}

impl Own {
    /// Reads the lists; a store that is not there has nothing.
    pub fn read(root: &Path) -> Result<Self> {
        Self::read_by(root, &|path| match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        })
    }

    /// Reads the lists of a store in another way than as files of ours.
    pub fn read_by(root: &Path, reader: Reader<'_>) -> Result<Self> {
        let mut own = Self { images: list(&root.join("overlay-images/images.json"), reader)?, ..Self::default() };
        for kind in LISTS {
            own.containers.extend(list(&root.join(format!("overlay-containers/{kind}containers.json")), reader)?);
            let layers: Vec<OwnLayer> = list(&root.join(format!("overlay-layers/{kind}layers.json")), reader)?;
            let parent = |layer: &OwnLayer| layer.parent.clone().filter(|id| !id.is_empty());
            own.parents.extend(layers.into_iter().map(|layer| (layer.id.clone(), parent(&layer))));
        }
        Ok(own)
    }

    /// Whether it has an image of this id.
    pub fn has_image(&self, id: &str) -> bool {
        self.images.iter().any(|image| image.id == id)
    }

    /// Whether one of its images of another id has this name.
    pub fn has_name(&self, name: &str, id: &str) -> bool {
        let named = |image: &&OwnImage| image.names.iter().flatten().any(|known| known == name);
        self.images.iter().filter(named).any(|image| image.id != id)
    }

    /// Layers that are not its own and that something of its own builds on, with the names of what does.
    pub fn needs(&self) -> BTreeMap<String, BTreeSet<String>> {
        let image = |image: &OwnImage| (image.layer.clone(), name("image", &image.id, image.names.as_deref()));
        let container = |one: &OwnContainer| (one.layer.clone(), name("container", &one.id, one.names.as_deref()));
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let named = self.images.iter().map(image).chain(self.containers.iter().map(container));
        for (layer, name) in named.filter_map(|(layer, name)| Some((layer.filter(|id| !id.is_empty())?, name))) {
            if let Some(outside) = self.outside(layer) {
                needs.entry(outside).or_default().insert(name);
            }
        }
        // Layers of a build under way belong to nothing yet.
        for (id, parent) in &self.parents {
            if let Some(parent) = parent.as_ref().filter(|parent| !self.parents.contains_key(*parent)) {
                needs.entry(parent.clone()).or_insert_with(|| BTreeSet::from([format!("layer {}", short(id))]));
            }
        }
        needs
    }

    /// The first layer, from this one down, that is not its own.
    fn outside(&self, layer: String) -> Option<String> {
        let mut next = Some(layer);
        // A chain that runs in a circle ends here.
        for _ in 0..=self.parents.len() {
            let id = next?;
            match self.parents.get(&id) {
                None => return Some(id),
                Some(parent) => next = parent.clone(),
            }
        }
        None
    }
}

fn name(kind: &str, id: &str, names: Option<&[String]>) -> String {
    format!("{kind} {}", names.and_then(<[String]>::first).map_or(short(id), String::as_str))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A JSON list; an absent file is an empty one.
fn list<T: DeserializeOwned>(path: &Path, reader: Reader<'_>) -> Result<Vec<T>> {
    match reader(path) {
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        Ok(None) => Ok(Vec::new()),
        Ok(Some(bytes)) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(Vec::new()),
        Ok(Some(bytes)) => serde_json::from_slice(&bytes)
            .map_err(|error| Error::Read { path: path.to_owned(), source: io::Error::other(error) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(images: &str, layers: &str, containers: &str) -> (tempfile::TempDir, Result<Own>) {
        let dir = tempfile::tempdir().unwrap();
        for (folder, file, text) in [
            ("images", "images", images),
            ("layers", "layers", layers),
            ("containers", "volatile-containers", containers),
        ] {
            let folder = dir.path().join(format!("overlay-{folder}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(format!("{file}.json")), text).unwrap();
        }
        let own = Own::read(dir.path());
        (dir, own)
    }

    #[test]
    fn what_builds_on_a_layer_of_others_is_named() {
        let (_dir, own) = store(
            r#"[{"id":"i1","names":["localhost/derived:latest"],"layer":"top"},{"id":"i2","layer":"base"},{"id":"i3","names":null}]"#,
            r#"[{"id":"top","parent":"mid"},{"id":"mid","parent":"base"},{"id":"rw","parent":"other"},{"id":"alone"}]"#,
            r#"[{"id":"c1","names":["shell"],"layer":"rw"}]"#,
        );
        let needs = own.unwrap().needs();
        let names = |layer: &str| needs[layer].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(names("base"), ["image i2", "image localhost/derived:latest"]);
        assert_eq!(names("other"), ["container shell"]);
        assert_eq!(needs.len(), 2);
    }

    #[test]
    fn names_and_ids_of_its_own_are_known() {
        let (_dir, own) = store(r#"[{"id":"i1","names":["localhost/a:v1"]}]"#, "", "[]");
        let own = own.unwrap();
        assert!(own.has_image("i1") && !own.has_image("i2"));
        assert!(own.has_name("localhost/a:v1", "i2") && !own.has_name("localhost/a:v1", "i1"));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error_and_no_store_is_an_empty_one() {
        assert!(store("[", "[]", "[]").1.is_err());
        assert!(Own::read(Path::new("/nowhere")).unwrap().needs().is_empty());
    }
}
