//! Tar headers to entries: one parser for a layer that is being imported and for one that is read back from the store.
//!
//! It is strict: where tools read different things out of the same bytes, the layer is refused, and so is what no host
//! image may contain. Every refusal names the entry. What is read, composefs-rs reads in the same way, as far as it reads it.

mod chain;
mod header;
mod pax;
mod sparse;

use std::fmt::Display;
use std::io;

use rustix::fs::makedev;

use super::budget::Budget;
use super::entry::{clean_path, Entry, Item, Metadata};
use super::Fault;
use crate::model::Digest;
use chain::Chain;
pub(super) use sparse::Map;
use sparse::{map_before_data, map_of_gnu_header, Place, Sparse};

/// Larger regular files are objects; the limit is part of the image format.
pub(super) const INLINE_MAX: u64 = 64;
/// Longest path and link target: the kernel's `PATH_MAX`, with its NUL.
const PATH_MAX: usize = 4095;
const BLOCK: usize = 512;

/// The bytes that fill up the last block of so much data.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The data of an entry.
#[derive(Debug)]
pub(super) enum Data {
    /// All of it.
    Inline(Vec<u8>),
    /// It is in the store.
    Object(Digest),
}

/// A tar stream, split or yet to be split.
pub(super) trait TarStream {
    /// Fills the buffer with header bytes; false if the stream ends before the first.
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool>;

    /// The next `size` bytes of data, without the padding, which is skipped. `object`: to be kept in the store.
    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault>;

    /// The same for a sparse file, with its holes; `object` by its size with them.
    fn sparse(&mut self, map: &Map, object: bool) -> Result<Data, Fault>;
}

/// Reads all entries up to the end marker, or up to the end of a stream that has none.
pub(super) fn entries(stream: &mut impl TarStream, budget: &Budget) -> Result<Vec<Entry>, Fault> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = |fault: Fault| match entries.last() {
            Some(last) => fault.at("after entry", &last.path),
            None => fault,
        };
        let Some(mut chain) = chain::next(stream, budget).map_err(after)? else { return Ok(entries) };
        entries.push(read_entry(&mut chain, stream, budget).map_err(|fault| fault.at("entry", &chain.path))?);
    }
}

fn read_entry(chain: &mut Chain, stream: &mut impl TarStream, budget: &Budget) -> Result<Entry, Fault> {
    budget.entry((chain.path.len() + chain.link.len()) as u64 + chain.bytes)?;
    if chain.path.is_empty() || chain.path.len() > PATH_MAX {
        return Err(malformed("its path is empty or longer than 4095 bytes"));
    }
    let path = clean_path(&chain.path).map_err(malformed)?;
    let meta = metadata(chain).map_err(malformed)?;
    let size = match chain.pax.size {
        Some(size) => size,
        None => chain.header.size().map_err(malformed)?,
    };
    let item = match chain.header.kind() {
        b'0' | b'\0' | b'7' | b'S' => file(chain, size, stream, budget)?,
        kind => bare(chain, kind, size, &path)?,
    };
    Ok(Entry { path, meta, item })
}

/// What has no data.
fn bare(chain: &Chain, kind: u8, size: u64, path: &[u8]) -> Result<Item, Fault> {
    if size > 0 {
        return Err(malformed("it is no regular file and has data; tools disagree about the meaning"));
    }
    if chain.pax.sparse != Sparse::default() {
        return Err(malformed("it is no regular file and has a map of holes"));
    }
    let item = match kind {
        b'1' => hard_link(chain, path).map(Item::HardLink),
        b'2' => symlink(chain).map(Item::Symlink),
        b'3' => device(chain).map(|rdev| Item::Special { kind: libc_kind::CHAR, rdev }),
        b'4' => device(chain).map(|rdev| Item::Special { kind: libc_kind::BLOCK, rdev }),
        b'5' => Ok(Item::Directory),
        b'6' => Ok(Item::Special { kind: libc_kind::FIFO, rdev: 0 }),
        _ => return Err(malformed(format!("entries of type {:?} are not supported", char::from(kind)))),
    };
    item.map_err(malformed)
}

