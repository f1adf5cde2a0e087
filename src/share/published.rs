//! What is published, written down in the store itself: so the store's own collection keeps all of it, and a restart finds it again.
//!
//! A stream for each layer (its EROFS image, its list of files) and one for each image (its manifest, its layers); a tag keeps it.
//! On disk: objects ► one sync ► fs-verity ► streams ► tag, as everywhere in the store.

use crate::image::layer_images;
use crate::import::{self, Entry, LAYER_STREAM};
use crate::model::Digest;
use crate::store::stream::{Reader, Writer};
use crate::store::Store;
use crate::sys::Sys;

use super::{chain_ids, tarsplit, Error, Result};

/// Tags of images that somebody published, by podman's name.
pub const ASKED: &str = "share";
/// Tags of images that nobody asked for, by manifest: the host has them, or something of podman's builds on them.
pub const KEPT: &str = "share-kept";
const KIND: &[u8; 8] = b"cfsshare";
const EROFS: &str = "erofs";
const MANIFEST: &str = "manifest";

/// A layer in the store: its diff ID, and its stream.
pub type StoredLayer = ([u8; 32], Digest);

/// A layer's EROFS image, and the list that gives its tar stream again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The image.
    pub erofs: Digest,
    /// The list.
    pub list: Digest,
}

/// The name of an image's stream.
pub fn stream_name(manifest_digest: &str) -> String {
    format!("cfs-share-{manifest_digest}")
}

/// The manifest's digest out of the name of an image's stream.
pub fn manifest_of(stream: &str) -> Option<&str> {
    stream.strip_prefix("cfs-share-").filter(|digest| digest.starts_with("sha256:"))
}

fn layer_name(chain_id: &str) -> String {
    format!("cfs-share-layer-{chain_id}")
}

/// Makes what is missing of what podman will read; all is durable on return. Nothing keeps it yet.
pub fn prepare(store: &Store, sys: &Sys, manifest: (&str, &Digest), layers: &[StoredLayer]) -> Result<()> {
    let name = stream_name(manifest.0);
    match is_kept(store, &name, layers) {
        true => Ok(()),
        false => make(store, sys, &name, manifest.1, layers),
    }
}

/// Makes what is missing, and keeps it under this tag; all is durable on return.
pub fn keep(
    store: &Store,
    sys: &Sys,
    manifest: (&str, &Digest),
    layers: &[StoredLayer],
    (folder, tag): (&str, &str),
) -> Result<()> {
    prepare(store, sys, manifest, layers)?;
    tag_as(store, sys, manifest.0, (folder, tag))
}

/// Keeps an image that is written down under this tag too; durable on return.
pub fn tag_as(store: &Store, sys: &Sys, manifest_digest: &str, (folder, tag): (&str, &str)) -> Result<()> {
    let name = stream_name(manifest_digest);
    if !store.is_tagged(folder, tag, &name) {
        store.tag_stream(sys, folder, tag, &name)?;
        store.sync(sys)?;
    }
    Ok(())
}

/// The parts of each layer, from the base up.
pub fn parts(store: &Store, layers: &[StoredLayer]) -> Result<Vec<Parts>> {
    let ids: Vec<[u8; 32]> = layers.iter().map(|(id, _)| *id).collect();
    let one = |id: &String| known(store, id).ok_or_else(|| Error::Incomplete(id.clone()));
    chain_ids(&ids).iter().map(one).collect()
}

fn is_kept(store: &Store, name: &str, layers: &[StoredLayer]) -> bool {
    let stream = store.stream(name).ok().flatten();
    stream.is_some_and(|stream| store.read_stream(&stream, KIND).is_ok()) && parts(store, layers).is_ok()
}

/// The parts of a layer that is written down and whole.
fn known(store: &Store, chain_id: &str) -> Option<Parts> {
    let reader = read(store, chain_id)?;
    let parts = Parts { erofs: *reader.names.get(EROFS)?, list: *reader.objects.first()? };
    (store.holds(&parts.erofs) && store.holds(&parts.list)).then_some(parts)
}

fn read(store: &Store, chain_id: &str) -> Option<Reader> {
    let stream = store.stream(&layer_name(chain_id)).ok().flatten()?;
    store.read_stream(&stream, KIND).ok()
}

fn make(store: &Store, sys: &Sys, name: &str, manifest: &Digest, layers: &[StoredLayer]) -> Result<()> {
    let ids = chain_ids(&layers.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let entries: Vec<Vec<Entry>> = layers.iter().map(|layer| entries(store, layer)).collect::<Result<_>>()?;
    let lists = layers.iter().zip(&entries).map(|(layer, entries)| list(store, layer, entries));
    let lists: Vec<Vec<u8>> = lists.collect::<Result<_>>()?;
    let images = layer_images(entries)?;
    let mut streams = Vec::new();
    for (image, list) in images.iter().zip(&lists) {
        let parts = Parts { erofs: store.put(sys, &image.bytes)?, list: store.put(sys, list)? };
        streams.push((layer_stream(store, sys, &parts, list.len())?, parts));
    }
    let mut writer = writer(name)?;
    writer.name(MANIFEST, *manifest);
    ids.iter().zip(&streams).for_each(|(id, (stream, _))| writer.name(id, *stream));
    let stream = store.put(sys, &finish(writer, name)?)?;
    store.sync(sys)?;
    for (_, parts) in &streams {
        store.protect(sys, &parts.erofs)?;
    }
    for (id, (stream, _)) in ids.iter().zip(&streams) {
        store.name_stream(sys, &layer_name(id), stream)?;
    }
    store.name_stream(sys, name, &stream)?;
    Ok(store.sync(sys)?)
}

fn entries(store: &Store, (diff_id, stream): &StoredLayer) -> Result<Vec<Entry>> {
    let entries = import::read_back(store, stream, diff_id)?;
    entries.ok_or_else(|| Error::Incomplete(format!("sha256:{}", hex::encode(diff_id))))
}

fn list(store: &Store, (diff_id, stream): &StoredLayer, entries: &[Entry]) -> Result<Vec<u8>> {
    let fail = |source| Error::List { layer: format!("sha256:{}", hex::encode(diff_id)), source };
    let reader = store.read_stream(stream, LAYER_STREAM)?;
    let body = reader.body().map_err(fail)?;
    tarsplit::list(store, body, entries).map_err(fail)
}

fn layer_stream(store: &Store, sys: &Sys, parts: &Parts, list_size: usize) -> Result<Digest> {
    let what = "a layer";
    let mut writer = writer(what)?;
    writer.name(EROFS, parts.erofs);
    let fail = |source| Error::List { layer: what.to_owned(), source };
    writer.object(parts.list, list_size as u64).map_err(fail)?;
    Ok(store.put(sys, &finish(writer, what)?)?)
}

fn writer(what: &str) -> Result<Writer> {
    Writer::new(KIND).map_err(|source| Error::List { layer: what.to_owned(), source })
}

fn finish(writer: Writer, what: &str) -> Result<Vec<u8>> {
    writer.finish().map_err(|source| Error::List { layer: what.to_owned(), source })
}
