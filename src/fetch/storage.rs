//! `containers-storage:`: podman's own storage, read in place (overlay driver), with its additional image stores.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde::Deserialize;

use super::storage_conf::{BadStores, Stores};
use super::tarsplit::TarSplit;
use super::{Compression, Error, ImageMeta, LayerStream, Result, Source};
use crate::model::reference::Reference;

/// The driver that we read, and its folder.
const DRIVER: &str = "overlay";
/// An image id may be cut; shorter than this it is rather a name.
const ID_MIN: usize = 6;

/// One image of podman's storage.
pub(super) struct Storage {
    meta: ImageMeta,
    /// Store and layer id, from the base up.
    layers: Vec<(PathBuf, String)>,
}

#[derive(Deserialize)]
struct Image {
    id: String,
    names: Option<Vec<String>>,
    layer: Option<String>,
}

#[derive(Deserialize)]
struct Layer {
    id: String,
    parent: Option<String>,
}

impl Storage {
    /// Finds the image by name or id.
    pub(super) fn open(reference: &Reference, name: &str) -> Result<Self> {
        let (stores, name) = stores(reference, name)?;
        let finder = Finder { reference, stores };
        let (store, image) = finder.image(name)?;
        let folder = store.join("overlay-images").join(&image.id);
        let manifest = finder.file(&folder.join("manifest"))?;
        let config_digest = super::meta::parse_manifest(reference, &manifest)?.config().digest().to_string();
        let config = finder.file(&folder.join(format!("={}", STANDARD.encode(config_digest))))?;
        let meta = ImageMeta::new(reference, manifest, config)?;
        let layers = finder.chain(image.layer)?;
        if layers.len() != meta.manifest.layers().len() {
            let why = format!("there are {} layers, the manifest names {}", layers.len(), meta.manifest.layers().len());
            return Err(finder.invalid("its layers", why));
        }
        Ok(Self { meta, layers })
    }
}

impl Source for Storage {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn layer(&self, index: usize) -> Result<LayerStream<'_>> {
        let reference = || self.meta.reference.clone();
        let (store, id) = self.layers.get(index).ok_or_else(|| {
            let why = format!("it has no layer {index}");
            Error::Invalid { reference: reference(), what: "the manifest".to_owned(), why }
        })?;
        let list = store.join(format!("overlay-layers/{id}.tar-split.gz"));
        let stream = TarSplit::open(&list, &store.join(DRIVER).join(id).join("diff"))
            .map_err(|source| Error::Read { reference: reference(), what: format!("layer {id}"), source })?;
        let (stream, originals) = stream.with_originals();
        Ok(LayerStream { originals: Some(originals), ..LayerStream::new(Compression::None, stream) })
    }
}

/// Looks through all stores.
struct Finder<'a> {
    reference: &'a Reference,
    stores: Vec<PathBuf>,
}

