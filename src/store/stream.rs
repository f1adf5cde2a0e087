//! Splitstreams: a byte stream with its large parts taken out as objects (composefs-rs `splitstream_format`, version 0).
//!
//! Header (32 bytes), info (80), the digests of named streams, of objects, the names, the stream; names and
//! stream are zstd. In the stream, a negative `i64` is that many inline bytes, another one the number of an object.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Read, Write};
use std::ops::Range;

use zstd::stream::{read::Decoder, write::Encoder};

use super::{Error, Result, Store};
use crate::model::Digest;

const MAGIC: &[u8; 11] = b"SplitStream";
/// Version 0, flags 0, SHA-256, blocks of 2^12.
const KIND: [u8; 5] = [0, 0, 0, 1, 12];
const HEADER: u64 = 32;
const INFO: u64 = 80;
/// The names of a stream: more than any image has layers.
const NAMES_LIMIT: u64 = 1 << 20;

/// Digests in the order of their first appearance, each once.
#[derive(Default)]
struct Unique {
    order: Vec<Digest>,
    number: HashMap<Digest, i64>,
}

impl Unique {
    fn number(&mut self, digest: Digest) -> i64 {
        let Self { order, number } = self;
        *number.entry(digest).or_insert_with(|| {
            order.push(digest);
            order.len() as i64 - 1
        })
    }

    fn bytes(&self) -> Vec<u8> {
        self.order.iter().flat_map(|digest| *digest.as_bytes()).collect()
    }
}

/// Builds a splitstream in memory; large contents are not in it.
pub struct Writer {
    content_type: [u8; 8],
    inline: Vec<u8>,
    body: Encoder<'static, Vec<u8>>,
    objects: Unique,
    streams: Unique,
    names: BTreeMap<String, i64>,
    size: u64,
}

impl Writer {
    /// An empty stream; `content_type` tells readers what is in it.
    pub fn new(content_type: &[u8; 8]) -> io::Result<Self> {
        Ok(Self {
            content_type: *content_type,
            inline: Vec::new(),
            body: Encoder::new(Vec::new(), 0)?,
            objects: Unique::default(),
            streams: Unique::default(),
            names: BTreeMap::new(),
            size: 0,
        })
    }

    /// The next bytes are these.
    pub fn inline(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.inline.extend_from_slice(bytes);
    }

    /// Ends an inline part, so that it need not wait in memory. Only where a reader expects no more of it.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.inline.is_empty() {
            self.body.write_all(&(-(self.inline.len() as i64)).to_le_bytes())?;
            self.body.write_all(&self.inline)?;
            self.inline.clear();
        }
        Ok(())
    }

    /// The next bytes are those of an object.
    pub fn object(&mut self, digest: Digest, size: u64) -> io::Result<()> {
        self.flush()?;
        self.size += size;
        let number = self.objects.number(digest);
        self.body.write_all(&number.to_le_bytes())
    }

    /// Refers to another stream: it lives as long as this one.
    pub fn name(&mut self, name: &str, stream: Digest) {
        let number = self.streams.number(stream);
        self.names.insert(name.to_owned(), number);
    }

    /// The splitstream's bytes, to be stored as an object.
    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        self.flush()?;
        let body = self.body.finish()?;
        let mut names = Encoder::new(Vec::new(), 0)?;
        for (name, number) in &self.names {
            write!(names, "{number}:{name}\0")?;
        }
        let names = names.finish()?;
        let (streams, objects) = (self.streams.bytes(), self.objects.bytes());

        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&KIND);
        let mut at = HEADER + INFO;
        let mut range = |length: usize| {
            let start = at;
            at += length as u64;
            [start.to_le_bytes(), at.to_le_bytes()].concat()
        };
        let (streams_range, objects_range) = (range(streams.len()), range(objects.len()));
        let (names_range, body_range) = (range(names.len()), range(body.len()));
        out.extend_from_slice(&HEADER.to_le_bytes());
        out.extend_from_slice(&(HEADER + INFO).to_le_bytes());
        for part in [streams_range, objects_range, body_range, names_range] {
            out.extend_from_slice(&part);
        }
        out.extend_from_slice(&self.content_type);
        out.extend_from_slice(&self.size.to_le_bytes());
        for part in [streams, objects, names, body] {
            out.extend_from_slice(&part);
        }
        Ok(out)
    }
}

/// What a splitstream refers to, whatever is in it.
#[derive(Debug, PartialEq, Eq)]
pub struct References {
    /// Digests of all objects that the stream needs, by number.
    pub objects: Vec<Digest>,
    /// Streams that it refers to.
    pub names: BTreeMap<String, Digest>,
}

