//! Objects: files named by their fs-verity digest, written once.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::verity::Hasher;
use super::{Error, Result, Store};
use crate::model::Digest;
use crate::sys::{parent, Sys, Unnamed};

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The object's name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was not there before.
    pub new: bool,
}

/// An object being received: its name is known at the end.
#[derive(Debug)]
pub struct Incoming {
    file: Unnamed,
    hasher: Hasher,
    size: u64,
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Incoming {
    /// Gives the object its name, or drops it if the store has it.
    pub fn finish(self, store: &Store, sys: &Sys) -> Result<Stored> {
        let (digest, size) = (self.hasher.finish(), self.size);
        let new = !store.has(&digest, size);
        if new {
            store.place(sys, self.file, &digest)?;
        }
        Ok(Stored { digest, size, new })
    }

    /// Gives the object this name, if it is its own; else drops it.
    pub(super) fn finish_as(self, digest: &Digest, store: &Store, sys: &Sys) -> Result<bool> {
        let same = self.hasher.finish() == *digest;
        if same {
            store.place(sys, self.file, digest)?;
        }
        Ok(same)
    }
}

impl Store {
    /// Whether the object is there. One of another size is the trace of a power cut, and counts as missing.
    pub fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::symlink_metadata(self.object_file(digest)).is_ok_and(|meta| meta.is_file() && meta.len() == size)
    }

    /// Whether the object is there, of whatever size; an empty one is the trace of a power cut.
    pub fn holds(&self, digest: &Digest) -> bool {
        fs::symlink_metadata(self.object_file(digest)).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    }

    /// The size of an object; `None` if it is not there.
    pub fn object_size(&self, digest: &Digest) -> Option<u64> {
        fs::symlink_metadata(self.object_file(digest)).ok().filter(|meta| meta.is_file()).map(|meta| meta.len())
    }

    /// Opens an object for reading.
    pub fn object(&self, digest: &Digest) -> Result<File> {
        let path = self.object_file(digest);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { path },
            _ => Error::Read { path, source },
        })
    }

    /// Reads a whole object and compares it with its name.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.object_file(digest);
        let mut bytes = Vec::new();
        self.object(digest)?.read_to_end(&mut bytes).map_err(|source| Error::Read { path: path.clone(), source })?;
        if Hasher::hash(&bytes) != *digest {
            return Err(Error::Damaged { path, why: "its bytes do not have the digest that names it" });
        }
        Ok(bytes)
    }

    /// Starts an object of unknown name.
    pub fn incoming(&self, sys: &Sys) -> Result<Incoming> {
        Ok(Incoming { file: self.new_object(sys)?, hasher: Hasher::default(), size: 0 })
    }

    /// Stores bytes that are in memory; nothing is written if the object is there.
    pub fn put_bytes(&self, sys: &Sys, bytes: &[u8]) -> Result<Stored> {
        let (digest, size) = (Hasher::hash(bytes), bytes.len() as u64);
        let new = !self.has(&digest, size);
        if new {
            self.put_hashed(sys, &digest, std::iter::once(bytes))?;
        }
        Ok(Stored { digest, size, new })
    }

    /// Stores bytes whose digest the caller has just computed, and which are not there.
    pub(crate) fn put_hashed<'b>(
        &self,
        sys: &Sys,
        digest: &Digest,
        bytes: impl Iterator<Item = &'b [u8]>,
    ) -> Result<()> {
        let target = self.object_target(sys, digest)?;
        let mut file = sys.unnamed_file(parent(&target), &self.objects(), 0o644)?;
        for part in bytes {
            file.write_all(part).map_err(|source| Error::Write { path: target.clone(), source })?;
        }
        Ok(file.place(sys, &target)?)
    }

    /// Starts a file that will be an object.
    pub(crate) fn new_object(&self, sys: &Sys) -> Result<Unnamed> {
        let objects = self.objects();
        Ok(sys.unnamed_file(&objects, &objects, 0o644)?)
    }

    /// Gives an object its name.
    pub(crate) fn place(&self, sys: &Sys, file: Unnamed, digest: &Digest) -> Result<()> {
        Ok(file.place(sys, &self.object_target(sys, digest)?)?)
    }

    /// The folder of all objects.
    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// Where a new object goes; makes its folder. One whose name is known is started there: file systems keep what lies together near.
    pub(super) fn object_target(&self, sys: &Sys, digest: &Digest) -> Result<PathBuf> {
        let target = self.object_file(digest);
        sys.create_dir(parent(&target), 0o755)?;
        Ok(target)
    }

    pub(super) fn object_file(&self, digest: &Digest) -> PathBuf {
        self.path.join(digest.object_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_written_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        let first = store.put_bytes(&sys, b"hello").unwrap();
        assert!(first.new && store.has(&first.digest, 5));
        let steps = sys.steps();
        assert!(!store.put_bytes(&sys, b"hello").unwrap().new);
        assert_eq!(sys.steps(), steps, "a known object costs no write");
        assert_eq!(store.read(&first.digest).unwrap(), b"hello");
    }

    #[test]
    fn a_streamed_object_has_the_name_of_the_same_bytes_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        let bytes = vec![3; 300_000];
        let mut incoming = store.incoming(&sys).unwrap();
        incoming.write_all(&bytes).unwrap();
        let stored = incoming.finish(&store, &sys).unwrap();
        assert_eq!(store.put_bytes(&sys, &bytes).unwrap(), Stored { new: false, ..stored });
    }

    #[test]
    fn a_cut_off_object_is_replaced_and_a_changed_one_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        let digest = store.put(&sys, b"hello").unwrap();
        fs::write(store.object_file(&digest), b"").unwrap();
        assert!(store.put_bytes(&sys, b"hello").unwrap().new);
        fs::write(store.object_file(&digest), b"jello").unwrap();
        assert!(matches!(store.read(&digest), Err(Error::Damaged { .. })));
        fs::remove_file(store.object_file(&digest)).unwrap();
        assert!(matches!(store.object(&digest), Err(Error::Missing { .. })));
    }

    #[test]
    fn an_abandoned_object_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        drop(store.incoming(&sys).unwrap());
        assert_eq!(fs::read_dir(dir.path().join("objects")).unwrap().count(), 0);
    }
}
