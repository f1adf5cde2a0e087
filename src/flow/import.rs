//! fetch ► import ► store ► image: an image's layers into a store, and the merged tree.
//!
//! On disk: all objects, one sync, then the names of layers, configuration, manifest and tag, one sync.

mod images;
mod layers;
mod stored;
mod watched;

use std::collections::HashSet;

use anyhow::Context;

use crate::fetch::{ImageMeta, Source};
use crate::image::{Node, Tree};
use crate::model::progress::Event;
use crate::model::sharing::Shared;
use crate::model::Digest;
use crate::share::published;
use crate::store::stream::Writer;
use crate::store::Store;
use crate::sys::Sys;
pub use images::{images_of, keep_images, not_bootable, Images, MadeImages};
pub use stored::{
    check_layer, check_manifest, growth, known_config, known_layers, stored_image, stored_pieces, stored_tree,
    unknown_layers, NotStored, Pieces,
};

/// Content types of the streams, as composefs-rs has them.
const CONFIG_STREAM: &[u8; 8] = b"ociconfg";
const MANIFEST_STREAM: &[u8; 8] = b"ocimanif";
/// The folder of tags.
pub const TAGS: &str = "oci";

/// An image whose layers are all in a store.
#[derive(Debug)]
pub struct Imported {
    /// Manifest and configuration.
    pub meta: ImageMeta,
    /// The merged tree.
    pub tree: Tree,
    /// What it took.
    pub stats: Stats,
}

/// Whether a tag keeps the image in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Under its reference, until somebody removes that.
    Tagged,
    /// As long as a deployment has it.
    Untagged,
}

/// Counts of one import.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Blob bytes read.
    pub bytes_fetched: u64,
    /// Object bytes written.
    pub bytes_written: u64,
    /// Objects that were not there.
    pub objects_new: u64,
    /// Objects of the image.
    pub objects_total: u64,
    /// Objects that share their bytes with podman's storage.
    #[serde(flatten)]
    pub shared: Shared,
}

impl Stats {
    /// Of two imports.
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes_fetched: self.bytes_fetched + other.bytes_fetched,
            bytes_written: self.bytes_written + other.bytes_written,
            objects_new: self.objects_new + other.objects_new,
            objects_total: self.objects_total + other.objects_total,
            shared: self.shared.and(other.shared),
        }
    }
}

impl Imported {
    /// An image that was there before the import: nothing was read or written.
    pub fn known(meta: ImageMeta, tree: Tree) -> Self {
        let stats = Stats { objects_total: objects(&tree), ..Stats::default() };
        Self { meta, tree, stats }
    }
}

/// The name of a manifest's stream.
pub fn manifest_stream(digest: &str) -> String {
    format!("oci-manifest-{digest}")
}

/// The manifest's digest out of the name of its stream.
pub fn manifest_of(stream: &str) -> Option<&str> {
    stream.strip_prefix("oci-manifest-")
}

fn config_stream(digest: &str) -> String {
    format!("oci-config-{digest}")
}

fn layer_stream(diff_id: &[u8; 32]) -> String {
    format!("oci-layer-sha256:{}", hex::encode(diff_id))
}

