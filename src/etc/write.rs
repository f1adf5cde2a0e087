//! The merged `/etc` as files: below an empty directory, not synced.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::listing::{open, place, Defaults, Scan};
use super::merge::{Merged, Output, Side};
use super::{shown, Error, Item, Kind, Listing, Result};
use crate::deploy::populate;
use crate::store::Store;
use crate::sys::Sys;

/// Where contents come from.
pub(super) struct Sources<'a> {
    pub(super) store: &'a Store,
    pub(super) directory: &'a Path,
    pub(super) machine: &'a Scan,
    pub(super) image: &'a Defaults,
    /// An earlier result that goes away: what is the same in it is linked, not copied.
    pub(super) earlier: Option<(&'a Path, &'a Listing)>,
}

/// Fills the empty directory `target`; `wanted` is the listing of `merged`.
pub(super) fn fill(sys: &Sys, sources: &Sources<'_>, merged: &Merged, wanted: &Listing, target: &Path) -> Result<()> {
    let outputs = merged.outputs();
    let mut directories = Vec::new();
    for (path, output) in &outputs {
        let Some(item) = wanted.get(*path) else { continue };
        let new = place(target, path);
        if item.kind == Kind::Directory {
            sys.create_dir(&new, 0o700)?;
            directories.push((new, output, item));
        } else if let Some(earlier) = sources.earlier(path, item) {
            sys.link(&earlier, &new)?;
        } else if sources.create(sys, output, item, &new)? {
            sources.describe(sys, output, item, &new)?;
        }
    }
    // At the end: children change a directory's times, and inherit its default ACL.
    directories.iter().try_for_each(|(new, output, item)| sources.describe(sys, output, item, new))
}

impl Sources<'_> {
    fn earlier(&self, path: &[u8], item: &Item) -> Option<std::path::PathBuf> {
        let (directory, listing) = self.earlier?;
        listing.get(path).filter(|earlier| earlier.same(item)).map(|_| place(directory, path))
    }

    /// Creates what is no directory; `false`: the machine's file is gone since it was listed.
    fn create(&self, sys: &Sys, output: &Output<'_>, item: &Item, new: &Path) -> Result<bool> {
        match (&item.kind, output.source.content) {
            (Kind::Directory, _) => {}
            (Kind::Symlink(target), _) => sys.symlink(Path::new(OsStr::from_bytes(target)), new)?,
            (Kind::Special(kind, device), _) => sys.make_node(new, *kind, *device)?,
            (Kind::File(_), Side::Machine) => return copy(sys, &place(self.directory, output.origin), new),
            (Kind::File(_), Side::Image) => {
                let known = self.image.get(output.origin);
                let (node, _) = known.ok_or_else(|| Error::Unknown(shown(output.origin)))?;
                populate::create(sys, self.store, &shown(output.origin)[1..], node, new)?;
            }
        }
        Ok(true)
    }

    /// Owner, mode, extended attributes, and the time of the machine's content.
    fn describe(&self, sys: &Sys, output: &Output<'_>, item: &Item, new: &Path) -> Result<()> {
        let xattrs: Vec<(&[u8], &[u8])> = item.xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let mode = (!matches!(item.kind, Kind::Symlink(_))).then_some(item.mode);
        sys.set_metadata(new, item.owner, mode, &xattrs)?;
        match self.machine.marks.get(output.origin).filter(|_| output.source.content == Side::Machine) {
            Some(mark) => Ok(sys.set_modified(new, mark.modified())?),
            None => Ok(()),
        }
    }
}

/// Copies a file's content, by reflink where the file system can.
fn copy(sys: &Sys, from: &Path, to: &Path) -> Result<bool> {
    match open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Read { path: from.to_owned(), why: error.to_string() }),
        Ok(mut file) => Ok(sys.create_file(to, &mut file).map(|()| true)?),
    }
}
