//! What a long step tells while it works: plain values, so that a terminal, a log and another program can each show them.

use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Event {
    /// A step begins; the one before is done.
    Step(String),
    /// A layer begins, moves on, or is done.
    Layer(Layer),
}

/// How far a layer has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Counted from 0, from the base up.
    pub index: usize,
    /// Layers of the image.
    pub of: usize,
    /// Its blob's OCI digest.
    pub digest: String,
    /// Blob bytes read so far.
    pub bytes: u64,
    /// Blob bytes in all, as the manifest says.
    pub total: u64,
    /// Where it stands.
    pub state: LayerState,
}

/// Where a layer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum LayerState {
    /// The store has it already; nothing is read.
    Known,
    /// It will be read. Each layer is told once as this or as known, before the first one is read.
    Waiting,
    /// It is being read.
    Reading,
    /// It is in the store.
    Done,
}
