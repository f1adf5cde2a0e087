//! The write log of a disk, as QEMU's `blklogwrites` keeps it, and what a power cut leaves of the disk.
//!
//! Takes a log in the format of Linux' dm-log-writes and a copy of the disk as it was before; gives the disk as of a
//! power cut. A disk promises what was flushed and nothing else: of the writes after the last flush any may be there
//! and any may be lost, in pieces of one block.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};

use crate::random::Random;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// What a disk writes as a whole or not at all.
const BLOCK: u64 = 4096;
/// The most entries that are read: a log of an hour has a hundred times fewer.
const MAX_ENTRIES: u64 = 10_000_000;

/// A log that was read.
#[derive(Debug)]
pub struct Log {
    file: File,
    entries: Vec<Entry>,
}

/// One request to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    flags: u64,
    /// Where on the disk, in bytes.
    offset: u64,
    /// How many bytes.
    length: u64,
    /// Where in the log the bytes are.
    data: u64,
}

/// What becomes of the writes after the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// All are lost.
    None,
    /// All are there.
    All,
    /// Each block by the toss of a coin that has this seed.
    Some(u64),
}

/// Bytes of the log that the power cut leaves on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    offset: u64,
    length: u64,
    data: u64,
}

/// What a power cut did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Bytes that had been flushed.
    pub flushed: u64,
    /// Bytes that had not been flushed and are there all the same.
    pub kept: u64,
    /// Bytes that are lost.
    pub lost: u64,
}

/// How many requests a log holds that QEMU may still be writing.
pub fn position(log: &Path) -> Result<usize> {
    let file = File::open(log).with_context(|| format!("cannot read the write log {}", log.display()))?;
    match superblock(&file) {
        Ok((count, _)) => Ok(usize::try_from(count)?),
        // QEMU writes the first one with the first request.
        Err(_) if file.metadata()?.len() == 0 => Ok(0),
        Err(error) => Err(error),
    }
}

impl Log {
    /// Reads the entries of a log; their data stays where it is.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read the write log {}", path.display()))?;
        let entries = entries(&file).with_context(|| format!("the write log {} is damaged", path.display()))?;
        Ok(Self { file, entries })
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever asked of the disk.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Turns a copy of the disk before the log into the disk after a power cut: the first `at` requests were made.
    pub fn cut(&self, disk: &File, at: usize, survivors: Survivors) -> Result<Cut> {
        ensure!(at <= self.entries.len(), "the write log has {} requests, not {at}", self.entries.len());
        let size = disk.metadata()?.len();
        let (pieces, cut) = survive(&self.entries[..at], survivors);
        let mut bytes = Vec::new();
        for piece in pieces {
            ensure!(piece.offset + piece.length <= size, "the write log is of another, larger disk");
            bytes.resize(usize::try_from(piece.length)?, 0);
            self.file.read_exact_at(&mut bytes, piece.data).context("cannot read the write log")?;
            disk.write_all_at(&bytes, piece.offset).context("cannot write the disk")?;
        }
        Ok(cut)
    }
}

/// Number of entries and bytes of a sector.
fn superblock(file: &File) -> Result<(u64, u64)> {
    let mut bytes = [0; 28];
    file.read_exact_at(&mut bytes, 0).context("it has no superblock")?;
    let [magic, version, count] = words(&bytes);
    ensure!(magic == MAGIC, "it begins with {magic:#x}");
    ensure!(version == VERSION, "it has version {version}");
    ensure!(count <= MAX_ENTRIES, "it has {count} entries");
    let sector = u64::from(u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]));
    ensure!(sector.is_power_of_two() && (512..=65536).contains(&sector), "its sectors have {sector} bytes");
    Ok((count, sector))
}

fn entries(file: &File) -> Result<Vec<Entry>> {
    let (count, sector) = superblock(file)?;
    let end = file.metadata()?.len();
    let (mut at, mut found) = (sector, Vec::new());
    for n in 0..count {
        let mut bytes = [0; 32];
        file.read_exact_at(&mut bytes, at).with_context(|| format!("entry {n} of {count} is missing"))?;
        let [start, sectors, flags, extra] = words(&bytes);
        ensure!(flags & !(FLUSH | FUA | DISCARD | MARK) == 0, "entry {n} has the flags {flags:#x}");
        let in_bytes = |sectors: u64| sectors.checked_mul(sector).filter(|bytes| *bytes < 1 << 48);
        let (Some(offset), Some(length)) = (in_bytes(start), in_bytes(sectors)) else {
            bail!("entry {n} is too large")
        };
        let data = at + sector;
        // A discard has no data; a mark's is text, of the length that the last field says.
        let held = if flags & DISCARD != 0 { 0 } else { length.max(if flags & MARK != 0 { extra } else { 0 }) };
        at = data.checked_add(held).context("too large")?.next_multiple_of(sector);
        ensure!(data + held <= end, "the data of entry {n} is cut off");
        found.push(Entry { flags, offset, length, data });
    }
    Ok(found)
}

/// The little-endian numbers that it begins with.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    }
    words
}

/// What is on the disk after these requests and a power cut, in the order in which it has to be written.
fn survive(entries: &[Entry], survivors: Survivors) -> (Vec<Piece>, Cut) {
    let flushed = entries.iter().rposition(|entry| entry.flags & FLUSH != 0).unwrap_or(0);
    let mut coin = Random::new(match survivors {
        Survivors::Some(seed) => seed,
        Survivors::None | Survivors::All => 0,
    });
    let (mut pieces, mut cut) = (Vec::new(), Cut::default());
    // What a discard leaves is not defined: here, what was there before.
    let writes = entries.iter().enumerate().filter(|(_, entry)| entry.flags & (DISCARD | MARK) == 0);
    for (n, entry) in writes {
        if n < flushed || entry.flags & FUA != 0 {
            cut.flushed += entry.length;
            pieces.push(Piece { offset: entry.offset, length: entry.length, data: entry.data });
            continue;
        }
        for piece in blocks(entry) {
            let stays = match survivors {
                Survivors::None => false,
                Survivors::All => true,
                Survivors::Some(_) => coin.below(2) == 0,
            };
            if stays {
                cut.kept += piece.length;
                pieces.push(piece);
            } else {
                cut.lost += piece.length;
            }
        }
    }
    (pieces, cut)
}

/// The parts of a write that the disk makes as a whole or not at all.
fn blocks(entry: &Entry) -> impl Iterator<Item = Piece> {
    let Entry { offset, length, data, .. } = *entry;
    let end = offset + length;
    let starts = std::iter::successors(Some(offset), |at| Some((at / BLOCK + 1) * BLOCK));
    starts.take_while(move |at| *at < end).map(move |at| {
        let next = ((at / BLOCK + 1) * BLOCK).min(end);
        Piece { offset: at, length: next - at, data: data + (at - offset) }
    })
}

#[cfg(test)]
mod tests;
