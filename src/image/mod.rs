//! The merged tree and its EROFS image: pure and deterministic.
//!
//! Takes layers' entries; gives the tree, and the plain and bootable images as composefs-rs makes them. Never touches a disk.

use crate::model::Digest;

/// Owner, mode and extended attributes of one inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Permission bits with set-uid, set-gid, sticky (12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Name and value, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file whose bytes are in the tree.
    Inline(Vec<u8>),
    /// A regular file whose bytes are an object.
    Object {
        /// The object.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A device, FIFO or socket: file type bits and device number.
    Special {
        /// `S_IFMT` bits.
        kind: u32,
        /// Device number, 0 for FIFOs and sockets.
        rdev: u64,
    },
}

/// An EROFS image and its name.
#[derive(Clone, Debug)]
pub struct ErofsImage {
    /// The whole image.
    pub bytes: Vec<u8>,
    /// Its fs-verity digest.
    pub digest: Digest,
}

/// The merged file system of an image.
#[derive(Debug)]
pub struct Tree {}

/// Why there is no tree or no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// To be replaced by the variants that the implementation needs.
    #[error("{0}")]
    Other(String),
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Tree {
    /// The plain image (`composefs.merged.erofs.v1`), after the OCI transform.
    pub fn plain_image(&self) -> Result<ErofsImage> {
        todo!("image helper")
    }

    /// The bootable image (`composefs.merged.bootable.erofs.v1`), after the OCI and the boot transform.
    /// `contents` reads an object (SELinux policy files are needed for labels).
    pub fn bootable_image(&self, _contents: &dyn Fn(&Digest) -> std::io::Result<Vec<u8>>) -> Result<ErofsImage> {
        todo!("image helper")
    }

    /// The inode at a path such as `usr/lib/os-release`; symbolic links are not followed.
    pub fn get(&self, _path: &str) -> Option<(Node, Stat)> {
        todo!("image helper")
    }

    /// Names in a directory, sorted; `None` if it is none.
    pub fn list(&self, _path: &str) -> Option<Vec<Vec<u8>>> {
        todo!("image helper")
    }

    /// The directory's whole subtree in order (parents first): path relative to it, inode, metadata.
    /// Hard links come as separate entries with equal content.
    pub fn walk(&self, _path: &str) -> Vec<(Vec<u8>, Node, Stat)> {
        todo!("image helper")
    }
}
