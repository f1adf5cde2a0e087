//! Sparse files, in the four forms of GNU tar: old GNU headers, and PAX 0.0, 0.1 and 1.0.
//!
//! All give a [`Map`]: where the packed data goes in a file that is zeros otherwise.

use std::io::{self, Read, Write};

use super::chain::{block, header_block};
use super::header::{number, Header};
use super::pax::decimal;
use super::{TarStream, BLOCK};
use crate::import::budget::Budget;
use crate::import::Fault;

/// Offset and length of packed data.
pub(super) type Extent = (u64, u64);

/// A sparse file: extents in order, none over another, all within the size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Map {
    extents: Vec<Extent>,
    /// With the holes.
    pub size: u64,
}

impl Map {
    pub(super) fn new(extents: Vec<Extent>, size: u64) -> Result<Self, String> {
        let mut end = 0;
        for (offset, length) in &extents {
            if *offset < end {
                return Err("its map of holes goes backwards".to_owned());
            }
            end = offset.checked_add(*length).filter(|end| *end <= size).ok_or("its map of holes is larger than it")?;
        }
        Ok(Self { extents, size })
    }

    /// Bytes of data in the tar stream; no more than the size.
    pub(in crate::import) fn packed(&self) -> u64 {
        self.extents.iter().map(|(_, length)| length).sum()
    }

    /// A small file with its holes.
    pub(in crate::import) fn expanded(&self, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        self.expand(packed, &mut whole).map(|()| whole)
    }

    /// Writes the file with its holes.
    pub(in crate::import) fn expand(&self, mut packed: impl Read, out: &mut impl Write) -> io::Result<()> {
        let mut at = 0;
        for (offset, length) in &self.extents {
            exactly(&mut io::repeat(0), offset - at, out)?;
            exactly(&mut packed, *length, out)?;
            at = offset + length;
        }
        exactly(&mut io::repeat(0), self.size - at, out)
    }
}

fn exactly(from: &mut impl Read, size: u64, out: &mut impl Write) -> io::Result<()> {
    match io::copy(&mut from.take(size), out)? {
        copied if copied == size => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The `GNU.sparse.` records of an extended header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse {
    /// Instead of the entry's name, which is made up.
    pub name: Option<Vec<u8>>,
    version: [Option<u64>; 2],
    size: Option<u64>,
    count: Option<u64>,
    map: Option<Vec<Extent>>,
    offset: Option<u64>,
}

/// Where the map is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the extended header: PAX 0.0 and 0.1.
    Header(Map),
    /// Before the data, of a file of this size: PAX 1.0.
    Data(u64),
}

impl Sparse {
    pub(super) fn record(&mut self, field: &[u8], value: &[u8]) -> Result<(), String> {
        let wrong = || format!("its map of holes is malformed (GNU.sparse.{})", String::from_utf8_lossy(field));
        let number = || decimal(value).ok_or_else(wrong);
        let repeated = match field {
            b"major" => self.version[0].replace(number()?).is_some(),
            b"minor" => self.version[1].replace(number()?).is_some(),
            b"size" | b"realsize" => {
                let size = number()?;
                self.size.replace(size).is_some_and(|known| known != size)
            }
            b"numblocks" => self.count.replace(number()?).is_some(),
            b"name" if value.is_empty() || value.contains(&0) => return Err(wrong()),
            b"name" => self.name.replace(value.to_vec()).is_some(),
            b"map" => self.map.replace(pairs(value).ok_or_else(wrong)?).is_some(),
            b"offset" => self.offset.replace(number()?).is_some(),
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(wrong)?;
                self.map.get_or_insert_default().push((offset, number()?));
                false
            }
            _ => return Err(wrong()),
        };
        if repeated {
            Err(wrong())
        } else {
            Ok(())
        }
    }

    /// `None` if the file is not sparse.
    pub(super) fn place(&mut self) -> Result<Option<Place>, String> {
        let fields = (self.version, self.map.take(), self.size);
        if self.offset.is_some() {
            return Err("its map of holes has an offset without a length".to_owned());
        }
        match fields {
            ([None, None], None, None) if self.name.is_none() && self.count.is_none() => Ok(None),
            ([Some(1), Some(0)], None, Some(size)) => Ok(Some(Place::Data(size))),
            ([None, None] | [Some(0), Some(0 | 1)], Some(extents), Some(size)) => {
                if self.count.is_some_and(|count| count != extents.len() as u64) {
                    return Err("its map of holes has not as many parts as it says".to_owned());
                }
                Ok(Some(Place::Header(Map::new(extents, size)?)))
            }
            _ => Err("it is a sparse file of an unknown form".to_owned()),
        }
    }
}

