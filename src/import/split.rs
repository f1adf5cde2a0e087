//! A tar stream on its way into the store: contents to the writers, or shared with the files they come from, all else to a splitstream.

use std::io::{self, BufRead, Read};

use super::budget::Growth;
use super::expand::{self, Expanded};
use super::layer::{Counts, Importer, Layer, LAYER_STREAM};
use super::parts::Parts;
use super::sharing::Sharing;
use super::tar::{entries, padding, Data, Map, TarStream, INLINE_MAX};
use super::writers::Writers;
use super::Fault;
use crate::model::Digest;
use crate::store::stream::Writer;
use crate::store::Stored;

/// Files up to this size are hashed before anything is written, so known ones cost no write; larger ones as well while the
/// pool has room. The others are written while they are hashed, so memory stays bounded.
const IN_MEMORY: u64 = 1 << 20;

/// The stream, and what has become of it.
pub(super) struct Splitter<'a> {
    tar: Parts,
    writers: Writers<'a>,
    writer: Writer,
    importer: &'a Importer<'a>,
    growth: &'a Growth,
    sharing: Sharing,
    expanded: Expanded,
    counts: Counts,
}

impl<'a> Splitter<'a> {
    /// The writers come back: what they were given is not written before they are waited for.
    pub fn run(
        tar: Parts,
        sharing: Sharing,
        writers: Writers<'a>,
        importer: &'a Importer<'a>,
        growth: &'a Growth,
    ) -> (Result<Layer, Fault>, Writers<'a>) {
        let writer = match Writer::new(LAYER_STREAM) {
            Ok(writer) => writer,
            Err(error) => return (Err(error.into()), writers),
        };
        let (expanded, counts) = Default::default();
        let mut splitter = Self { tar, writers, writer, importer, growth, sharing, expanded, counts };
        let split = entries(&mut splitter, &importer.budget).and_then(|entries| {
            splitter.trailer()?;
            Ok(entries)
        });
        let Self { writers, mut writer, sharing, expanded, mut counts, .. } = splitter;
        let stored = split.and_then(|entries| {
            expanded.name(&mut writer, importer.store, importer.sys)?;
            Ok((entries, importer.store.put_bytes(importer.sys, &writer.finish()?)?))
        });
        let layer = stored.map(|(entries, stored)| {
            counts.add(&stored);
            counts.shared = sharing.refused;
            Layer { stream: stored.digest, entries, counts }
        });
        (layer, writers)
    }

    /// What follows the end marker: part of the diff ID, of no other meaning; zeros, but for a little.
    fn trailer(&mut self) -> Result<(), Fault> {
        let mut odd = 0;
        loop {
            let rest = self.tar.fill_buf()?;
            let length = rest.len();
            if length == 0 {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                odd += length as u64;
                self.importer.budget.header(odd)?;
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
        let Importer { store, sys, .. } = self.importer;
        let stored = match self.sharing.take(self.tar.offset, size, store, sys)? {
            Some(share) => self.writers.put_file(&mut self.tar, size, share)?,
            None => self.written(size)?,
        };
        self.counts.add(&stored);
        self.writer.object(stored.digest, size)?;
        Ok(stored.digest)
    }

    fn written(&mut self, size: u64) -> Result<Stored, Fault> {
        let room = match size {
            ..=IN_MEMORY => Some(None),
            _ => self.importer.pool.reserve(size).map(Some),
        };
        match room {
            Some(room) => {
                let content = self.tar.content(size, room)?.ok_or(Fault::Truncated)?;
                self.writers.put(content, self.tar.number)
            }
            None => self.writers.put_stream(&mut self.tar, size),
        }
    }

    /// The packed data as any file's, and the file with its holes beside it.
    fn sparse_object(&mut self, map: &Map) -> Result<Stored, Fault> {
        let size = map.packed();
        if size <= INLINE_MAX {
            let bytes = self.inline(size)?;
            return expand::store(map, &bytes[..], self.growth, self.importer.store, self.importer.sys);
        }
        let [packed, whole] =
            expand::store_both(map, &mut self.tar, self.growth, self.importer.store, self.importer.sys)?;
        self.counts.add(&packed);
        self.writer.object(packed.digest, size)?;
        Ok(whole)
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
        let padding = padding(size);
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
        self.inline(padding(map.packed()))?;
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
