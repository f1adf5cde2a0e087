//! Layers to objects and entries: read ► inflate ► hash for the diff ID, and split ► write, each on threads of its own.
//!
//! Takes a layer's blob; gives its entries, and writes file contents as objects and a splitstream. Never interprets whiteouts.

mod decompress;
mod entry;
mod layer;
mod parts;
mod tar;
mod writers;

pub use entry::{Entry, Item, Metadata};
pub use layer::{import, read_back, Counts, Layer, LAYER_STREAM};
pub use parts::Pool;

use std::io;

/// A layer could not be imported. Objects that it brought may remain, without a name.
#[derive(Debug, thiserror::Error)]
#[error("cannot import layer {layer}: {fault}")]
pub struct Error {
    /// Its diff ID.
    pub layer: String,
    /// Why not.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a layer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its blob cannot be read or decompressed.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A content cannot be written.
    #[error("a file of it cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The tar stream ends too early.
    #[error("its tar stream is cut off (fetch it again, or build it again)")]
    Truncated,
    /// The tar stream says something that no host image may say.
    #[error("{0}")]
    Malformed(String),
    /// The bytes are not those that the configuration names.
    #[error("its tar stream has the SHA-256 {found} instead (the image is damaged, or its configuration belongs to another one)")]
    DiffId {
        /// What it is.
        found: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}
