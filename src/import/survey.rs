//! A tar stream that is read and not stored: contents become digests alone. What the import would make of bytes, at no risk.

use std::io::{self, Read, Write};

use super::budget::Budget;
use super::entry::Entry;
use super::tar::{entries, padding, Data, Map, TarStream};
use super::Fault;
use crate::store::verity::Hasher;

/// The entries of a tar stream.
pub fn survey(tar: impl Read, budget: &Budget) -> Result<Vec<Entry>, Fault> {
    entries(&mut Survey(tar), budget)
}

struct Survey<R>(R);

impl<R: Read> TarStream for Survey<R> {
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.0.read(&mut buffer[..1])? {
            0 => Ok(false),
            _ => self.0.read_exact(&mut buffer[1..]).map(|()| true),
        }
    }

    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault> {
        let mut kept = Kept::new(object);
        copied(&mut self.0, size, &mut kept)?;
        self.skip(size)?;
        Ok(kept.finish())
    }

    fn sparse(&mut self, map: &Map, object: bool) -> Result<Data, Fault> {
        let mut kept = Kept::new(object);
        map.expand(&mut self.0, &mut kept).map_err(|_| Fault::Truncated)?;
        self.skip(map.packed())?;
        Ok(kept.finish())
    }
}

impl<R: Read> Survey<R> {
    /// The padding after so much data.
    fn skip(&mut self, size: u64) -> Result<(), Fault> {
        copied(&mut self.0, padding(size), &mut io::sink())
    }
}

fn copied(from: &mut impl Read, size: u64, to: &mut impl Write) -> Result<(), Fault> {
    match io::copy(&mut from.take(size), to)? {
        copied if copied == size => Ok(()),
        _ => Err(Fault::Truncated),
    }
}

/// Small contents are kept, of others the digest.
enum Kept {
    Bytes(Vec<u8>),
    Digest(Box<Hasher>),
}

impl Kept {
    fn new(object: bool) -> Self {
        match object {
            true => Self::Digest(Box::default()),
            false => Self::Bytes(Vec::new()),
        }
    }

    fn finish(self) -> Data {
        match self {
            Self::Bytes(bytes) => Data::Inline(bytes),
            Self::Digest(hasher) => Data::Object(hasher.finish()),
        }
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(kept) => kept.extend_from_slice(bytes),
            Self::Digest(hasher) => hasher.update(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
