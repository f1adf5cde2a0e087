//! Layers to objects and entries: read ► inflate ► hash for the diff ID, and split ► write, each on threads of its own.
//!
//! Takes a layer's blob; gives its entries, and writes file contents as objects and a splitstream. Never interprets whiteouts.

mod budget;
mod decompress;
mod entry;
mod expand;
mod layer;
mod parts;
mod read_back;
mod sharing;
mod split;
mod survey;
mod tar;
mod write_back;
mod writers;

pub use budget::Budget;
pub use entry::{Entry, Item, Metadata};
pub use layer::{Counts, Importer, Layer, LAYER_STREAM};
pub use read_back::read_back;
pub use survey::survey;

use std::io;

use crate::model::limits::Exceeded;

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
    Read(#[source] io::Error),
    /// A content cannot be written.
    #[error("a file of it cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The tar stream ends too early.
    #[error("its tar stream is cut off (fetch it again, or build it again)")]
    Truncated,
    /// The tar stream says something that no host image may say.
    #[error("{0}")]
    Malformed(String),
    /// It is larger than we read.
    #[error("{0}{1}")]
    Limit(String, #[source] Exceeded),
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

impl From<Exceeded> for Fault {
    fn from(exceeded: Exceeded) -> Self {
        Self::Limit(String::new(), exceeded)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        // A limit may be met by whoever reads or writes.
        match error.downcast::<Exceeded>() {
            Ok(exceeded) => exceeded.into(),
            Err(error) => Self::Read(error),
        }
    }
}

impl Fault {
    /// Says of which entry it speaks.
    fn at(self, place: &str, path: &[u8]) -> Self {
        let place = format!("{place} {:?}: ", String::from_utf8_lossy(path));
        match self {
            Self::Malformed(why) => Self::Malformed(place + &why),
            Self::Limit(within, exceeded) => Self::Limit(place + &within, exceeded),
            other => other,
        }
    }
}
