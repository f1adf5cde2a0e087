//! The three-way merge of `/etc`: what the old image had, what the machine made of it, what the new image has.
//!
//! Takes listings; gives one directory. The merge itself is a pure function of three listings; only [`write`] writes.
//! On a conflict the machine's version wins and the image's is kept beside it as `NAME.cfs-new`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::image::Tree;
use crate::model::Digest;
use crate::store::Store;
use crate::sys::Sys;

/// Where the listings of a staged deployment lie, below the running system's root: image of old, image of new, machine at staging.
pub const STAGED_ETC: &str = "run/cfs-host/staged-etc.json";

/// Why `/etc` cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// Something cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file: the fs-verity digest of its content.
    File(Digest),
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A device, FIFO or socket: `S_IFMT` bits and device number.
    Special(u32, u64),
}

/// One inode, all that a merge compares. Times do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Permission bits (12); 0 for links.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Name and value, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A whole `/etc`: path relative to it; the empty path is the directory itself.
pub type Listing = BTreeMap<Vec<u8>, Item>;

/// How a path differs from the image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The machine added it.
    Added,
    /// The machine removed it.
    Removed,
    /// Content, type or link target.
    Content,
    /// Owner, mode or extended attributes.
    Metadata,
}

/// Whose version a path of the merged `/etc` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The machine's.
    Machine,
    /// The new image's.
    Image,
}

/// The merged `/etc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Every path, and whose version it is.
    pub paths: BTreeMap<Vec<u8>, From>,
    /// Paths that both sides changed, differently.
    pub conflicts: Vec<Vec<u8>>,
    /// The image's version of conflicts: where it is kept, and which path it is of.
    pub kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The image's default `/etc`.
pub fn of_image(tree: &Tree) -> Listing {
    let _ = tree;
    todo!()
}

/// An `/etc` on the disk.
pub fn of_directory(directory: &Path) -> Result<Listing> {
    let _ = directory;
    todo!()
}

/// Pure: old image, machine, new image.
pub fn merge(base: &Listing, machine: &Listing, image: &Listing) -> Merged {
    let _ = (base, machine, image);
    todo!()
}

/// What the machine made of the image's `/etc`.
pub fn diff(base: &Listing, machine: &Listing) -> Vec<(Vec<u8>, Change)> {
    let _ = (base, machine);
    todo!()
}

/// At staging: fills the empty directory `target` with the merge of the machine's `/etc` into the new image's, and leaves in
/// `<root>/run/cfs-host/staged-etc.json` what [`refresh`] needs. Not synced. Gives the conflicts' names.
pub fn stage(
    sys: &Sys,
    store: &Store,
    base: &Tree,
    image: &Tree,
    machine: &Path,
    root: &Path,
    target: &Path,
) -> Result<Vec<String>> {
    let _ = (sys, store, base, image, machine, root, target);
    todo!()
}

/// At shutdown: brings the staged `/etc` at `target` up to date with what the machine changed since [`stage`]. Bounded by the size of `/etc`, nothing
/// at all is written if nothing changed. Durable on return; a stop on the way leaves `target` missing or whole, old or new.
pub fn refresh(sys: &Sys, store: &Store, machine: &Path, root: &Path, target: &Path) -> Result<Vec<String>> {
    let _ = (sys, store, machine, root, target);
    todo!()
}
