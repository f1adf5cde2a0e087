//! tar-split: a layer's exact tar stream from the headers that podman kept and the files that it unpacked.
//!
//! JSON lines: type 2 carries raw bytes (headers, padding), type 1 a file whose contents go here. The contents'
//! CRC is not looked at: the diff ID, checked on import, covers every byte. Which file the contents come from is told beside the
//! stream, before they are: an import may then share the file instead of writing its bytes again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Take};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

use crate::sys::Original;

/// One line: a segment of at most some MiB in base64.
const LINE_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    name: Option<String>,
    /// Instead of `name`, where that is no UTF-8; base64.
    name_raw: Option<String>,
    size: Option<u64>,
    payload: Option<String>,
}

/// Files whose bytes are in a stream, and at which offset.
pub type Originals = Receiver<(u64, Original)>;

/// A layer of podman's storage as a tar stream.
pub struct TarSplit<L> {
    lines: L,
    diff: Arc<File>,
    part: Part,
    /// How much of the stream was read.
    offset: u64,
    originals: Option<Sender<(u64, Original)>>,
}

enum Part {
    Bytes(Cursor<Vec<u8>>),
    Contents { file: Take<File>, name: String },
}

impl TarSplit<BufReader<MultiGzDecoder<BufReader<File>>>> {
    /// `list` is the `.tar-split.gz`, `diff` the unpacked layer.
    pub(super) fn open(list: &Path, diff: &Path) -> io::Result<Self> {
        let open = |path: &Path| {
            File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        let lines = BufReader::new(MultiGzDecoder::new(BufReader::new(open(list)?)));
        Ok(Self::new(lines, open(diff)?))
    }
}

impl<L: BufRead> TarSplit<L> {
    /// The lines that podman kept, and the directory that it unpacked to.
    pub fn new(lines: L, diff: File) -> Self {
        Self { lines, diff: Arc::new(diff), part: Part::Bytes(Cursor::default()), offset: 0, originals: None }
    }

    /// Tells the files as well. They are held by name, not open: as many may wait as small files go into all that is read ahead.
    pub fn with_originals(self) -> (Self, Originals) {
        let (sender, originals) = channel();
        (Self { originals: Some(sender), ..self }, originals)
    }

    /// Goes to the next part; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        let mut text = Vec::new();
        self.lines.by_ref().take(LINE_MAX).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(false);
        }
        let line: Line = serde_json::from_slice(&text).map_err(invalid)?;
        self.part = match line.kind {
            2 => Part::Bytes(Cursor::new(STANDARD.decode(line.payload.unwrap_or_default()).map_err(invalid)?)),
            1 => match line.size.unwrap_or(0) {
                0 => Part::Bytes(Cursor::default()),
                size => self.contents(&line, size)?,
            },
            kind => return Err(invalid(format!("a line of the unknown type {kind}"))),
        };
        Ok(true)
    }

    fn contents(&self, line: &Line, size: u64) -> io::Result<Part> {
        let raw = line.name_raw.as_ref().map(|raw| STANDARD.decode(raw).map_err(invalid)).transpose()?;
        let path = raw.unwrap_or_else(|| line.name.clone().unwrap_or_default().into_bytes());
        let name = String::from_utf8_lossy(&path).into_owned();
        let path = PathBuf::from(std::ffi::OsString::from_vec(path));
        let (file, original) = Original::open(&self.diff, &path)
            .map_err(|error| io::Error::new(error.kind(), format!("the layer's file {name:?}: {error}")))?;
        if let Some(originals) = &self.originals {
            // Nobody listens any more: the stream itself will meet the reason.
            let _ = originals.send((self.offset, original));
        }
        Ok(Part::Contents { file: file.take(size), name })
    }
}

impl<L: BufRead> Read for TarSplit<L> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = match &mut self.part {
                Part::Bytes(bytes) => bytes.read(buffer)?,
                Part::Contents { file, name } => match file.read(buffer)? {
                    0 if file.limit() > 0 => {
                        return Err(invalid(format!(
                            "the layer's file {name:?} is shorter than it was; podman system check may tell why"
                        )))
                    }
                    length => length,
                },
            };
            if length > 0 || !self.next()? {
                self.offset += length as u64;
                return Ok(length);
            }
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn read(lines: &str) -> io::Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let diff = dir.path().join("diff");
        fs::create_dir_all(diff.join("a")).unwrap();
        fs::write(diff.join("a/x"), "hello").unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("..", diff.join("up")).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(lines.as_bytes()).unwrap();
        let list = dir.path().join("list.gz");
        fs::write(&list, encoder.finish().unwrap()).unwrap();
        let mut bytes = Vec::new();
        TarSplit::open(&list, &diff)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn segments_and_files_make_the_stream() {
        let name = STANDARD.encode("./a/x");
        let lines = format!(
            "{{\"type\":2,\"payload\":\"PDE+\",\"position\":0}}\n{{\"type\":1,\"name\":\"./a/x\",\"size\":5,\"payload\":\"AAAA\",\"position\":1}}\n\
             {{\"type\":1,\"name\":\"a/\",\"payload\":null,\"position\":2}}\n{{\"type\":1,\"name_raw\":\"{name}\",\"size\":4,\"position\":3}}\n"
        );
        assert_eq!(read(&lines).unwrap(), b"<1>hellohell");
    }

    #[test]
    fn files_outside_of_the_layer_and_through_links_are_not_opened() {
        for name in ["../secret", "up/secret", "/../secret", "a/../../secret"] {
            let lines = format!("{{\"type\":1,\"name\":\"{name}\",\"size\":6}}\n");
            assert!(read(&lines).is_err(), "{name}");
        }
    }

    #[test]
    fn shortened_files_and_broken_lines_are_seen() {
        assert!(read("{\"type\":1,\"name\":\"a/x\",\"size\":6}\n").unwrap_err().to_string().contains("a/x"));
        assert!(read("{\"type\":3}\n").is_err());
        assert!(read("{").is_err());
        assert!(read("{\"type\":2,\"payload\":\"*\"}\n").is_err());
    }
}
