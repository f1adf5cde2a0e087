//! One layer into the store: contents to objects, the rest to a splitstream; or back out of it.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::sync_channel;
use std::sync::Arc;

use super::decompress::{hash, inflate, read, QUEUE};
use super::entry::{Entry, Item};
use super::parts::{Parts, Pool};
use super::tar::{entries, Data, TarStream};
use super::writers::Writers;
use super::{Error, Fault};
use crate::fetch::LayerStream;
use crate::model::Digest;
use crate::store::stream::{Body, Writer};
use crate::store::{Store, Stored};
use crate::sys::Sys;

/// The content type of a layer's splitstream, as composefs-rs has it.
pub const LAYER_STREAM: &[u8; 8] = b"ocilayer";
/// Files up to this size are hashed before anything is written, so known ones cost no write; larger ones as well while the
/// pool has room. The others are written while they are hashed, so memory stays bounded.
const IN_MEMORY: u64 = 1 << 20;
const BLOCK: u64 = 512;

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
    /// Their bytes.
    pub bytes: u64,
}

impl Counts {
    fn add(&mut self, stored: &Stored) {
        if stored.new {
            self.objects += 1;
            self.bytes += stored.size;
        }
    }
}

/// Imports a layer; `diff_id` is the SHA-256 of its tar stream. Its parts come out of `pool`, which other layers may use as well.
pub fn import(
    layer: LayerStream<'_>,
    diff_id: &[u8; 32],
    store: &Store,
    sys: &Sys,
    pool: &Arc<Pool>,
) -> Result<Layer, Error> {
    let fail = |fault| Error { layer: format!("sha256:{}", hex::encode(diff_id)), fault };
    let LayerStream { compression, reader } = layer;
    let (split, written, inflated, found) = std::thread::scope(|scope| {
        let [(packed, blob), (to_hash, hashed), (to_split, tar)] = std::array::from_fn(|_| sync_channel(QUEUE));
        scope.spawn(move || read(reader, pool, &packed));
        let inflater = scope.spawn(move || inflate(Parts::new(blob), compression, pool, &[to_hash, to_split]));
        let hasher = scope.spawn(move || hash(&hashed));
        let writers = Writers::start(scope, store, sys);
        // The splitter is gone, and with it its end of the queue, before the others are waited for.
        let (split, writers) = Splitter::run(Parts::new(tar), writers, pool, store, sys);
        let written = writers.finish();
        let died = || io::Error::other("a reading thread died");
        let inflated = inflater.join().unwrap_or_else(|_| Err(died()));
        (split, written, inflated, hasher.join().map_err(|_| died()))
    });
    // What is wrong with the blob comes before what looks wrong inside of it.
    inflated.map_err(|error| fail(Fault::Read(error)))?;
    written.map_err(fail)?;
    let layer = split.map_err(fail)?;
    let found = found.map_err(|error| fail(Fault::Read(error)))?;
    if found != *diff_id {
        return Err(fail(Fault::DiffId { found: hex::encode(found) }));
    }
    Ok(layer)
}

/// Reads a layer's entries back. `None` if an object that it needs is not there: it is to be imported again.
pub fn read_back(store: &Store, stream: &Digest, diff_id: &[u8; 32]) -> Result<Option<Vec<Entry>>, Error> {
    let fail = |fault| Error { layer: format!("sha256:{}", hex::encode(diff_id)), fault };
    let reader = store.read_stream(stream, LAYER_STREAM).map_err(|error| fail(error.into()))?;
    let body = reader.body().map_err(|error| fail(error.into()))?;
    let entries = entries(&mut Split(body)).map_err(fail)?;
    let complete = entries.iter().all(|entry| match &entry.item {
        Item::Object { digest, size } => store.has(digest, *size),
        _ => true,
    });
    Ok(complete.then_some(entries))
}

