//! The three-way merge of `/etc`: what the old image had, what the machine made of it, what the new image has.
//!
//! Takes two images' trees and the machine's directory; gives one directory. [`merge()`] is a pure function of three listings;
//! only [`stage()`] and [`refresh`] write. On a conflict the machine's version wins and the image's is kept beside it as
//! `NAME.cfs-new`. Never touches the running `/etc`. On disk: `<root>/run/cfs-host/staged-etc.json`.

mod diff;
mod kept;
mod listing;
mod merge;
mod record;
mod stage;
mod write;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::model::etc::Change;
use crate::model::Digest;
pub use diff::{diff, report};
pub use kept::kept_of;
pub use listing::{of_directory, of_image, readable};
pub use merge::{merge, Merged, Side, Source};
pub use record::STAGED_ETC;
pub use stage::{refresh, stage};

/// Why `/etc` cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// A file of the image cannot be written.
    #[error(transparent)]
    Image(#[from] crate::deploy::Error),
    /// Something cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// What staging left for the shutdown is not there or not understood.
    #[error("cannot read {}: {why}; what is staged stays as it is, unfinished: upgrade again", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The new image has a file that the merge needs, and nobody knows its bytes.
    #[error("the new image's /etc/{0} is not in the record of what was staged: upgrade again")]
    Unknown(String),
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A directory.
    #[serde(rename = "d")]
    Directory,
    /// A regular file: the fs-verity digest of its content.
    #[serde(rename = "f")]
    File(Digest),
    /// A symbolic link and its target.
    #[serde(rename = "l")]
    Symlink(#[serde(with = "record::hex_bytes")] Vec<u8>),
    /// A device or FIFO: `S_IFMT` bits and device number.
    #[serde(rename = "s")]
    Special(u32, u64),
}

impl Kind {
    /// Whether both are of one type, whatever their content.
    fn is_like(&self, other: &Kind) -> bool {
        match (self, other) {
            (Kind::Special(one, _), Kind::Special(two, _)) => one == two,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Extended attributes: name and value, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// One inode, all that a merge compares. Times do not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// Permission bits (12); 0 for links.
    #[serde(rename = "m")]
    pub mode: u32,
    /// Owner and group.
    #[serde(rename = "o")]
    pub owner: (u32, u32),
    /// All but those that the kernel makes from the content.
    #[serde(rename = "x", with = "record::hex_pairs", default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Xattrs,
}

/// The label of the machine's policy. No image has one, so it says nothing about what somebody changed: it is never
/// compared, and what is written gets the label that the machine's file of that name has.
const LABEL: &[u8] = b"security.selinux";

impl Item {
    /// Whether owner, mode and extended attributes are the same, but for the label.
    fn same_metadata(&self, other: &Item) -> bool {
        let compared = |item: &Item| (item.mode, item.owner);
        let xattrs = |item: &'_ Item| item.xattrs.iter().filter(|(name, _)| name != LABEL).cloned().collect::<Vec<_>>();
        let bare = self.xattrs.is_empty() && other.xattrs.is_empty();
        compared(self) == compared(other) && (bare || xattrs(self) == xattrs(other))
    }

    /// Whether nothing differs that a merge looks at.
    fn same(&self, other: &Item) -> bool {
        self.kind == other.kind && self.same_metadata(other)
    }
}

/// The same for two that may be missing.
fn same(one: Option<&Item>, two: Option<&Item>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => one.same(two),
        (None, None) => true,
        _ => false,
    }
}

/// A whole `/etc`: path relative to it; the empty path is the directory itself.
pub type Listing = BTreeMap<Vec<u8>, Item>;

/// The path of the directory that holds this one; `None` for `/etc` itself.
fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(path.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |at| &path[..at]))
}

/// Whether a path is another or lies below it.
fn is_at_or_below(path: &[u8], top: &[u8]) -> bool {
    top.is_empty() || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// A path as people read it.
pub fn shown(path: &[u8]) -> String {
    match path {
        [] => "/etc".to_owned(),
        _ => format!("/etc/{}", String::from_utf8_lossy(path)),
    }
}
