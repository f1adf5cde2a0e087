//! Listings: of an image's tree, and of a directory on the disk.
//!
//! A directory is looked at twice, at staging and at shutdown: a [`Mark`] tells the second time which files need not be read again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Error, Item, Kind, Listing, Result, Xattrs};
use crate::image::{Node, Stat, Tree};
use crate::model::Digest;
use crate::store::verity::Hasher;

/// The image's side, with what it takes to write it.
pub(super) type Defaults = BTreeMap<Vec<u8>, (Node, Stat)>;

/// What the kernel makes from the content: meaningless for a copy.
const DERIVED: [&[u8]; 2] = [b"security.ima", b"security.evm"];
/// The most bytes that Linux has for the names, or for one value, of extended attributes.
const XATTR_MAX: usize = 1 << 16;
/// How many threads read.
const THREADS: usize = 2;

/// The image's default `/etc`, as nodes. An image without one has an empty one.
pub(super) fn defaults(tree: &Tree) -> Defaults {
    let own = tree.get("etc").filter(|(node, _)| *node == Node::Directory);
    let empty = Stat { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() };
    let below = tree.walk("etc").into_iter().map(|(path, node, stat)| (path, (node, stat)));
    below.chain([(Vec::new(), own.unwrap_or((Node::Directory, empty)))]).collect()
}

/// The listing of nodes.
pub(super) fn of_defaults(defaults: &Defaults) -> Listing {
    defaults.iter().map(|(path, (node, stat))| (path.clone(), item(node, stat))).collect()
}

/// The image's default `/etc`.
pub fn of_image(tree: &Tree) -> Listing {
    of_defaults(&defaults(tree))
}

fn item(node: &Node, stat: &Stat) -> Item {
    let kind = match node {
        Node::Directory => Kind::Directory,
        Node::Inline(bytes) => Kind::File(Hasher::hash(bytes)),
        Node::Object { digest, .. } => Kind::File(*digest),
        Node::Symlink(target) => Kind::Symlink(target.clone()),
        Node::Special { kind, rdev } => Kind::Special(*kind, *rdev),
    };
    let mode = if matches!(kind, Kind::Symlink(_)) { 0 } else { stat.mode & 0o7777 };
    let mut xattrs = stat.xattrs.clone();
    xattrs.sort();
    Item { kind, mode, owner: (stat.uid, stat.gid), xattrs }
}

/// What changes when an inode changes: inode number, size, and both times with their nanoseconds. The second one is the
/// kernel's own, no program sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When the content was changed: seconds and nanoseconds.
    pub(super) fn modified(&self) -> (i64, i64) {
        self.modified
    }

    /// Whether a later change is sure to give another mark: clocks tick, and two changes within a tick look like one.
    pub(super) fn is_settled(&self, at: i64) -> bool {
        self.changed.0 < at - 1
    }
}

/// A directory as it was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scan {
    pub(super) listing: Listing,
    pub(super) marks: BTreeMap<Vec<u8>, Mark>,
}

/// An `/etc` on the disk.
pub fn of_directory(directory: &Path) -> Result<Listing> {
    Ok(scan(directory, &Scan::default())?.listing)
}

