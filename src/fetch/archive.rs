//! `oci-archive:`: an image layout in a tar file, read in place: members by their offsets, no copy.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::layout::Blobs;
use super::{Error, Result};
use crate::model::reference::Reference;

/// The file, and where its members lie.
pub(super) struct Archive {
    file: File,
    members: HashMap<String, (u64, u64)>,
}

impl Archive {
    /// Reads the file's headers.
    pub(super) fn open(reference: &Reference, path: &Path) -> Result<Self> {
        let read = |source| Error::Read { reference: reference.clone(), what: path.display().to_string(), source };
        let file = File::open(path).map_err(read)?;
        let members = members(&file).map_err(|error| match packed(&file) {
            Some(with) => Error::Invalid {
                reference: reference.clone(),
                what: path.display().to_string(),
                why: format!("it is compressed; unpack it with {with} first"),
            },
            None => read(error),
        })?;
        Ok(Self { file, members })
    }
}

fn members(file: &File) -> io::Result<HashMap<String, (u64, u64)>> {
    let mut members = HashMap::new();
    for entry in tar::Archive::new(file).entries_with_seek()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
            members.insert(path, (entry.raw_file_position(), entry.size()));
        }
    }
    Ok(members)
}

/// The program that unpacks the file, if it is compressed.
fn packed(file: &File) -> Option<&'static str> {
    let mut start = [0; 4];
    file.read_exact_at(&mut start, 0).ok()?;
    match start {
        [0x1f, 0x8b, ..] => Some("gunzip"),
        [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd -d"),
        _ => None,
    }
}

impl Blobs for Archive {
    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send + '_>> {
        let (offset, size) = self
            .members
            .get(path)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the archive has no such member"))?;
        Ok(Box::new(Member { file: &self.file, at: *offset, left: *size }))
    }
}

struct Member<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.file.read_at(&mut buffer[..limit], self.at)?;
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}
