//! A tree as an EROFS image in composefs' format V1, byte for byte as composefs-rs (and so `mkcomposefs
//! --min-version=1`) writes it, since the image's digest is what gets signed.
//!
//! Takes a composefs tree by reference; gives the bytes in order to a writer, and their fs-verity digest. Two passes
//! over the tree: the first finds where each inode lies (four bytes for each are kept), the second writes. Never holds
//! the image; never writes what the format cannot hold (composefs-rs panics there, or cuts).
//!
//! On disk: composefs header at 0, superblock at 1024, inode table (breadth first; each inode with its extended
//! attributes and its tail), shared attributes, data blocks.

mod directory;
mod inode;
mod inodes;
mod plan;
mod shared;
mod sink;
mod view;
mod write;
mod xattr;

use std::io;

use composefs::fsverity::Sha256HashValue;
use composefs::tree::{Directory, FileSystem};

pub(super) use view::View;

type Files = FileSystem<Sha256HashValue>;
type Folder = Directory<Sha256HashValue>;

/// `EROFS_BLKSIZ`: of metadata and data.
const BLOCK: u64 = 4096;
/// `EROFS_SLOTSIZE`: inodes start at multiples of it, and a nid counts them.
const SLOT: u64 = 32;

/// Why a tree has no EROFS image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree contradicts itself.
    #[error("the tree is no file system: {0}")]
    Tree(String),
    /// A whiteout says that there is no file, so it cannot have two names.
    #[error("/{0} is a whiteout (a character device 0, 0) with more than one name")]
    LinkedWhiteout(String),
    /// A name that no directory can hold.
    #[error("/{0} is no name for a file (empty, `.`, `..` or longer than 255 bytes)")]
    Name(String),
    /// Something of one inode does not fit.
    #[error("/{path}: {what} does not fit into an EROFS image")]
    Inode {
        /// Which one.
        path: String,
        /// What of it.
        what: String,
    },
    /// More than the format counts.
    #[error("the image has too many {0} for EROFS")]
    TooMany(&'static str),
    /// Whoever takes the bytes cannot.
    #[error("cannot write the EROFS image: {0}")]
    Write(#[from] io::Error),
}

type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod measure_tests;

#[cfg(test)]
mod random_tests;

#[cfg(test)]
mod real_tests;
