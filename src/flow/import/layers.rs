//! The layers of an image into a store, several at once.
//!
//! On disk: a layer's name follows its objects, one sync between them. Layers get their names after each 64 MiB, and when another
//! one fails: what is complete is not fetched again.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use super::watched::{Teller, Watched};
use super::{layer_stream, Stats};
use crate::fetch::{LayerStream, Source};
use crate::import::{self, Counts, Entry, Importer};
use crate::model::progress::{Event, LayerState};
use crate::model::Digest;
use crate::store::Store;
use crate::sys::Sys;

/// So many layers are read at once, if there are so many.
const AT_ONCE: usize = 4;
/// New bytes that wait for a name before the layers that they belong to get theirs.
const NAME_AFTER: u64 = 64 << 20;

/// A layer in the store.
#[derive(Clone)]
pub(super) struct Layer {
    pub diff_id: [u8; 32],
    pub stream: Digest,
    pub entries: Vec<Entry>,
}

/// Brings all layers into the store, from the base up.
pub(super) fn read(
    source: &dyn Source,
    store: &Store,
    sys: &Sys,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<(Vec<Layer>, Stats)> {
    let diff_ids = source.image().diff_ids()?;
    let tellers = Teller::of_all(source.image(), store, watch)?;
    let first = |index: &usize| !diff_ids[..*index].contains(&diff_ids[*index]);
    let distinct: Vec<_> = (0..diff_ids.len()).filter(first).collect();
    let work = Work {
        source,
        importer: Importer::new(store, sys, source.limits()),
        store,
        sys,
        tellers: &tellers,
        diff_ids: &diff_ids,
        distinct: &distinct,
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        state: Mutex::new(State::new(diff_ids.len(), distinct.len())),
    };
    let State { mut layers, unnamed, failure, stats, .. } = work.run();
    if let Some(failure) = failure {
        if !unnamed.is_empty() {
            keep(store, sys, unnamed.iter().filter_map(|index| layers[*index].as_ref()))
                .context("cannot keep the layers that were fetched")?;
        }
        return Err(failure);
    }
    // A layer may be in an image twice.
    for index in 0..layers.len() {
        if layers[index].is_none() {
            let same = diff_ids.iter().position(|diff_id| *diff_id == diff_ids[index]);
            layers[index] = same.and_then(|same| layers[same].clone());
        }
    }
    Ok((layers.into_iter().flatten().collect(), stats))
}

/// Makes layers durable, then gives them their names.
fn keep<'l>(store: &Store, sys: &Sys, layers: impl IntoIterator<Item = &'l Layer>) -> anyhow::Result<()> {
    store.sync(sys)?;
    name(store, sys, layers)
}

/// Gives layers that are durable their names.
pub(super) fn name<'l>(store: &Store, sys: &Sys, layers: impl IntoIterator<Item = &'l Layer>) -> anyhow::Result<()> {
    for layer in layers {
        store.name_stream(sys, &layer_stream(&layer.diff_id), &layer.stream)?;
    }
    Ok(())
}

/// A layer that was imported before. A stream that cannot be read any more is as good as none: it is written again.
fn known(store: &Store, diff_id: &[u8; 32]) -> Option<Layer> {
    let stream = store.stream(&layer_stream(diff_id)).ok().flatten()?;
    let entries = import::read_back(store, &stream, diff_id).ok().flatten()?;
    Some(Layer { diff_id: *diff_id, stream, entries })
}

/// What the threads share.
struct Work<'a> {
    source: &'a dyn Source,
    importer: Importer<'a>,
    store: &'a Store,
    sys: &'a Sys,
    tellers: &'a [Teller<'a>],
    diff_ids: &'a [[u8; 32]],
    /// A layer that is in the image twice counts once.
    distinct: &'a [usize],
    next: AtomicUsize,
    failed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// From the base up.
    layers: Vec<Option<Layer>>,
    left: usize,
    /// Layers that are complete and have no name yet, and their new bytes.
    unnamed: Vec<usize>,
    bytes: u64,
    stats: Stats,
    /// The first one; the others follow from it.
    failure: Option<anyhow::Error>,
}

impl State {
    fn new(layers: usize, left: usize) -> Self {
        Self { layers: vec![None; layers], left, unnamed: Vec::new(), bytes: 0, stats: Stats::default(), failure: None }
    }

    fn add(&mut self, index: usize, layer: Layer) {
        self.layers[index] = Some(layer);
        self.left -= 1;
    }
}

impl Work<'_> {
    fn run(self) -> State {
        std::thread::scope(|scope| {
            for _ in 0..self.distinct.len().min(AT_ONCE) {
                scope.spawn(|| self.some_layers());
            }
        });
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// One after the other, until none is left or one fails.
    fn some_layers(&self) {
        while let Some(index) = self.distinct.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = match self.failed.load(Ordering::Relaxed) {
                true => return,
                false => self.one_layer(*index),
            };
            if let Err(error) = outcome {
                self.state().failure.get_or_insert(error);
                self.failed.store(true, Ordering::Relaxed);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A layer that the store has is read back beside those that are fetched.
    fn one_layer(&self, index: usize) -> anyhow::Result<()> {
        let (diff_id, teller, fetched) = (&self.diff_ids[index], &self.tellers[index], AtomicU64::new(0));
        if let Some(layer) = known(self.store, diff_id) {
            self.state().add(index, layer);
            return Ok(());
        }
        let LayerStream { compression, reader, originals } = self.source.layer(index)?;
        let reader = Stoppable { reader: Watched::new(reader, &fetched, teller), stop: &self.failed };
        let blob = LayerStream { compression, reader: Box::new(reader), originals };
        let imported = self.importer.layer(blob, diff_id)?;
        let bytes = fetched.into_inner();
        teller.tell(LayerState::Done, bytes);
        let layer = Layer { diff_id: *diff_id, stream: imported.stream, entries: imported.entries };
        self.complete(index, layer, bytes, imported.counts)
    }

    fn complete(&self, index: usize, layer: Layer, fetched: u64, counts: Counts) -> anyhow::Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        state.add(index, layer);
        state.unnamed.push(index);
        state.bytes += counts.bytes;
        state.stats.bytes_fetched += fetched;
        state.stats.bytes_written += counts.bytes;
        state.stats.objects_new += counts.objects;
        state.stats.shared = state.stats.shared.and(counts.shared);
        // After the last one, the caller names them all.
        if state.bytes >= NAME_AFTER && state.left > 0 {
            state.bytes = 0;
            let unnamed = std::mem::take(&mut state.unnamed);
            keep(self.store, self.sys, unnamed.iter().filter_map(|index| state.layers[*index].as_ref()))?;
        }
        Ok(())
    }
}

/// A blob that is not read on when another layer has failed.
struct Stoppable<'a> {
    reader: Watched<'a>,
    stop: &'a AtomicBool,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::Error::other("another layer failed")),
            false => self.reader.read(buffer),
        }
    }
}
