//! fetch ► import ► store ► image: an image's layers into a store, and the merged tree.
//!
//! On disk: all objects, one sync, then the names of layers, configuration, manifest and tag, one sync.

mod images;
mod stored;
mod watched;

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use anyhow::Context;

use crate::fetch::{ImageMeta, LayerStream, Source};
use crate::image::{Node, Tree};
use crate::import::{self, Entry};
use crate::model::progress::{Event, LayerState};
use crate::model::Digest;
use crate::store::stream::Writer;
use crate::store::Store;
use crate::sys::Sys;
pub use images::{images_of, keep_images, not_bootable, Images, MadeImages};
pub use stored::{
    check_layer, check_manifest, growth, known_config, known_layers, stored_image, stored_pieces, stored_tree,
    unknown_layers, NotStored, Pieces,
};
use watched::{Teller, Watched};

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
}

impl Imported {
    /// An image that was there before the import: nothing was read or written.
    pub fn known(meta: ImageMeta, tree: Tree) -> Self {
        let stats = Stats { objects_total: objects(&tree), ..Stats::default() };
        Self { meta, tree, stats }
    }
}

/// A layer in the store.
struct Layer {
    diff_id: [u8; 32],
    stream: Digest,
    entries: Vec<Entry>,
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
    let mut stats = Stats::default();
    let mut layers = Vec::new();
    let all = read_layers(source, store, sys, watch, &mut layers, &mut stats);
    if all.is_err() && !layers.is_empty() {
        name_layers(store, sys, &layers).context("cannot keep the layers that were fetched")?;
    }
    all.with_context(|| format!("cannot import {}", meta.reference))?;
    publish(&meta, store, sys, &layers, keep).with_context(|| format!("cannot store {}", meta.reference))?;
    let tree = Tree::from_layers(layers.into_iter().map(|layer| layer.entries).collect())
        .with_context(|| format!("cannot make an image of {}", meta.reference))?;
    stats.objects_total = objects(&tree);
    Ok(Imported { meta, tree, stats })
}

fn read_layers(
    source: &dyn Source,
    store: &Store,
    sys: &Sys,
    watch: &(dyn Fn(Event) + Sync),
    layers: &mut Vec<Layer>,
    stats: &mut Stats,
) -> anyhow::Result<()> {
    watch(Event::Step(format!("Importing {}", source.image().reference)));
    let diff_ids = source.image().diff_ids()?;
    let tellers = Teller::of_all(source.image(), store, watch)?;
    for ((index, diff_id), teller) in diff_ids.iter().enumerate().zip(&tellers) {
        // A stream that cannot be read any more is as good as none: it is written again.
        let known = store.stream(&layer_stream(diff_id)).ok().flatten();
        let read_back = known.and_then(|stream| import::read_back(store, &stream, diff_id).ok().flatten().zip(known));
        let (entries, stream) = match read_back {
            Some(known) => known,
            None => read_layer(source.layer(index)?, diff_id, store, sys, teller, stats)?,
        };
        layers.push(Layer { diff_id: *diff_id, stream, entries });
    }
    watch(Event::Step("Merging the layers".to_owned()));
    Ok(())
}

fn read_layer(
    blob: LayerStream<'_>,
    diff_id: &[u8; 32],
    store: &Store,
    sys: &Sys,
    teller: &Teller<'_>,
    stats: &mut Stats,
) -> anyhow::Result<(Vec<Entry>, Digest)> {
    let fetched = AtomicU64::new(0);
    let LayerStream { compression, reader } = blob;
    let watched = LayerStream { compression, reader: Box::new(Watched::new(reader, &fetched, teller)) };
    let imported = import::import(watched, diff_id, store, sys)?;
    let bytes = fetched.into_inner();
    teller.tell(LayerState::Done, bytes);
    stats.bytes_fetched += bytes;
    stats.bytes_written += imported.counts.bytes;
    stats.objects_new += imported.counts.objects;
    Ok((imported.entries, imported.stream))
}

/// Objects first, names last: whoever finds a name finds all that it leads to.
fn publish(meta: &ImageMeta, store: &Store, sys: &Sys, layers: &[Layer], keep: Keep) -> anyhow::Result<()> {
    let key = |layer: &Layer| (format!("sha256:{}", hex::encode(layer.diff_id)), layer.stream);
    let mut refs: Vec<(String, Digest)> = layers.iter().map(key).collect();
    let config_digest = meta.manifest.config().digest();
    let config =
        Document { name: config_stream(config_digest.as_ref()), kind: CONFIG_STREAM, bytes: &meta.config_bytes };
    let config_at = config.put(store, sys, &refs)?;
    refs.push((format!("config:{config_digest}"), config_at));
    let name = manifest_stream(meta.manifest_digest.as_ref());
    let manifest = Document { name, kind: MANIFEST_STREAM, bytes: &meta.manifest_bytes };
    let manifest_stream = manifest.put(store, sys, &refs)?;

    name_layers(store, sys, layers)?;
    store.name_stream(sys, &config.name, &config_at)?;
    store.name_stream(sys, &manifest.name, &manifest_stream)?;
    if keep == Keep::Tagged {
        store.tag_stream(sys, TAGS, &meta.reference.to_string(), &manifest.name)?;
    }
    Ok(store.sync(sys)?)
}

fn name_layers(store: &Store, sys: &Sys, layers: &[Layer]) -> anyhow::Result<()> {
    store.sync(sys)?;
    for layer in layers {
        store.name_stream(sys, &layer_stream(&layer.diff_id), &layer.stream)?;
    }
    Ok(())
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
