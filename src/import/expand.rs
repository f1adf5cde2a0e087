//! Contents of sparse files: objects with their holes, beside the layer's stream, which keeps the data as it was packed.
//!
//! On disk: the layer's stream refers, as [`NAME`], to a stream of [`KIND`] that is these objects, in the layer's order.

use std::io::{self, Read, Write};

use super::budget::Growth;
use super::tar::Map;
use super::Fault;
use crate::store::stream::{Reader, Writer};
use crate::store::{Incoming, Store, Stored};
use crate::sys::Sys;

const NAME: &str = "cfs-host:sparse";
const KIND: &[u8; 8] = b"cfsspars";

/// Stores a sparse file with its holes.
pub(super) fn store(map: &Map, packed: impl Read, growth: &Growth, store: &Store, sys: &Sys) -> Result<Stored, Fault> {
    growth.unpacked(map.size - map.packed())?;
    let mut whole = store.incoming(sys)?;
    map.expand(packed, &mut whole).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Truncated,
        _ => Fault::Write(error),
    })?;
    Ok(whole.finish(store, sys)?)
}

/// Stores the data as they were packed, and the file with its holes: neither is held in memory.
pub(super) fn store_both(
    map: &Map,
    packed: impl Read,
    growth: &Growth,
    store: &Store,
    sys: &Sys,
) -> Result<[Stored; 2], Fault> {
    let mut tee = Tee { from: packed, copy: store.incoming(sys)? };
    let whole = self::store(map, &mut tee, growth, store, sys)?;
    Ok([tee.copy.finish(store, sys)?, whole])
}

/// Copies what is read.
struct Tee<R> {
    from: R,
    copy: Incoming,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.copy.write_all(&buffer[..length])?;
        Ok(length)
    }
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