/// A tar stream on its way into the store.
struct Splitter<'a> {
    tar: Parts,
    writers: Writers<'a>,
    writer: Writer,
    pool: &'a Arc<Pool>,
    counts: Counts,
}

impl<'a> Splitter<'a> {
    /// The writers come back: what they were given is not written before they are waited for.
    fn run(
        tar: Parts,
        writers: Writers<'a>,
        pool: &'a Arc<Pool>,
        store: &Store,
        sys: &Sys,
    ) -> (Result<Layer, Fault>, Writers<'a>) {
        let writer = match Writer::new(LAYER_STREAM) {
            Ok(writer) => writer,
            Err(error) => return (Err(error.into()), writers),
        };
        let mut splitter = Self { tar, writers, writer, pool, counts: Counts::default() };
        let split = entries(&mut splitter).and_then(|entries| splitter.trailer().map(|()| entries));
        let Self { writers, writer, mut counts, .. } = splitter;
        let stored = split.and_then(|entries| Ok((entries, store.put_bytes(sys, &writer.finish()?)?)));
        let layer = stored.map(|(entries, stored)| {
            counts.add(&stored);
            Layer { stream: stored.digest, entries, counts }
        });
        (layer, writers)
    }

    /// What follows the end marker: part of the diff ID, of no other meaning.
    fn trailer(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.tar.fill_buf()?;
            let length = rest.len();
            if length == 0 {
                return Ok(());
            }
            self.writer.inline(rest);
            self.writer.flush()?;
            self.tar.consume(length);
        }
    }

    fn inline(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let bytes = exactly(&mut self.tar, size)?;
        self.writer.inline(&bytes);
        Ok(bytes)
    }

    fn object(&mut self, size: u64) -> Result<Digest, Fault> {
        let room = match size {
            ..=IN_MEMORY => Some(None),
            _ => self.pool.reserve(size).map(Some),
        };
        let stored = match room {
            Some(room) => {
                let content = self.tar.content(size, room)?.ok_or(Fault::Truncated)?;
                self.writers.put(content, self.tar.number)?
            }
            None => self.writers.put_stream(&mut self.tar, size)?,
        };
        self.counts.add(&stored);
        self.writer.object(stored.digest, size)?;
        Ok(stored.digest)
    }
}

impl TarStream for Splitter<'_> {
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if self.tar.fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.tar.read_exact(buffer)?;
        self.writer.inline(buffer);
        Ok(true)
    }

    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault> {
        let padding = size.wrapping_neg() % BLOCK;
        if object {
            let digest = self.object(size)?;
            self.inline(padding)?;
            return Ok(Data::Object(digest));
        }
        let bytes = self.inline(size)?;
        self.inline(padding)?;
        Ok(Data::Inline(bytes))
    }
}

fn exactly(tar: &mut Parts, size: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    tar.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(Fault::Truncated);
    }
    Ok(bytes)
}

/// A tar stream that lies in the store.
struct Split<'a>(Body<'a>);

impl TarStream for Split<'_> {
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.0.inline(buffer)
    }

    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault> {
        let padding = size.wrapping_neg() % BLOCK;
        if object {
            let digest =
                self.0.object()?.ok_or_else(|| Fault::Malformed("a large file is not an object".to_owned()))?;
            self.skip(padding)?;
            return Ok(Data::Object(digest));
        }
        let size = usize::try_from(size).map_err(|_| Fault::Truncated)?;
        let mut bytes = vec![0; size];
        if size > 0 && !self.0.inline(&mut bytes)? {
            return Err(Fault::Truncated);
        }
        self.skip(padding)?;
        Ok(Data::Inline(bytes))
    }
}

impl Split<'_> {
    fn skip(&mut self, padding: u64) -> Result<(), Fault> {
        let mut zeros = [0; BLOCK as usize];
        match self.0.inline(&mut zeros[..padding as usize])? {
            false if padding > 0 => Err(Fault::Truncated),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
