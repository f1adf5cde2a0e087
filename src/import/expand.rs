//! Contents of sparse files: objects with their holes, beside the layer's stream, which keeps the data as it was packed.
//!
//! On disk: the layer's stream refers, as [`NAME`], to a stream of [`KIND`] that is these objects, in the layer's order.

use std::io::{self, Read};

use super::budget::Growth;
use super::tar::Map;
use super::Fault;
use crate::store::stream::{Reader, Writer};
use crate::store::{Store, Stored};
use crate::sys::Sys;

const NAME: &str = "cfs-host:sparse";
const KIND: &[u8; 8] = b"cfsspars";

/// Stores a sparse file with its holes.
pub(super) fn store(map: &Map, packed: impl Read, growth: &Growth, store: &Store, sys: &Sys) -> Result<Stored, Fault> {
    growth.unpacked(map.size - map.packed())?;
    let mut incoming = store.incoming(sys)?;
    map.expand(packed, &mut incoming).map_err(Fault::Write)?;
    Ok(incoming.finish(store, sys)?)
}

/// Those of one layer.
#[derive(Default)]
pub(super) struct Expanded(Option<Writer>);

impl Expanded {
    /// The next one.
    pub(super) fn add(&mut self, stored: &Stored) -> io::Result<()> {
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => none.insert(Writer::new(KIND)?),
        };
        writer.object(stored.digest, stored.size)
    }

    /// Has the layer's stream refer to them, if there are any.
    pub(super) fn name(self, layer: &mut Writer, store: &Store, sys: &Sys) -> Result<(), Fault> {
        if let Some(writer) = self.0 {
            layer.name(NAME, store.put(sys, &writer.finish()?)?);
        }
        Ok(())
    }
}

/// Those that a layer's stream refers to.
pub(super) fn stored(layer: &Reader, store: &Store) -> Result<Option<Reader>, Fault> {
    Ok(layer.names.get(NAME).map(|stream| store.read_stream(stream, KIND)).transpose()?)
}
