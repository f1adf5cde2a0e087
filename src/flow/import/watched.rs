//! A layer's blob on its way: what is read is counted, and told now and then.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::stored::unknown_layers;
use crate::fetch::ImageMeta;
use crate::model::progress::{Event, Layer, LayerState};
use crate::store::Store;

/// Nobody reads more than ten lines a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells how far one layer has come.
pub(super) struct Teller<'a> {
    watch: &'a (dyn Fn(Event) + Sync),
    layer: Layer,
}

impl<'a> Teller<'a> {
    /// One for each layer of an image, which was told whether it is known.
    pub fn of_all(meta: &ImageMeta, store: &Store, watch: &'a (dyn Fn(Event) + Sync)) -> anyhow::Result<Vec<Self>> {
        let unknown = unknown_layers(meta, store)?;
        let layers = meta.manifest.layers();
        let tellers = layers.iter().enumerate().map(|(index, blob)| {
            let waits = unknown.iter().any(|(unknown, _)| *unknown == index);
            let state = if waits { LayerState::Waiting } else { LayerState::Known };
            let (digest, total) = (blob.digest().to_string(), blob.size());
            let layer = Layer { index, of: layers.len(), digest, bytes: 0, total, state };
            watch(Event::Layer(layer.clone()));
            Self { watch, layer }
        });
        Ok(tellers.collect())
    }

    /// It has come so far.
    pub fn tell(&self, state: LayerState, bytes: u64) {
        (self.watch)(Event::Layer(Layer { state, bytes, ..self.layer.clone() }));
    }
}

/// Counts what is read.
pub(super) struct Watched<'a> {
    reader: Box<dyn Read + Send + 'a>,
    bytes: &'a AtomicU64,
    teller: &'a Teller<'a>,
    told: Instant,
}

impl<'a> Watched<'a> {
    /// Tells that the layer begins.
    pub fn new(reader: Box<dyn Read + Send + 'a>, bytes: &'a AtomicU64, teller: &'a Teller<'a>) -> Self {
        teller.tell(LayerState::Reading, 0);
        Self { reader, bytes, teller, told: Instant::now() }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        let bytes = self.bytes.fetch_add(length as u64, Ordering::Relaxed) + length as u64;
        if self.told.elapsed() >= PAUSE {
            self.teller.tell(LayerState::Reading, bytes);
            self.told = Instant::now();
        }
        Ok(length)
    }
}