/// A regular file, which may be sparse.
fn file(chain: &mut Chain, stored: u64, stream: &mut impl TarStream, budget: &Budget) -> Result<Item, Fault> {
    if chain.path.ends_with(b"/") {
        return Err(malformed("it is a regular file with the name of a directory; tools disagree about the meaning"));
    }
    let place = chain.pax.sparse.place().map_err(malformed)?;
    let (map, taken) = match (chain.header.kind(), place) {
        (b'S', None) => (map_of_gnu_header(stream, &chain.header, budget, chain.bytes)?, 0),
        (b'S', _) => return Err(malformed("it has two maps of holes")),
        (_, Some(Place::Header(map))) => (map, 0),
        (_, Some(Place::Data(size))) => map_before_data(stream, size, budget)?,
        (_, None) => {
            budget.file(stored)?;
            return Ok(item(stream.data(stored, stored > INLINE_MAX)?, stored));
        }
    };
    budget.file(map.size)?;
    if map.packed().checked_add(taken) != Some(stored) {
        return Err(malformed("its map of holes does not fit its data"));
    }
    Ok(item(stream.sparse(&map, map.size > INLINE_MAX)?, map.size))
}

fn item(data: Data, size: u64) -> Item {
    match data {
        Data::Inline(bytes) => Item::Inline(bytes),
        Data::Object(digest) => Item::Object { digest, size },
    }
}

fn hard_link(chain: &Chain, path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let target = clean_path(link(chain)?)?;
    match target == path {
        true => Err("it is a hard link to itself"),
        false => Ok(target),
    }
}

fn symlink(chain: &Chain) -> Result<Vec<u8>, &'static str> {
    match link(chain)? {
        target if target.contains(&0) => Err("its target has a NUL byte"),
        target => Ok(target.to_vec()),
    }
}

fn link(chain: &Chain) -> Result<&[u8], &'static str> {
    match chain.link.len() {
        0 => Err("it is a link without a target"),
        1..=PATH_MAX => Ok(&chain.link),
        _ => Err("its target is longer than 4095 bytes"),
    }
}

/// `S_IFMT` bits, the same on every Linux.
pub(crate) mod libc_kind {
    /// Character device.
    pub const CHAR: u32 = 0o020000;
    /// Block device.
    pub const BLOCK: u32 = 0o060000;
    /// Named pipe.
    pub const FIFO: u32 = 0o010000;
}

fn metadata(chain: &mut Chain) -> Result<Metadata, &'static str> {
    let Chain { header, pax, .. } = chain;
    // 2^32 - 1 means "leave it" to chown, so it is nobody's.
    let id = |id| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    let (mtime, mtime_nsec) = pax.mtime.map_or_else(|| header.mtime().map(|time| (time, 0)), Ok)?;
    Ok(Metadata {
        mode: header.mode()?,
        uid: id(pax.uid.map_or_else(|| header.uid(), Ok)?).ok_or("its owner is out of range")?,
        gid: id(pax.gid.map_or_else(|| header.gid(), Ok)?).ok_or("its group is out of range")?,
        mtime,
        mtime_nsec,
        xattrs: std::mem::take(&mut pax.xattrs),
    })
}

/// The device number, as far as EROFS and the kernel's 32-bit form hold it.
fn device(chain: &Chain) -> Result<u64, &'static str> {
    match chain.header.device()? {
        (major @ ..0x1000, minor @ ..0x10_0000) => Ok(makedev(major as u32, minor as u32)),
        _ => Err("its device number is missing or out of range"),
    }
}

fn malformed(why: impl Display) -> Fault {
    Fault::Malformed(why.to_string())
}

#[cfg(test)]
mod tests;
