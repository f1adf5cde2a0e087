//! One layer into the store: contents to objects, the rest to a splitstream; or back out of it.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::sync_channel;

use super::budget::{Budget, Growth};
use super::decompress::{feed, Parts, QUEUE};
use super::entry::{Entry, Item};
use super::expand::{self, Expanded};
use super::tar::{entries, Data, Map, TarStream, INLINE_MAX};
use super::writers::Writers;
use super::{Error, Fault};
use crate::fetch::LayerStream;
use crate::model::limits::Limits;
use crate::model::Digest;
use crate::store::stream::{Body, Reader, Writer};
use crate::store::{Store, Stored};
use crate::sys::Sys;

/// The content type of a layer's splitstream, as composefs-rs has it.
pub const LAYER_STREAM: &[u8; 8] = b"ocilayer";
/// Files up to this size are hashed before anything is written, so known ones cost no write; larger ones are
/// written while they are hashed, so memory stays bounded.
const IN_MEMORY_MAX: u64 = 1 << 20;
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

/// Imports a layer; `diff_id` is the SHA-256 of its tar stream.
pub fn import(
    layer: LayerStream<'_>,
    diff_id: &[u8; 32],
    store: &Store,
    sys: &Sys,
    budget: &Budget,
) -> Result<Layer, Error> {
    let fail = |fault| Error { layer: format!("sha256:{}", hex::encode(diff_id)), fault };
    let growth = &budget.growth();
    let (split, written, fed) = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(QUEUE);
        let feeder = scope.spawn(move || feed(layer, sender, growth));
        let writers = Writers::start(scope, store, sys);
        // The splitter is gone, and with it the receiver, before the feeder is waited for.
        let (split, writers) = Splitter::run(Parts::new(receiver), writers, store, sys, (budget, growth));
        let fed = feeder.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread died")));
        (split, writers.finish(), fed)
    });
    // What is wrong with the blob comes before what looks wrong inside of it.
    let found = fed.map_err(|error| fail(error.into()))?;
    written.map_err(fail)?;
    let layer = split.map_err(fail)?;
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
    let sparse = expand::stored(&reader, store).map_err(fail)?;
    let sparse = sparse.as_ref().map(Reader::body).transpose().map_err(|error| fail(error.into()))?;
    let entries = entries(&mut Split { body, sparse }, &Budget::new(Limits::none())).map_err(fail)?;
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
    store: &'a Store,
    sys: &'a Sys,
    growth: &'a Growth,
    expanded: Expanded,
    counts: Counts,
}