impl Finder<'_> {
    fn image(&self, name: &str) -> Result<(PathBuf, Image)> {
        let names = [
            name.to_owned(),
            format!("{name}:latest"),
            format!("localhost/{name}"),
            format!("localhost/{name}:latest"),
        ];
        let id = name.strip_prefix("sha256:").unwrap_or(name);
        let mut by_id = None;
        for store in &self.stores {
            for image in self.list::<Image>(&store.join("overlay-images/images.json"))? {
                if image.names.iter().flatten().any(|name| names.contains(name)) {
                    return Ok((store.clone(), image));
                }
                if id.len() >= ID_MIN && image.id.starts_with(id) {
                    by_id.get_or_insert((store.clone(), image));
                }
            }
        }
        by_id.ok_or_else(|| {
            let stores: Vec<_> = self.stores.iter().map(|store| store.display().to_string()).collect();
            let advice =
                format!("run `podman images` as the same user to see the names (looked into {})", stores.join(", "));
            Error::NotFound { reference: self.reference.clone(), advice }
        })
    }

    /// The layers below and including the top one; any store may hold any of them.
    fn chain(&self, top: Option<String>) -> Result<Vec<(PathBuf, String)>> {
        let mut known = HashMap::new();
        for store in self.stores.iter().rev() {
            for list in ["overlay-layers/volatile-layers.json", "overlay-layers/layers.json"] {
                for layer in self.list::<Layer>(&store.join(list))? {
                    known.insert(layer.id, (store.clone(), layer.parent));
                }
            }
        }
        let (mut chain, mut seen) = (Vec::new(), HashSet::new());
        let mut next = top.filter(|id| !id.is_empty());
        while let Some(id) = next {
            if !seen.insert(id.clone()) {
                return Err(self.invalid("its layers", format!("layer {id} is its own parent")));
            }
            let Some((store, parent)) = known.get(&id) else {
                return Err(
                    self.invalid("its layers", format!("layer {id} is missing (podman system check may tell why)"))
                );
            };
            chain.push((store.clone(), id));
            next = parent.clone().filter(|id| !id.is_empty());
        }
        chain.reverse();
        Ok(chain)
    }

    /// A JSON list; an absent file is an empty one.
    fn list<T: DeserializeOwned>(&self, path: &Path) -> Result<Vec<T>> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(self.unreadable(path, source)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| self.invalid(&path.display().to_string(), error.to_string())),
        }
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>> {
        fs::read(path).map_err(|source| self.unreadable(path, source))
    }

    fn unreadable(&self, path: &Path, source: io::Error) -> Error {
        Error::Read { reference: self.reference.clone(), what: path.display().to_string(), source }
    }

    fn invalid(&self, what: &str, why: String) -> Error {
        Error::Invalid { reference: self.reference.clone(), what: what.to_owned(), why }
    }
}

/// Where podman keeps its images, by its own settings; nowhere, if it has none.
pub fn podman_storage() -> Result<Option<PathBuf>> {
    let (stores, _) = stores(&Reference::ContainersStorage(String::new()), "")?;
    Ok(stores.into_iter().next().filter(|store| store.join(DRIVER).is_dir()))
}

/// The stores to look into, and the name without the store: `[overlay@/graph/root+/run/root]name` names one itself.
fn stores<'a>(reference: &Reference, name: &'a str) -> Result<(Vec<PathBuf>, &'a str)> {
    let invalid = |what: &str, why: String| Error::Invalid { reference: reference.clone(), what: what.into(), why };
    if let Some((store, name)) = name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let root = store.split_once('@').map_or(store, |(_, root)| root).split(['+', ':']).next().unwrap_or_default();
        return Ok((vec![PathBuf::from(root)], name));
    }
    let stores = Stores::read().map_err(|error| match error {
        BadStores::Read { path, source } => {
            Error::Read { reference: reference.clone(), what: path.display().to_string(), source }
        }
        BadStores::Invalid { path, why } => invalid(&path.display().to_string(), why),
        BadStores::Driver(_) => invalid("podman's storage", error.to_string()),
    })?;
    Ok((stores.all(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(store: &Path, name: &str) -> String {
        let reference = Reference::ContainersStorage(format!("[overlay@{}+/run]{name}", store.display()));
        let Reference::ContainersStorage(name) = &reference else { unreachable!() };
        Storage::open(&reference, name).err().unwrap().to_string()
    }

    #[test]
    fn an_unknown_name_tells_where_was_looked_and_how_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let error = open(dir.path(), "localhost/none:v1");
        assert!(error.contains("podman images") && error.contains(&dir.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_chain_that_is_broken_or_runs_in_a_circle_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let reference = "containers-storage:x".parse().unwrap();
        fs::create_dir(dir.path().join("overlay-layers")).unwrap();
        let list = r#"[{"id":"a","parent":"b"},{"id":"b","parent":"a"},{"id":"c","parent":"gone"},{"id":"d"},{"id":"e","parent":"d"}]"#;
        fs::write(dir.path().join("overlay-layers/layers.json"), list).unwrap();
        let finder = Finder { reference: &reference, stores: vec![dir.path().to_owned()] };
        assert!(finder.chain(Some("a".into())).unwrap_err().to_string().contains("own parent"));
        assert!(finder.chain(Some("c".into())).unwrap_err().to_string().contains("gone"));
        let ids: Vec<_> = finder.chain(Some("e".into())).unwrap().into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, ["d", "e"]);
    }
}
