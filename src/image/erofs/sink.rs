//! Where the image's bytes go: in order, counted, and hashed as they pass.

use std::io::{self, Write};

use crate::model::Digest;
use crate::store::verity::Hasher;

const BUFFER: usize = 64 * 1024;

/// Counts, hashes and passes on.
pub(super) struct Sink<W> {
    out: W,
    hasher: Hasher,
    buffer: Vec<u8>,
    flushed: u64,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, hasher: Hasher::default(), buffer: Vec::with_capacity(2 * BUFFER), flushed: 0 }
    }

    /// Bytes so far.
    pub(super) fn at(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Zeros up to a multiple.
    pub(super) fn align(&mut self, to: u64) -> io::Result<()> {
        self.fill(self.at().next_multiple_of(to))
    }

    /// Zeros up to a place.
    pub(super) fn fill(&mut self, to: u64) -> io::Result<()> {
        while self.at() < to {
            let zeros = [0; 4096];
            let count = (to - self.at()).min(zeros.len() as u64);
            self.put(&zeros[..count as usize])?;
        }
        Ok(())
    }

    /// All of it is there.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        self.flush()?;
        self.out.flush()?;
        Ok(self.hasher.finish())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
