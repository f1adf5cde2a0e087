//! Objects that share their bytes with files of another program.
//!
//! Takes a file whose bytes were hashed; gives it the name of that digest, cloned or linked. Never names what may have changed since.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::{Error, Result, Store};
use crate::model::sharing::Way;
use crate::model::Digest;
use crate::sys::{parent, Bridge, Original, Sys};

/// How files of one folder become objects.
#[derive(Debug)]
pub(crate) enum Sharer {
    /// By clones.
    Clone,
    /// By names.
    Link(Bridge),
    /// Not at all, and why.
    Copy(&'static str),
}

const CHANGED: &str = "they could not be linked one by one, or changed meanwhile";

impl Store {
    /// The best way for this file and others of its folder.
    pub(crate) fn sharer(&self, sys: &Sys, original: &Original) -> Result<Sharer> {
        let objects = self.objects();
        if sys.clone_of(original, &objects, &objects, 0o644)?.is_some() {
            return Ok(Sharer::Clone);
        }
        let unreadable = |source| Error::Read { path: objects.clone(), source };
        // A linked object keeps the mode of podman's file, set-user-ID programs among them.
        if !self.is_roots_alone().map_err(unreadable)? {
            return Ok(Sharer::Copy("others than root may enter the store"));
        }
        Ok(match original.bridge(&objects).map_err(unreadable)? {
            Some(bridge) => Sharer::Link(bridge),
            None => Sharer::Copy("podman's storage is not on the file system of the store"),
        })
    }

    /// Has a file, which was just read, be the object of this digest, and tells how: what cannot be shared after all is copied.
    pub(crate) fn put_file(&self, sys: &Sys, digest: &Digest, original: &Original, by: &Sharer) -> Result<Way> {
        let objects = self.objects();
        let target = self.object_target(sys, digest)?;
        let (shared, way) = match by {
            Sharer::Clone => (sys.clone_of(original, parent(&target), &objects, 0o644)?, Way::Clone),
            Sharer::Link(bridge) => (sys.link_of(original, bridge, &objects)?, Way::Link),
            Sharer::Copy(why) => (None, Way::Copy(why)),
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
}