/// Imports all layers. Layers whose diff ID the store knows are not read again, also those of an import that failed later on.
pub fn import(
    source: &dyn Source,
    store: &Store,
    sys: &Sys,
    keep: Keep,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<Imported> {
    let meta = source.image().clone();
    watch(Event::Step(format!("Importing {}", meta.reference)));
    let (mut layers, mut stats) =
        layers::read(source, store, sys, watch).with_context(|| format!("cannot import {}", meta.reference))?;
    if let Some(text) = stats.shared.text() {
        watch(Event::Step(format!("From podman's storage: {text}")));
    }
    watch(Event::Step("Merging the layers".to_owned()));
    let entries = layers.iter_mut().map(|layer| std::mem::take(&mut layer.entries)).collect();
    let cannot_store = || format!("cannot store {}", meta.reference);
    let streams = Streams::put(&meta, store, sys, &layers).with_context(cannot_store)?;
    // The disk works while the layers are merged.
    let mut durable = Ok(());
    let tree = std::thread::scope(|scope| {
        scope.spawn(|| durable = store.sync(sys));
        Tree::from_layers(entries)
    });
    // What makes no image gets no names.
    let tree = tree.with_context(|| format!("cannot make an image of {}", meta.reference))?;
    durable.with_context(cannot_store)?;
    streams.name(store, sys, keep).with_context(cannot_store)?;
    stats.objects_total = objects(&tree);
    Ok(Imported { meta, tree, stats })
}

/// Imports an image for podman, with what podman will read of it. It may lack what a host's image has to have; nothing of it is read
/// if all is there.
pub fn import_container(
    source: &dyn Source,
    store: &Store,
    sys: &Sys,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<Stats> {
    let meta = source.image();
    watch(Event::Step(format!("Importing {}", meta.reference)));
    let digest = meta.manifest_digest.as_ref();
    let mut stats = Stats::default();
    let sound = |(id, stream, _): &([u8; 32], Digest, u64)| {
        crate::import::read_back(store, stream, id).is_ok_and(|entries| entries.is_some())
    };
    // Not there, or not whole: what is sound of it is not read again.
    if !stored_pieces(store, digest).is_ok_and(|pieces| pieces.layers.iter().all(sound)) {
        let (layers, read) =
            layers::read(source, store, sys, watch).with_context(|| format!("cannot import {}", meta.reference))?;
        let keep = || {
            let streams = Streams::put(meta, store, sys, &layers)?;
            store.sync(sys)?;
            streams.name(store, sys, Keep::Untagged)
        };
        keep().with_context(|| format!("cannot store {}", meta.reference))?;
        stats = read;
    }
    let Pieces { manifest_stream, layers, .. } = stored_pieces(store, digest)?;
    let layers: Vec<_> = layers.iter().map(|(id, stream, _)| (*id, *stream)).collect();
    published::prepare(store, sys, (digest, &manifest_stream), &layers)
        .with_context(|| format!("podman could not read {}", meta.reference))?;
    stats.objects_total = store.needed_by(&manifest_stream)?.len() as u64;
    stats.bytes_fetched += source.bytes_again();
    Ok(stats)
}

/// An image's streams, all in the store: objects first, names last, so whoever finds a name finds all that it leads to.
struct Streams<'a> {
    meta: &'a ImageMeta,
    layers: &'a [layers::Layer],
    config: (String, Digest),
    manifest: (String, Digest),
}

impl<'a> Streams<'a> {
    fn put(meta: &'a ImageMeta, store: &Store, sys: &Sys, layers: &'a [layers::Layer]) -> anyhow::Result<Self> {
        let key = |layer: &layers::Layer| (format!("sha256:{}", hex::encode(layer.diff_id)), layer.stream);
        let mut refs: Vec<(String, Digest)> = layers.iter().map(key).collect();
        let config_digest = meta.manifest.config().digest();
        let name = config_stream(config_digest.as_ref());
        let config = Document { name, kind: CONFIG_STREAM, bytes: &meta.config_bytes };
        let config_at = config.put(store, sys, &refs)?;
        refs.push((format!("config:{config_digest}"), config_at));
        let name = manifest_stream(meta.manifest_digest.as_ref());
        let manifest = Document { name, kind: MANIFEST_STREAM, bytes: &meta.manifest_bytes };
        let manifest_at = manifest.put(store, sys, &refs)?;
        Ok(Self { meta, layers, config: (config.name, config_at), manifest: (manifest.name, manifest_at) })
    }

    /// Gives them their names; they are durable.
    fn name(&self, store: &Store, sys: &Sys, keep: Keep) -> anyhow::Result<()> {
        layers::name(store, sys, self.layers)?;
        for (name, stream) in [&self.config, &self.manifest] {
            store.name_stream(sys, name, stream)?;
        }
        if keep == Keep::Tagged {
            store.tag_stream(sys, TAGS, &self.meta.reference.to_string(), &self.manifest.0)?;
        }
        Ok(store.sync(sys)?)
    }
}

/// Manifest or configuration: a stream that is one object, and refers to what it names.
struct Document<'a> {
    name: String,
    kind: &'static [u8; 8],
    bytes: &'a [u8],
}

impl Document<'_> {
    fn put(&self, store: &Store, sys: &Sys, refs: &[(String, Digest)]) -> anyhow::Result<Digest> {
        let object = store.put(sys, self.bytes)?;
        // composefs-rs adds names of its own to such a stream: one that says what ours would is kept.
        if let Some(known) = store.stream(&self.name).ok().flatten() {
            let says_all = store.read_stream(&known, self.kind).is_ok_and(|reader| {
                reader.objects == [object] && refs.iter().all(|(name, stream)| reader.names.get(name) == Some(stream))
            });
            if says_all {
                return Ok(known);
            }
        }
        let mut writer = Writer::new(self.kind)?;
        for (name, stream) in refs {
            writer.name(name, *stream);
        }
        writer.object(object, self.bytes.len() as u64)?;
        Ok(store.put(sys, &writer.finish()?)?)
    }
}

fn objects(tree: &Tree) -> u64 {
    let digests = tree.walk("").into_iter().filter_map(|(_, node, _)| match node {
        Node::Object { digest, .. } => Some(digest),
        _ => None,
    });
    digests.collect::<HashSet<_>>().len() as u64
}

#[cfg(test)]
mod tests;
