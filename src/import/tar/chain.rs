//! The headers of one entry: its own, and the extended ones before it.

use std::io;

use super::header::{Format, Header};
use super::pax::{check_global, Pax};
use super::{TarStream, BLOCK};
use crate::import::budget::Budget;
use crate::import::Fault;

const STEP: usize = 64 << 10;

/// What all headers of an entry say.
#[derive(Debug)]
pub(super) struct Chain {
    pub header: Header,
    /// As the extended headers say it, or the header.
    pub path: Vec<u8>,
    /// The same, for the target of a link; empty if there is none.
    pub link: Vec<u8>,
    pub pax: Pax,
    /// What the extended headers take.
    pub bytes: u64,
}

/// Extended headers that were read so far.
#[derive(Default)]
struct Extended {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
    bytes: u64,
}

/// The next entry; `None` at the end marker, or at the end of a stream that has none.
pub(super) fn next(stream: &mut impl TarStream, budget: &Budget) -> Result<Option<Chain>, Fault> {
    let mut extended = Extended::default();
    loop {
        let Some(bytes) = block(stream)? else {
            return if extended.bytes == 0 { Ok(None) } else { Err(Fault::Truncated) };
        };
        if bytes == [0; BLOCK] {
            return end(stream, &extended).map(|()| None);
        }
        let header = Header::new(bytes).map_err(malformed)?;
        match (header.kind(), header.format()) {
            (b'L' | b'K' | b'x' | b'S', Format::V7) => {
                return Err(malformed("it has extensions of a format that has none"))
            }
            (kind @ (b'L' | b'K' | b'x'), _) => extended.read(kind, &header, stream, budget)?,
            (b'g', _) if extended.bytes > 0 => {
                return Err(malformed("a global header stands between an entry and its own"))
            }
            (b'g', _) => global(stream, &header, budget)?,
            _ => return extended.finish(header).map(Some).map_err(malformed),
        }
    }
}

/// One that would be of all entries. It counts as an entry, or there could be any number of them.
fn global(stream: &mut impl TarStream, header: &Header, budget: &Budget) -> Result<(), Fault> {
    let bytes = content(stream, header, 0, budget)?;
    budget.entry(bytes.len() as u64)?;
    check_global(&bytes).map_err(Fault::Malformed)
}

/// One block; `None` if the stream ends before it.
pub(super) fn block(stream: &mut impl TarStream) -> Result<Option<[u8; BLOCK]>, Fault> {
    let mut block = [0; BLOCK];
    Ok(filled(stream, &mut block)?.then_some(block))
}

fn filled(stream: &mut impl TarStream, buffer: &mut [u8]) -> Result<bool, Fault> {
    stream.header(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Truncated,
        _ => error.into(),
    })
}

/// One block, which must be there.
pub(super) fn header_block(stream: &mut impl TarStream) -> Result<[u8; BLOCK], Fault> {
    block(stream)?.ok_or(Fault::Truncated)
}

/// Two blocks of zeros are the end marker. Tools go on, stop or fail after a single one.
fn end(stream: &mut impl TarStream, extended: &Extended) -> Result<(), Fault> {
    if header_block(stream)? != [0; BLOCK] {
        return Err(malformed("a single block of zeros is no end marker"));
    }
    match extended.bytes {
        0 => Ok(()),
        _ => Err(malformed("an extended header belongs to no entry")),
    }
}

/// The data of an extended header, without its padding. `used`: what others before the same entry took.
fn content(stream: &mut impl TarStream, header: &Header, used: u64, budget: &Budget) -> Result<Vec<u8>, Fault> {
    let size = header.size().map_err(malformed)?;
    budget.header(used.saturating_add(size))?;
    let size = usize::try_from(size).map_err(|_| Fault::Truncated)?;
    let padded = size.checked_next_multiple_of(BLOCK).ok_or(Fault::Truncated)?;
    let mut bytes = Vec::new();
    // In steps: what is announced may not be there.
    while bytes.len() < padded {
        let have = bytes.len();
        bytes.resize(padded.min(have + STEP), 0);
        if !filled(stream, &mut bytes[have..])? {
            return Err(Fault::Truncated);
        }
    }
    bytes.truncate(size);
    Ok(bytes)
}

impl Extended {
    fn read(&mut self, kind: u8, header: &Header, stream: &mut impl TarStream, budget: &Budget) -> Result<(), Fault> {
        let bytes = content(stream, header, self.bytes, budget)?;
        self.bytes += (BLOCK + bytes.len()) as u64;
        let repeated = match kind {
            b'L' => self.long_name.replace(text(bytes)).is_some(),
            b'K' => self.long_link.replace(text(bytes)).is_some(),
            _ => self.pax.replace(Pax::parse(&bytes).map_err(Fault::Malformed)?).is_some(),
        };
        match repeated {
            true => Err(malformed("an entry has the same extended header twice")),
            false => Ok(()),
        }
    }

    fn finish(self, header: Header) -> Result<Chain, &'static str> {
        let mut pax = self.pax.unwrap_or_default();
        let path = one_of(pax.path.take(), self.long_name)?.unwrap_or_else(|| header.name());
        let link = one_of(pax.link.take(), self.long_link)?.unwrap_or_else(|| header.link().to_vec());
        Ok(Chain { path: pax.sparse.name.clone().unwrap_or(path), link, pax, bytes: self.bytes, header })
    }
}

/// Tools disagree about which one counts.
fn one_of(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, &'static str> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => Err("its extended headers give it two names"),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

/// A GNU long name; the NUL at its end is no part of it.
fn text(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

fn malformed(why: &str) -> Fault {
    Fault::Malformed(why.to_owned())
}
