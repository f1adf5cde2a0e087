//! What the store has of an image: layers that need not be fetched, and the tree of an image that was imported before.

use std::path::PathBuf;

use anyhow::{ensure, Context};
use oci_spec::image::{ImageConfiguration, ImageManifest};
use sha2::{Digest as _, Sha256};

use super::{config_stream, layer_stream, manifest_stream, Imported, CONFIG_STREAM, MANIFEST_STREAM};
use crate::fetch::ImageMeta;
use crate::image::Tree;
use crate::import;
use crate::model::reference::Reference;
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

/// A layer grows by so much when it is unpacked, seldom by more.
const UNPACKED: u64 = 3;

/// How many bytes the layers that an import would read add to the store, at most as a rule.
pub fn growth(meta: &ImageMeta, store: &Store) -> anyhow::Result<u64> {
    let layers = meta.manifest.layers();
    let grown = unknown_layers(meta, store)?.into_iter().map(|(index, size)| match layers.get(index) {
        Some(layer) if layer.media_type().as_ref().ends_with(".tar") => size,
        _ => size.saturating_mul(UNPACKED),
    });
    Ok(grown.fold(0, u64::saturating_add))
}

/// Whether a manifest's stream and all that it refers to is what its name says; the contents of objects are not looked at.
pub fn check_manifest(store: &Store, manifest_digest: &str) -> anyhow::Result<()> {
    Documents::read(store, manifest_digest)?.layers(store).map(drop)
}

/// Whether a layer's stream is a tar stream whose objects are there; any other stream is fine.
pub fn check_layer(store: &Store, name: &str, stream: &Digest) -> anyhow::Result<()> {
    let hex = name.strip_prefix("oci-layer-sha256:").and_then(|hex| hex::decode(hex).ok()?.try_into().ok());
    let Some(id) = hex else { return Ok(()) };
    import::read_back(store, stream, &id)?.context("an object of it is missing").map(drop)
}

/// The bytes of a configuration that the store has.
pub fn known_config(store: &Store, digest: &str) -> Option<Vec<u8>> {
    let stream = store.stream(&config_stream(digest)).ok().flatten()?;
    Some(Stored::read(store, &stream, CONFIG_STREAM, digest).ok()?.bytes)
}

fn is_known(store: &Store, name: &str) -> bool {
    store.stream(name).ok().flatten().is_some_and(|digest| store.holds(&digest))
}

/// The merged tree of an image that the store has, by the OCI digest of its manifest.
pub fn stored_tree(store: &Store, manifest_digest: &str) -> anyhow::Result<Tree> {
    let tree = Documents::read(store, manifest_digest).and_then(|documents| documents.tree(store));
    Ok(tree.map_err(|source| not_stored(store, manifest_digest, source))?)
}

/// The whole image, as if it had just been imported from there.
pub fn stored_image(store: &Store, manifest_digest: &str, reference: &Reference) -> anyhow::Result<Imported> {
    let read = || {
        let documents = Documents::read(store, manifest_digest)?;
        let tree = documents.tree(store)?;
        let Documents { manifest, config, .. } = documents;
        Ok(Imported::known(ImageMeta::new(reference, manifest.bytes, config.bytes)?, tree))
    };
    Ok(read().map_err(|source| not_stored(store, manifest_digest, source))?)
}

fn not_stored(store: &Store, digest: &str, source: anyhow::Error) -> NotStored {
    NotStored { digest: digest.to_owned(), store: store.path().to_owned(), source: source.into() }
}

/// An image in the store, piece by piece.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// Manifest and configuration.
    pub meta: ImageMeta,
    /// The manifest's stream.
    pub manifest_stream: Digest,
    /// Diff ID, stream and size of the tar stream of each layer, from the base up.
    pub layers: Vec<([u8; 32], Digest, u64)>,
}

/// Finds all pieces of an image in the store; no layer is unpacked.
pub fn stored_pieces(store: &Store, manifest_digest: &str) -> anyhow::Result<Pieces> {
    let read = || {
        let documents = Documents::read(store, manifest_digest)?;
        let size = |(id, stream)| Ok((id, stream, store.read_stream(&stream, import::LAYER_STREAM)?.size));
        let layers = documents.layers(store)?.into_iter().map(size).collect::<anyhow::Result<_>>()?;
        let name = manifest_stream(manifest_digest);
        let manifest_stream = store.stream(&name)?.with_context(|| format!("there is no stream {name}"))?;
        let Documents { manifest, config, .. } = documents;
        let reference = Reference::Registry(manifest_digest.to_owned());
        Ok(Pieces { meta: ImageMeta::new(&reference, manifest.bytes, config.bytes)?, manifest_stream, layers })
    };
    Ok(read().map_err(|source| not_stored(store, manifest_digest, source))?)
}

/// Manifest and configuration of an image in the store.
pub(super) struct Documents {
    pub manifest: Stored,
    pub config: Stored,
    /// The configuration's digest.
    pub config_digest: String,
}

impl Documents {
    pub fn read(store: &Store, manifest_digest: &str) -> anyhow::Result<Self> {
        let name = manifest_stream(manifest_digest);
        let stream = store.stream(&name)?.with_context(|| format!("there is no stream {name}"))?;
        let manifest = Stored::read(store, &stream, MANIFEST_STREAM, manifest_digest)?;
        let parsed: ImageManifest = serde_json::from_slice(&manifest.bytes)?;
        let config_digest = parsed.config().digest().to_string();
        let stream = manifest.reference(&format!("config:{config_digest}"), &config_stream(&config_digest), store)?;
        let config = Stored::read(store, &stream, CONFIG_STREAM, &config_digest)?;
        Ok(Self { manifest, config, config_digest })
    }

    /// Diff ID and stream of each layer.
    fn layers(&self, store: &Store) -> anyhow::Result<Vec<([u8; 32], Digest)>> {
        let config: ImageConfiguration = serde_json::from_slice(&self.config.bytes)?;
        let layer = |text: &String| {
            let hex = text.strip_prefix("sha256:").and_then(|hex| hex::decode(hex).ok()?.try_into().ok());
            let id: [u8; 32] = hex.with_context(|| format!("{text:?} is no SHA-256 diff ID"))?;
            Ok((id, self.manifest.reference(text, &layer_stream(&id), store)?))
        };
        config.rootfs().diff_ids().iter().map(layer).collect()
    }

    fn tree(&self, store: &Store) -> anyhow::Result<Tree> {
        let mut layers = Vec::new();
        for (id, stream) in self.layers(store)? {
            let entries = import::read_back(store, &stream, &id)?;
            let missing = || format!("an object of the layer sha256:{} is missing", hex::encode(id));
            layers.push(entries.with_context(missing)?);
        }
        Ok(Tree::from_layers(layers)?)
    }
}

/// A manifest or configuration from the store.
pub(super) struct Stored {
    pub reader: Reader,
    pub bytes: Vec<u8>,
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
