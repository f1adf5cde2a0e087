//! Objects that share their bytes with files of another program.
//!
//! Takes a file whose bytes were hashed; gives it the name of that digest, cloned or linked. Never names what may have changed since.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Error, Result, Store};
use crate::model::sharing::Way;
use crate::model::Digest;
use crate::sys::{parent, Original, Sys};

const CHANGED: &str = "they could not be linked one by one, or changed meanwhile";

impl Store {
    /// The best way for files like this one: what can be done is found out by doing it.
    pub(crate) fn way(&self, sys: &Sys, original: &Original) -> Result<Way> {
        let objects = self.objects_folder();
        if sys.clone_of(original, &objects, &objects, 0o644)?.is_some() {
            return Ok(Way::Clone);
        }
        let unreadable = |source| Error::Read { path: objects.clone(), source };
        if !original.is_beside(&objects).map_err(unreadable)? {
            return Ok(Way::Copy("podman's storage is on another file system than the store"));
        }
        // A linked object keeps the mode of podman's file, set-user-ID programs among them.
        match self.is_roots_alone().map_err(unreadable)? {
            true => Ok(Way::Link),
            false => Ok(Way::Copy("others than root may enter the store")),
        }
    }

    /// Has a file, which was just read, be the object of this digest, and tells how: what cannot be shared after all is copied.
    pub(crate) fn put_file(&self, sys: &Sys, digest: &Digest, original: &Original, way: Way) -> Result<Way> {
        let objects = self.objects_folder();
        let target = self.object_file(digest);
        let folder = parent(&target);
        sys.create_dir(folder, 0o755)?;
        let shared = match way {
            Way::Clone => sys.clone_of(original, folder, &objects, 0o644)?,
            Way::Link => sys.link_of(original, &objects)?,
            Way::Copy(_) => None,
        };
        if let Some(file) = shared {
            file.place(sys, &target)?;
            return Ok(way);
        }
        self.copy_again(sys, digest, original)?;
        Ok(Way::Copy(CHANGED))
    }

    /// Reads the file once more; what it holds now must be what was hashed.
    fn copy_again(&self, sys: &Sys, digest: &Digest, original: &Original) -> Result<()> {
        let unreadable = |source| Error::Read { path: original.path().to_owned(), source };
        let mut file = original.again().map_err(unreadable)?;
        let mut incoming = self.incoming(sys)?;
        io::copy(&mut file, &mut incoming).map_err(|source| Error::Write { path: self.object_file(digest), source })?;
        match incoming.finish_as(digest, self, sys)? {
            true => Ok(()),
            false => Err(unreadable(io::Error::other("it was changed while it was read"))),
        }
    }

    /// Whether root alone gets to the objects.
    fn is_roots_alone(&self) -> io::Result<bool> {
        let meta = fs::metadata(self.path())?;
        Ok(meta.uid() == 0 && meta.mode() & 0o077 == 0)
    }

    fn objects_folder(&self) -> std::path::PathBuf {
        self.path().join(Path::new(super::object::OBJECTS))
    }
}
