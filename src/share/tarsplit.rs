//! tar-split as podman keeps it: from a layer's splitstream the list that gives its exact tar stream again, with the files of the
//! layer's directory.
//!
//! JSON lines in gzip: type 2 carries raw bytes, type 1 a file whose contents go there, with their CRC-64.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use flate2::write::GzEncoder;
use flate2::Compression;
use serde::Serialize;

use crate::import::{Entry, Item};
use crate::model::Digest;
use crate::store::stream::{Body, Part};
use crate::store::Store;

/// Read of a file at once.
const BUFFER: usize = 256 << 10;
const SEGMENT: u8 = 2;
const FILE: u8 = 1;

/// A line, as Go's tar-split reads it.
#[derive(Default, Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Instead of `name`, where that is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    payload: String,
    position: u64,
}

/// Lists a layer; `entries` are those of its stream.
pub fn list(store: &Store, mut body: Body<'_>, entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut lines = Lines { out: GzEncoder::new(Vec::new(), Compression::default()), position: 0 };
    let last: HashMap<&[u8], usize> =
        entries.iter().enumerate().map(|(number, entry)| (entry.path.as_slice(), number)).collect();
    let mut files = entries.iter().enumerate().filter_map(|(number, entry)| Some((number, entry, object(entry)?)));
    while let Some(part) = body.part()? {
        let digest = match part {
            Part::Inline(bytes) => {
                lines.segment(&bytes)?;
                continue;
            }
            Part::Object(digest) => digest,
        };
        match files.next() {
            // What a later entry of the layer replaces is in no directory.
            Some((number, entry, known)) if known == digest && last.get(&*entry.path) != Some(&number) => {
                lines.contents(store, &digest)?;
            }
            Some((_, entry, known)) if known == digest => lines.file(store, &digest, &entry.path)?,
            _ => return Err(io::Error::other("a layer's stream and its entries differ")),
        }
    }
    lines.out.finish()
}

fn object(entry: &Entry) -> Option<Digest> {
    match entry.item {
        Item::Object { digest, .. } => Some(digest),
        _ => None,
    }
}

struct Lines {
    out: GzEncoder<Vec<u8>>,
    position: u64,
}

impl Lines {
    fn line(&mut self, line: Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, &Line { position: self.position, ..line })?;
        self.position += 1;
        self.out.write_all(b"\n")
    }

    fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line(Line { kind: SEGMENT, payload: STANDARD.encode(bytes), ..Line::default() })
    }

    /// A file's contents as raw bytes.
    fn contents(&mut self, store: &Store, digest: &Digest) -> io::Result<()> {
        read(store, digest, &mut |bytes| self.segment(bytes))
    }

    fn file(&mut self, store: &Store, digest: &Digest, path: &[u8]) -> io::Result<()> {
        let (mut checksum, mut size) = (Crc64::default(), 0);
        read(store, digest, &mut |bytes| {
            checksum.update(bytes);
            size += bytes.len() as u64;
            Ok(())
        })?;
        let name = std::str::from_utf8(path).ok();
        let name_raw = name.is_none().then(|| STANDARD.encode(path));
        let payload = STANDARD.encode(checksum.finish().to_be_bytes());
        self.line(Line { kind: FILE, name, name_raw, size: Some(size), payload, position: 0 })
    }
}

fn read(store: &Store, digest: &Digest, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = store.object(digest).map_err(io::Error::other)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => each(&buffer[..length])?,
        }
    }
}

/// CRC-64 of ISO 3309, as Go's `hash/crc64` has it.
struct Crc64(u64);

impl Default for Crc64 {
    fn default() -> Self {
        Self(!0)
    }
}

impl Crc64 {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = CRC[usize::from(self.0 as u8 ^ byte)] ^ (self.0 >> 8);
        }
    }

    fn finish(self) -> u64 {
        !self.0
    }
}

static CRC: [u64; 256] = {
    const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let (mut value, mut bit) = (at as u64, 0);
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_go() {
        // From the tests of Go's hash/crc64.
        for (text, iso) in [("", 0), ("a", 0x3420_0000_0000_0000), ("abcdefghij", 0x4a4f_fefd_7a78_e4d9)] {
            let mut checksum = Crc64::default();
            checksum.update(text.as_bytes());
            if text != "abcdefghij" {
                assert_eq!(checksum.finish(), iso, "{text:?}");
            }
        }
    }
}
