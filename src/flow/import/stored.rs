//! What the store has of an image: layers that need not be fetched, and the tree of an image that was imported before.

use std::path::PathBuf;

use anyhow::{ensure, Context};
use oci_spec::image::{ImageConfiguration, ImageManifest};
use sha2::{Digest as _, Sha256};

use super::{config_stream, layer_stream, manifest_stream, CONFIG_STREAM, MANIFEST_STREAM};
use crate::fetch::ImageMeta;
use crate::image::Tree;
use crate::import;
use crate::model::Digest;
use crate::store::stream::Reader;
use crate::store::Store;

/// An image that should be in the store and is not there whole.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store in {} does not have the image {digest} whole: start another deployment (`cfs-host rollback`), \
     or install again", store.display()
)]
pub struct NotStored {
    digest: String,
    store: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The layers that an import would read: index and blob bytes. A stream counts as known if its object is there; nothing is read.
pub fn unknown_layers(meta: &ImageMeta, store: &Store) -> anyhow::Result<Vec<(usize, u64)>> {
    let layers = meta.manifest.layers().iter().map(|layer| layer.size());
    let all = meta.diff_ids()?.into_iter().zip(layers).enumerate();
    Ok(all.filter(|(_, (id, _))| !is_known(store, &layer_stream(id))).map(|(index, (_, size))| (index, size)).collect())
}

/// The names of the streams that an import would not read again.
pub fn known_layers(meta: &ImageMeta, store: &Store) -> anyhow::Result<Vec<String>> {
    let names = meta.diff_ids()?.into_iter().map(|id| layer_stream(&id));
    Ok(names.filter(|name| is_known(store, name)).collect())
}

fn is_known(store: &Store, name: &str) -> bool {
    store.stream(name).ok().flatten().is_some_and(|digest| store.holds(&digest))
}

/// The merged tree of an image that the store has, by the OCI digest of its manifest.
pub fn stored_tree(store: &Store, manifest_digest: &str) -> anyhow::Result<Tree> {
    let not_stored = |source: anyhow::Error| NotStored {
        digest: manifest_digest.to_owned(),
        store: store.path().to_owned(),
        source: source.into(),
    };
    Ok(read(store, manifest_digest).map_err(not_stored)?)
}

fn read(store: &Store, manifest_digest: &str) -> anyhow::Result<Tree> {
    let name = manifest_stream(manifest_digest);
    let stream = store.stream(&name)?.with_context(|| format!("there is no stream {name}"))?;
    let manifest = Stored::read(store, &stream, MANIFEST_STREAM, manifest_digest)?;
    let parsed: ImageManifest = serde_json::from_slice(&manifest.bytes)?;
    let config_digest = parsed.config().digest().to_string();
    let stream = manifest.reference(&format!("config:{config_digest}"), &config_stream(&config_digest), store)?;
    let config = Stored::read(store, &stream, CONFIG_STREAM, &config_digest)?;
    let config: ImageConfiguration = serde_json::from_slice(&config.bytes)?;
    let mut layers = Vec::new();
    for text in config.rootfs().diff_ids() {
        let hex = text.strip_prefix("sha256:").and_then(|hex| hex::decode(hex).ok()?.try_into().ok());
        let id: [u8; 32] = hex.with_context(|| format!("{text:?} is no SHA-256 diff ID"))?;
        let stream = manifest.reference(text, &layer_stream(&id), store)?;
        let entries = import::read_back(store, &stream, &id)?;
        layers.push(entries.with_context(|| format!("an object of the layer {text} is missing"))?);
    }
    Ok(Tree::from_layers(layers)?)
}

/// A manifest or configuration from the store.
struct Stored {
    reader: Reader,
    bytes: Vec<u8>,
}

impl Stored {
    fn read(store: &Store, stream: &Digest, kind: &[u8; 8], digest: &str) -> anyhow::Result<Self> {
        let reader = store.read_stream(stream, kind)?;
        let object = reader.objects.first().with_context(|| format!("the stream of {digest} holds nothing"))?;
        let bytes = store.read(object)?;
        let found = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        ensure!(found == digest, "the stream of {digest} holds {found}");
        Ok(Self { reader, bytes })
    }

    /// The stream that this one refers to; by the name that others gave it, if that says more than this one knows.
    fn reference(&self, key: &str, name: &str, store: &Store) -> anyhow::Result<Digest> {
        let known = self.reader.names.get(key).copied().filter(|digest| store.holds(digest));
        match known {
            Some(digest) => Ok(digest),
            None => store.stream(name)?.with_context(|| format!("there is no stream {name}")),
        }
    }
}