impl References {
    /// Whether these bytes begin as a splitstream does, of whatever version.
    pub fn begin(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Parses the bytes of a splitstream.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, &'static str> {
        let info = info(bytes)?;
        let part = |at| section(bytes, range(info, at)?);
        let (streams, objects) = (digests(part(0)?)?, digests(part(16)?)?);
        let names = names(part(48)?, &streams).map_err(|_| "its names cannot be read")?;
        Ok(Self { objects, names })
    }
}

/// A splitstream that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reader {
    /// Digests of all objects that the stream needs, by number.
    pub objects: Vec<Digest>,
    /// Streams that it refers to.
    pub names: BTreeMap<String, Digest>,
    /// Size of the whole stream in bytes.
    pub size: u64,
    body: Vec<u8>,
}

impl Reader {
    /// Parses the bytes of a splitstream of this content type.
    pub fn parse(bytes: &[u8], content_type: &[u8; 8]) -> std::result::Result<Self, &'static str> {
        let info = info(bytes)?;
        if info.get(64..72) != Some(content_type) {
            return Err("it is a splitstream of another content");
        }
        let References { objects, names } = References::parse(bytes)?;
        let body = section(bytes, range(info, 32)?)?.to_vec();
        Ok(Self { objects, names, size: number(info, 72)?, body })
    }

    /// Reads the stream from its start.
    pub fn body(&self) -> io::Result<Body<'_>> {
        Ok(Body { decoder: Decoder::new(self.body.as_slice())?, objects: &self.objects, inline: 0 })
    }
}

/// The stream of a [`Reader`].
pub struct Body<'a> {
    decoder: Decoder<'a, BufReader<&'a [u8]>>,
    objects: &'a [Digest],
    inline: u64,
}

/// A part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes, at most so many at once that memory stays bounded.
    Inline(Vec<u8>),
    /// Those of an object.
    Object(Digest),
}

/// Inline bytes that are handed out at once.
const PART_MAX: u64 = 1 << 20;

enum Chunk {
    End,
    Inline,
    Object(Digest),
}

impl Body<'_> {
    /// Fills the buffer with inline bytes; false at the end of the stream.
    pub fn inline(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.chunk()? {
                Chunk::Inline => {}
                Chunk::End if filled == 0 => return Ok(false),
                Chunk::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                Chunk::Object(_) => return Err(invalid("an object where inline bytes are expected")),
            }
            let length = (buffer.len() - filled).min(usize::try_from(self.inline).unwrap_or(usize::MAX));
            self.decoder.read_exact(&mut buffer[filled..filled + length])?;
            self.inline -= length as u64;
            filled += length;
        }
        Ok(true)
    }

    /// The object that comes next, if one does.
    pub fn object(&mut self) -> io::Result<Option<Digest>> {
        match self.chunk()? {
            Chunk::Object(digest) => Ok(Some(digest)),
            Chunk::Inline | Chunk::End => Ok(None),
        }
    }

    /// The next part, whatever it is; `None` at the end of the stream.
    pub fn part(&mut self) -> io::Result<Option<Part>> {
        match self.chunk()? {
            Chunk::End => Ok(None),
            Chunk::Object(digest) => Ok(Some(Part::Object(digest))),
            Chunk::Inline => {
                let mut bytes = vec![0; self.inline.min(PART_MAX) as usize];
                self.inline(&mut bytes)?;
                Ok(Some(Part::Inline(bytes)))
            }
        }
    }

    /// What comes next; reads a number if the inline part before it is used up.
    fn chunk(&mut self) -> io::Result<Chunk> {
        if self.inline > 0 {
            return Ok(Chunk::Inline);
        }
        let mut number = [0; 8];
        let mut filled = 0;
        while filled < number.len() {
            match self.decoder.read(&mut number[filled..])? {
                0 if filled == 0 => return Ok(Chunk::End),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        match i64::from_le_bytes(number) {
            length @ ..0 => {
                self.inline = length.unsigned_abs();
                Ok(Chunk::Inline)
            }
            number => usize::try_from(number)
                .ok()
                .and_then(|number| self.objects.get(number))
                .map(|digest| Chunk::Object(*digest))
                .ok_or_else(|| invalid("an object number out of range")),
        }
    }
}

impl Store {
    /// Reads the splitstream in this object.
    pub fn read_stream(&self, digest: &Digest, content_type: &[u8; 8]) -> Result<Reader> {
        let bytes = self.read(digest)?;
        Reader::parse(&bytes, content_type)
            .map_err(|why| Error::Damaged { path: self.path.join(digest.object_path()), why })
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The section that says where the others are.
fn info(bytes: &[u8]) -> std::result::Result<&[u8], &'static str> {
    if bytes.get(..16).is_none_or(|start| start[..11] != *MAGIC || start[11] != 0 || start[14..] != KIND[3..]) {
        return Err("it is no splitstream of version 0 with sha256");
    }
    section(bytes, range(bytes, 16)?)
}

fn number(bytes: &[u8], at: usize) -> std::result::Result<u64, &'static str> {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).ok_or("it is cut off")?;
    Ok(u64::from_le_bytes(word))
}

fn range(bytes: &[u8], at: usize) -> std::result::Result<Range<u64>, &'static str> {
    Ok(number(bytes, at)?..number(bytes, at + 8)?)
}

