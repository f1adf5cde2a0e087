//! fetch ► import ► store ► image: an image's layers into a store, and the merged tree.
//!
//! On disk: all objects, one sync, then the names of layers, configuration, manifest and tag, one sync.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;

use crate::fetch::{ImageMeta, LayerStream, Source};
use crate::image::{Node, Tree};
use crate::import::{self, Entry};
use crate::model::progress::Event;
use crate::model::Digest;
use crate::store::stream::Writer;
use crate::store::Store;
use crate::sys::Sys;

/// Content types of the streams, as composefs-rs has them.
const CONFIG_STREAM: &[u8; 8] = b"ociconfg";
const MANIFEST_STREAM: &[u8; 8] = b"ocimanif";
/// The folder of tags.
const TAGS: &str = "oci";

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

/// A layer in the store.
struct Layer {
    diff_id: String,
    stream: Digest,
    entries: Vec<Entry>,
}

impl Layer {
    /// The name of its stream.
    fn name(&self) -> String {
        format!("oci-layer-{}", self.diff_id)
    }
}

/// Imports all layers. Layers whose diff ID the store knows are not read again, also those of an import that failed later on.
pub fn import(
    source: &mut dyn Source,
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
    source: &mut dyn Source,
    store: &Store,
    sys: &Sys,
    watch: &(dyn Fn(Event) + Sync),
    layers: &mut Vec<Layer>,
    stats: &mut Stats,
) -> anyhow::Result<()> {
    let _ = watch;
    for (index, diff_id) in source.image().diff_ids()?.into_iter().enumerate() {
        let mut layer = Layer {
            diff_id: format!("sha256:{}", hex::encode(diff_id)),
            stream: Digest::new([0; 32]),
            entries: Vec::new(),
        };
        // A stream that cannot be read any more is as good as none: it is written again.
        let known = store.stream(&layer.name()).ok().flatten();
        let read_back = known.and_then(|stream| import::read_back(store, &stream, &diff_id).ok().flatten().zip(known));
        (layer.entries, layer.stream) = match read_back {
            Some(known) => known,
            None => {
                let fetched = AtomicU64::new(0);
                let LayerStream { compression, reader } = source.layer(index)?;
                let counted = LayerStream { compression, reader: Box::new(Counted { reader, bytes: &fetched }) };
                let imported = import::import(counted, &diff_id, store, sys)?;
                stats.bytes_fetched += fetched.into_inner();
                stats.bytes_written += imported.counts.bytes;
                stats.objects_new += imported.counts.objects;
                (imported.entries, imported.stream)
            }
        };
        layers.push(layer);
    }
    Ok(())
}

/// Objects first, names last: whoever finds a name finds all that it leads to.
fn publish(meta: &ImageMeta, store: &Store, sys: &Sys, layers: &[Layer], keep: Keep) -> anyhow::Result<()> {
    let mut refs: Vec<(String, Digest)> = layers.iter().map(|layer| (layer.diff_id.clone(), layer.stream)).collect();
    let config_digest = meta.manifest.config().digest();
    let config =
        Document { name: format!("oci-config-{config_digest}"), kind: CONFIG_STREAM, bytes: &meta.config_bytes };
    let config_stream = config.put(store, sys, &refs)?;
    refs.push((format!("config:{config_digest}"), config_stream));
    let name = format!("oci-manifest-{}", meta.manifest_digest);
    let manifest = Document { name, kind: MANIFEST_STREAM, bytes: &meta.manifest_bytes };
    let manifest_stream = manifest.put(store, sys, &refs)?;

    name_layers(store, sys, layers)?;
    store.name_stream(sys, &config.name, &config_stream)?;
    store.name_stream(sys, &manifest.name, &manifest_stream)?;
    if keep == Keep::Tagged {
        store.tag_stream(sys, TAGS, &meta.reference.to_string(), &manifest.name)?;
    }
    Ok(store.sync(sys)?)
}

fn name_layers(store: &Store, sys: &Sys, layers: &[Layer]) -> anyhow::Result<()> {
    store.sync(sys)?;
    for layer in layers {
        store.name_stream(sys, &layer.name(), &layer.stream)?;
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

/// The layers that an import would read: index and blob bytes.
pub fn unknown_layers(meta: &ImageMeta, store: &Store) -> anyhow::Result<Vec<(usize, u64)>> {
    let _ = (meta, store);
    todo!()
}

/// The merged tree of an image that the store has, by the OCI digest of its manifest.
pub fn stored_tree(store: &Store, manifest_digest: &str) -> anyhow::Result<Tree> {
    let _ = (store, manifest_digest);
    todo!()
}

fn objects(tree: &Tree) -> u64 {
    let digests = tree.walk("").into_iter().filter_map(|(_, node, _)| match node {
        Node::Object { digest, .. } => Some(digest),
        _ => None,
    });
    digests.collect::<HashSet<_>>().len() as u64
}

/// Counts what is read.
struct Counted<'a> {
    reader: Box<dyn Read + Send + 'a>,
    bytes: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