impl<'a> Splitter<'a> {
    /// The writers come back: what they were given is not written before they are waited for.
    fn run(
        tar: Parts,
        writers: Writers<'a>,
        store: &'a Store,
        sys: &'a Sys,
        (budget, growth): (&Budget, &'a Growth),
    ) -> (Result<Layer, Fault>, Writers<'a>) {
        let writer = match Writer::new(LAYER_STREAM) {
            Ok(writer) => writer,
            Err(error) => return (Err(error.into()), writers),
        };
        let (expanded, counts) = Default::default();
        let mut splitter = Self { tar, writers, writer, store, sys, growth, expanded, counts };
        let split = entries(&mut splitter, budget).and_then(|entries| splitter.trailer(budget).map(|()| entries));
        let Self { writers, mut writer, expanded, mut counts, .. } = splitter;
        let stored = split.and_then(|entries| {
            expanded.name(&mut writer, store, sys)?;
            Ok((entries, store.put_bytes(sys, &writer.finish()?)?))
        });
        let layer = stored.map(|(entries, stored)| {
            counts.add(&stored);
            Layer { stream: stored.digest, entries, counts }
        });
        (layer, writers)
    }

    /// What follows the end marker: part of the diff ID, of no other meaning; zeros, but for a little.
    fn trailer(&mut self, budget: &Budget) -> Result<(), Fault> {
        let mut odd = 0;
        loop {
            let rest = self.tar.fill_buf()?;
            let length = rest.len();
            if length == 0 {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                odd += length as u64;
                budget.header(odd)?;
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
        let stored = if size <= IN_MEMORY_MAX {
            let bytes = exactly(&mut self.tar, size)?;
            self.writers.put(bytes)?
        } else {
            self.large_object(size)?
        };
        self.counts.add(&stored);
        self.writer.object(stored.digest, size)?;
        Ok(stored.digest)
    }

    /// The packed data as any file's, and the file with its holes beside it.
    fn sparse_object(&mut self, map: &Map) -> Result<Stored, Fault> {
        let size = map.packed();
        if size <= INLINE_MAX {
            let bytes = self.inline(size)?;
            return expand::store(map, &bytes[..], self.growth, self.store, self.sys);
        }
        let [packed, whole] = expand::store_both(map, &mut self.tar, self.growth, self.store, self.sys)?;
        self.counts.add(&packed);
        self.writer.object(packed.digest, size)?;
        Ok(whole)
    }

    fn large_object(&mut self, size: u64) -> Result<Stored, Fault> {
        let mut incoming = self.store.incoming(self.sys)?;
        let mut left = size;
        while left > 0 {
            let bytes = self.tar.fill_buf()?;
            let length = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if length == 0 {
                return Err(Fault::Truncated);
            }
            incoming.write_all(&bytes[..length]).map_err(Fault::Write)?;
            self.tar.consume(length);
            left -= length as u64;
        }
        Ok(incoming.finish(self.store, self.sys)?)
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

    fn sparse(&mut self, map: &Map, object: bool) -> Result<Data, Fault> {
        if !object {
            let Data::Inline(packed) = self.data(map.packed(), false)? else { return Err(Fault::Truncated) };
            return Ok(Data::Inline(map.expanded(&packed)?));
        }
        let stored = self.sparse_object(map)?;
        self.inline(map.packed().wrapping_neg() % BLOCK)?;
        self.counts.add(&stored);
        self.expanded.add(&stored)?;
        Ok(Data::Object(stored.digest))
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
struct Split<'a> {
    body: Body<'a>,
    /// The objects of its sparse files.
    sparse: Option<Body<'a>>,
}

impl TarStream for Split<'_> {
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.body.inline(buffer)
    }

    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault> {
        let padding = size.wrapping_neg() % BLOCK;
        if object {
            let digest =
                self.body.object()?.ok_or_else(|| Fault::Malformed("a large file is not an object".to_owned()))?;
            self.skip(padding)?;
            return Ok(Data::Object(digest));
        }
        let size = usize::try_from(size).map_err(|_| Fault::Truncated)?;
        let mut bytes = vec![0; size];
        if size > 0 && !self.body.inline(&mut bytes)? {
            return Err(Fault::Truncated);
        }
        self.skip(padding)?;
        Ok(Data::Inline(bytes))
    }

    fn sparse(&mut self, map: &Map, object: bool) -> Result<Data, Fault> {
        let packed = self.data(map.packed(), map.packed() > INLINE_MAX)?;
        match (packed, &mut self.sparse) {
            (Data::Inline(packed), _) if !object => Ok(Data::Inline(map.expanded(&packed)?)),
            (_, Some(sparse)) => match sparse.object()? {
                Some(digest) => Ok(Data::Object(digest)),
                None => Err(Fault::Malformed("its contents with holes are not in the store".to_owned())),
            },
            _ => Err(Fault::Malformed("its contents with holes are not in the store".to_owned())),
        }
    }
}

impl Split<'_> {
    fn skip(&mut self, padding: u64) -> Result<(), Fault> {
        let mut zeros = [0; BLOCK as usize];
        match self.body.inline(&mut zeros[..padding as usize])? {
            false if padding > 0 => Err(Fault::Truncated),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