fn section(bytes: &[u8], range: Range<u64>) -> std::result::Result<&[u8], &'static str> {
    let index = |position| usize::try_from(position).map_err(|_| "a section lies outside of it");
    bytes.get(index(range.start)?..index(range.end)?).ok_or("a section lies outside of it")
}

fn digests(bytes: &[u8]) -> std::result::Result<Vec<Digest>, &'static str> {
    let chunks = bytes.chunks_exact(Digest::LEN);
    if !chunks.remainder().is_empty() {
        return Err("its list of digests is cut off");
    }
    Ok(chunks.filter_map(|chunk| chunk.try_into().ok()).map(Digest::new).collect())
}

fn names(section: &[u8], streams: &[Digest]) -> io::Result<BTreeMap<String, Digest>> {
    let mut text = String::new();
    Decoder::new(section)?.take(NAMES_LIMIT).read_to_string(&mut text)?;
    text.split_terminator('\0')
        .map(|record| {
            let (number, name) = record.split_once(':')?;
            Some((name.to_owned(), *streams.get(number.parse::<usize>().ok()?)?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| invalid("a name without a stream"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &[u8; 8] = b"ocilayer";

    fn digest(byte: u8) -> Digest {
        Digest::new([byte; 32])
    }

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new(TYPE).unwrap();
        writer.inline(b"head");
        writer.object(digest(1), 100).unwrap();
        writer.object(digest(2), 5).unwrap();
        writer.inline(b"pad");
        writer.object(digest(1), 100).unwrap();
        writer.name("config:x", digest(9));
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let reader = Reader::parse(&sample(), TYPE).unwrap();
        assert_eq!(reader.objects, [digest(1), digest(2)]);
        assert_eq!(reader.names, BTreeMap::from([("config:x".to_owned(), digest(9))]));
        assert_eq!(reader.size, 4 + 100 + 5 + 3 + 100);
        let mut body = reader.body().unwrap();
        let mut four = [0; 4];
        assert!(body.inline(&mut four).unwrap());
        assert_eq!(&four, b"head");
        assert_eq!(body.object().unwrap(), Some(digest(1)));
        assert_eq!(body.object().unwrap(), Some(digest(2)));
        assert_eq!(body.object().unwrap(), None);
        assert!(body.inline(&mut four[..3]).unwrap());
        assert_eq!(body.object().unwrap(), Some(digest(1)));
        assert!(!body.inline(&mut four).unwrap());
    }

    #[test]
    fn the_layout_is_that_of_composefs_rs() {
        let bytes = sample();
        assert_eq!(&bytes[..16], b"SplitStream\0\0\0\x01\x0c");
        assert_eq!(range(&bytes, 16), Ok(32..112));
        assert_eq!(range(&bytes, 32), Ok(112..144), "stream references: one digest");
        assert_eq!(range(&bytes, 48), Ok(144..208), "object references: two");
        assert_eq!(&bytes[96..104], TYPE);
        assert_eq!(number(&bytes, 104), Ok(212));
    }

    #[test]
    fn another_content_type_is_refused() {
        assert!(Reader::parse(&sample(), b"ociconfg").is_err());
    }

    fn drain(reader: &Reader) {
        let Ok(mut body) = reader.body() else { return };
        let mut byte = [0];
        for _ in 0..10_000 {
            match (body.object(), body.inline(&mut byte)) {
                (Ok(Some(_)), Ok(true)) | (Ok(None), Ok(true)) => {}
                _ => return,
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_streams_are_refused_or_read_but_never_panic(at in 0usize..300, byte: u8, cut in 0usize..300) {
            let mut bytes = sample();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            if let Ok(reader) = Reader::parse(&bytes, TYPE) { drain(&reader); }
        }
    }
}
