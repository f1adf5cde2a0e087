//! One layer into the store: contents to objects, the rest to a splitstream.

use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::Arc;

use super::budget::Budget;
use super::decompress::{hash, inflate, read, QUEUE};
use super::entry::Entry;
use super::parts::{Parts, Pool};
use super::sharing::Sharing;
use super::split::Splitter;
use super::write_back::WriteBack;
use super::writers::Writers;
use super::{Error, Fault};
use crate::fetch::LayerStream;
use crate::model::limits::Limits;
use crate::model::sharing::Shared;
use crate::model::Digest;
use crate::store::{Store, Stored};
use crate::sys::Sys;

/// The content type of a layer's splitstream, as composefs-rs has it.
pub const LAYER_STREAM: &[u8; 8] = b"ocilayer";

/// A layer that is in the store; its stream has no name yet.
#[derive(Debug)]
pub struct Layer {
    /// The object that holds the splitstream.
    pub stream: Digest,
    /// All entries, in the layer's order.
    pub entries: Vec<Entry>,
    /// What was written.
    pub counts: Counts,
}

/// Objects that were not there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many.
    pub objects: u64,
    /// Their bytes, as far as they were written.
    pub bytes: u64,
    /// Those that share their bytes with podman's storage.
    pub shared: Shared,
}

impl Counts {
    pub(super) fn add(&mut self, stored: &Stored) {
        if stored.new {
            self.objects += 1;
            self.bytes += stored.size;
        }
    }
}

/// What the layers of an image share.
pub struct Importer<'a> {
    pub(super) store: &'a Store,
    pub(super) sys: &'a Sys,
    pub(super) pool: Arc<Pool>,
    pub(super) budget: Budget,
    pub(super) write_back: WriteBack,
}

impl<'a> Importer<'a> {
    /// For one image; its layers may be imported at once.
    pub fn new(store: &'a Store, sys: &'a Sys, limits: Limits) -> Self {
        Self { store, sys, pool: Pool::new(), budget: Budget::new(limits), write_back: WriteBack::default() }
    }

    /// Imports a layer; `diff_id` is the SHA-256 of its tar stream.
    pub fn layer(&self, layer: LayerStream<'_>, diff_id: &[u8; 32]) -> Result<Layer, Error> {
        let fail = |fault| Error { layer: format!("sha256:{}", hex::encode(diff_id)), fault };
        let LayerStream { compression, reader, originals } = layer;
        let (pool, growth) = (&self.pool, &self.budget.growth());
        let (split, written, inflated, found) = std::thread::scope(|scope| {
            let [(packed, blob), (to_hash, hashed), (to_split, tar)] = std::array::from_fn(|_| sync_channel(QUEUE));
            scope.spawn(move || read(reader, pool, &packed, growth));
            let outlets = [to_hash, to_split];
            let inflater = scope.spawn(move || inflate(Parts::new(blob), compression, pool, &outlets, growth));
            let hasher = scope.spawn(move || hash(&hashed));
            let writers = Writers::start(scope, self);
            // The splitter is gone, and with it its end of the queue, before the others are waited for.
            let (split, writers) = Splitter::run(Parts::new(tar), Sharing::of(originals), writers, self, growth);
            let written = writers.finish();
            let died = || io::Error::other("a reading thread died");
            let inflated = inflater.join().unwrap_or_else(|_| Err(died()));
            (split, written, inflated, hasher.join().map_err(|_| died()))
        });
        // What is wrong with the blob comes before what looks wrong inside of it.
        inflated.map_err(|error| fail(error.into()))?;
        let shared = written.map_err(fail)?;
        let mut layer = split.map_err(fail)?;
        let found = found.map_err(|error| fail(error.into()))?;
        if found != *diff_id {
            return Err(fail(Fault::DiffId { found: hex::encode(found) }));
        }
        layer.counts.bytes -= shared.bytes_shared;
        layer.counts.shared = layer.counts.shared.and(shared);
        Ok(layer)
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