/// The same for somebody who may not read all of it; the second are paths of which, and of what is below, nothing is known.
pub fn readable(directory: &Path) -> Result<(Listing, Vec<Vec<u8>>)> {
    let mut unreadable = Vec::new();
    let found = walk(directory, Some(&mut unreadable))?;
    let mut listing = Listing::new();
    for (path, metadata) in found {
        match read(&place(directory, &path), &metadata) {
            Ok(item) => listing.extend(item.map(|item| (path, item))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unreadable.push(path),
            Err(error) => return Err(cannot_read(&place(directory, &path), &error)),
        }
    }
    unreadable.sort();
    Ok((listing, unreadable))
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// Looks at all of a directory; what has the mark that is `known` is not read. Sockets are left out: each lives with its
/// process. What goes away meanwhile is not there.
pub(super) fn scan(directory: &Path, known: &Scan) -> Result<Scan> {
    let found = walk(directory, None)?;
    let listed: Result<Vec<Listing>> = std::thread::scope(|scope| {
        let parts = found.chunks(found.len().div_ceil(THREADS).max(1));
        let readers: Vec<_> = parts.map(|part| scope.spawn(|| scan_part(directory, known, part))).collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let listing: Listing = listed?.into_iter().flatten().collect();
    let marks = found.into_iter().filter(|(path, _)| listing.contains_key(path));
    Ok(Scan { marks: marks.map(|(path, metadata)| (path, Mark::of(&metadata))).collect(), listing })
}

fn scan_part(directory: &Path, known: &Scan, found: &[(Vec<u8>, Metadata)]) -> Result<Listing> {
    let mut listing = Listing::new();
    for (path, metadata) in found {
        let unchanged = known.marks.get(path).is_some_and(|mark| *mark == Mark::of(metadata));
        let item = match known.listing.get(path).filter(|_| unchanged) {
            Some(item) => Some(item.clone()),
            None => {
                let place = place(directory, path);
                read(&place, metadata).map_err(|error| cannot_read(&place, &error))?
            }
        };
        listing.extend(item.map(|item| (path.clone(), item)));
    }
    Ok(listing)
}

/// The inode's place; the empty path is the directory itself, without a `/` at its end.
pub(super) fn place(directory: &Path, path: &[u8]) -> PathBuf {
    match path {
        [] => directory.to_owned(),
        _ => directory.join(OsStr::from_bytes(path)),
    }
}

fn cannot_read(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Read { path: path.to_owned(), why: why.to_string() }
}

/// Paths and metadata, each before it is read: what changes while it is read gets another mark.
fn walk(directory: &Path, mut unreadable: Option<&mut Vec<Vec<u8>>>) -> Result<Vec<(Vec<u8>, Metadata)>> {
    let top = directory.symlink_metadata().map_err(|error| cannot_read(directory, &error))?;
    if !top.is_dir() {
        return Err(cannot_read(directory, &"it is no directory"));
    }
    let (device, mut found, mut open) = (top.dev(), vec![(Vec::new(), top)], vec![Vec::new()]);
    while let Some(folder) = open.pop() {
        let names = match names(&place(directory, &folder)) {
            Ok(names) => names,
            // Gone since its parent was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => continue,
            Err(error) => match &mut unreadable {
                Some(unreadable) if error.kind() == io::ErrorKind::PermissionDenied => {
                    unreadable.push(folder);
                    continue;
                }
                _ => return Err(cannot_read(&place(directory, &folder), &error)),
            },
        };
        for (name, metadata) in names {
            let path = if folder.is_empty() { name } else { [&folder[..], b"/", &name].concat() };
            if metadata.dev() != device {
                let why = "another file system is mounted on it, which hides what an update has to keep: unmount it";
                return Err(cannot_read(&place(directory, &path), &why));
            }
            if metadata.is_dir() {
                open.push(path.clone());
            }
            found.push((path, metadata));
        }
    }
    Ok(found)
}

fn names(folder: &Path) -> io::Result<Vec<(Vec<u8>, Metadata)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            metadata => names.push((entry.file_name().into_vec(), metadata?)),
        }
    }
    Ok(names)
}

/// One inode; `None` if it is gone or a socket.
fn read(path: &Path, metadata: &Metadata) -> io::Result<Option<Item>> {
    if metadata.file_type().is_socket() {
        return Ok(None);
    }
    let whole = kind(path, metadata).and_then(|kind| Ok((kind, xattrs(path)?)));
    let (kind, xattrs) = match whole {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mode = if matches!(kind, Kind::Symlink(_)) { 0 } else { metadata.mode() & 0o7777 };
    Ok(Some(Item { kind, mode, owner: (metadata.uid(), metadata.gid()), xattrs }))
}

fn kind(path: &Path, metadata: &Metadata) -> io::Result<Kind> {
    let kind = metadata.file_type();
    Ok(match () {
        () if kind.is_dir() => Kind::Directory,
        () if kind.is_symlink() => Kind::Symlink(std::fs::read_link(path)?.into_os_string().into_vec()),
        () if kind.is_file() => Kind::File(digest(&mut open(path)?)?),
        () => Kind::Special(metadata.mode() & 0o170000, metadata.rdev()),
    })
}

/// Opens a regular file; neither follows a link nor waits for a FIFO that came in its place.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it became something else while it was read: run the command again")),
    }
}

fn digest(file: &mut File) -> io::Result<Digest> {
    let (mut hasher, mut buffer) = (Hasher::default(), [0; 1 << 14]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn xattrs(path: &Path) -> io::Result<Xattrs> {
    let names = match whole(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Err(Errno::NOTSUP) => return Ok(Xattrs::new()),
        names => names?,
    };
    let mut xattrs = Xattrs::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && !DERIVED.contains(name)) {
        match whole(|buffer| rustix::fs::lgetxattr(path, name, buffer)) {
            // Removed meanwhile.
            Err(Errno::NODATA) => {}
            value => xattrs.push((name.to_vec(), value?)),
        }
    }
    xattrs.sort();
    Ok(xattrs)
}

/// All that the kernel has to say; mostly that is little.
fn whole(ask: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1 << 10];
    loop {
        match ask(&mut buffer) {
            Err(Errno::RANGE) if buffer.len() < XATTR_MAX => buffer.resize(XATTR_MAX, 0),
            length => {
                buffer.truncate(length?);
                return Ok(buffer);
            }
        }
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
