//! A layer's blob on its way: what is read is counted, and told now and then.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::progress::{Event, Layer, LayerState};

/// Nobody reads more than ten lines a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells how far one layer has come.
pub(super) struct Teller<'a> {
    /// Who is told.
    pub watch: &'a (dyn Fn(Event) + Sync),
    /// The layer, nothing read yet.
    pub layer: Layer,
}

impl Teller<'_> {
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