/// `OFFSET,LENGTH,OFFSET,LENGTH…`
fn pairs(value: &[u8]) -> Option<Vec<Extent>> {
    if value.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Vec<u64> = value.split(|byte| *byte == b',').map(decimal).collect::<Option<_>>()?;
    let pairs = numbers.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| (pair[0], pair[1])).collect())
}

/// The map of PAX 1.0, and how many bytes of the entry's data it takes: a count, then offsets and lengths, a number a line.
pub(super) fn map_before_data(stream: &mut impl TarStream, size: u64, budget: &Budget) -> Result<(Map, u64), Fault> {
    const WRONG: &str = "its map of holes is malformed";
    let wrong = || Fault::Malformed(WRONG.to_owned());
    let (mut text, mut lines, mut wanted) = (Vec::new(), 0, 1);
    while lines < wanted {
        budget.header((text.len() + BLOCK) as u64)?;
        let block = block(stream)?.ok_or(Fault::Truncated)?;
        text.extend_from_slice(&block);
        lines += block.iter().filter(|byte| **byte == b'\n').count() as u64;
        if wanted == 1 && lines > 0 {
            let count = text.split(|byte| *byte == b'\n').next().and_then(decimal).ok_or_else(wrong)?;
            wanted = count.checked_mul(2).and_then(|lines| lines.checked_add(1)).ok_or_else(wrong)?;
        }
    }
    let mut rest = text.split(|byte| *byte == b'\n').skip(1);
    let mut next = || rest.next().and_then(decimal);
    let pairs = (1..wanted).step_by(2).map(|_| Some((next()?, next()?)));
    let extents = pairs.collect::<Option<_>>().ok_or_else(wrong)?;
    let map = Map::new(extents, size).map_err(Fault::Malformed)?;
    Ok((map, text.len() as u64))
}

/// The map of an old GNU header, and of the blocks that follow it; `used` bytes came before.
pub(super) fn map_of_gnu_header(
    stream: &mut impl TarStream,
    header: &Header,
    budget: &Budget,
    mut used: u64,
) -> Result<Map, Fault> {
    let (mut extents, mut ended) = (Vec::new(), false);
    let (fields, mut more, size) = header.sparse();
    descriptors(fields, &mut extents, &mut ended)?;
    while more {
        used += BLOCK as u64;
        budget.header(used)?;
        let block = header_block(stream)?;
        descriptors(&block[..504], &mut extents, &mut ended)?;
        more = block[504] != 0;
    }
    let size = size.map_err(|why| Fault::Malformed(why.to_owned()))?;
    Map::new(extents, size).map_err(Fault::Malformed)
}

/// Offsets and lengths of 12 bytes each; an empty one is the last.
fn descriptors(fields: &[u8], extents: &mut Vec<Extent>, ended: &mut bool) -> Result<(), Fault> {
    for field in fields.chunks_exact(24) {
        *ended |= field[0] == 0 || field[12] == 0;
        if *ended {
            break;
        }
        let read = |field| number(field).ok().and_then(|number| u64::try_from(number).ok());
        let extent = read(&field[..12]).zip(read(&field[12..]));
        extents.push(extent.ok_or_else(|| Fault::Malformed("its map of holes is malformed".to_owned()))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_goes_forward_and_stays_inside() {
        assert_eq!(Map::new(vec![(0, 2), (4, 3), (9, 0)], 9).unwrap().packed(), 5);
        for wrong in [vec![(4, 3), (0, 2)], vec![(0, 5), (4, 1)], vec![(8, 2)], vec![(9, u64::MAX)], vec![(10, 0)]] {
            assert!(Map::new(wrong, 9).is_err());
        }
    }

    #[test]
    fn holes_are_zeros() {
        let map = Map::new(vec![(2, 2), (5, 1)], 8).unwrap();
        let mut out = Vec::new();
        map.expand(&b"abc"[..], &mut out).unwrap();
        assert_eq!(out, b"\0\0ab\0c\0\0");
        assert!(map.expand(&b"ab"[..], &mut io::sink()).is_err());
    }
}
