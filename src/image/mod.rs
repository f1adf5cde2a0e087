//! The merged tree and its EROFS image: pure and deterministic.
//!
//! Takes layers' entries; gives the tree, and the plain and bootable images as composefs-rs makes them. Never touches a disk.

mod diff;
mod erofs;
mod labels;
mod layers;
mod merge;

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::OciTransformOptions;
use composefs::tree::{Directory, FileSystem, Inode, LeafContent, RegularFile};
use composefs_boot::BootOps;

use self::erofs::View;
pub use self::layers::layer_images;
use crate::import::Entry;
use crate::model::Digest;

/// Directories that every bootable image has, and has empty.
const BOOT_EMPTIED: [&str; 2] = ["boot", "sysroot"];

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

/// The merged file system of an image, as the plain image shows it: after the OCI transform
/// (`/` as `/usr`, `/run` empty, of extended attributes only `security.capability`).
#[derive(Clone, Debug)]
pub struct Tree {
    files: FileSystem<Sha256HashValue>,
}

/// Why there is no tree or no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer says something that has no or no single meaning.
    #[error("layer {layer} (counted from the base), entry {path:?}: {why}")]
    Layer {
        /// Counted from 1.
        layer: usize,
        /// The entry.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A directory that the transforms need is not there.
    #[error("the image has no directory /{name}, which every {kind} image needs (add `RUN mkdir -p /{name}` to its Containerfile)")]
    MissingDirectory {
        /// Its name.
        name: &'static str,
        /// `composefs` or `bootable`.
        kind: &'static str,
    },
    /// The image's SELinux policy cannot be used.
    #[error("cannot read the image's SELinux policy, {file}: {source}")]
    Policy {
        /// Which file of it.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The tree has no EROFS image, or it cannot be written.
    #[error(transparent)]
    Erofs(#[from] erofs::Error),
    /// composefs refuses the tree.
    #[error("cannot {act}: {why}")]
    Composefs {
        /// What it was asked for.
        act: &'static str,
        /// Why not.
        why: String,
    },
}

/// Reads an object.
pub type Contents<'a> = dyn Fn(&Digest) -> std::io::Result<Vec<u8>> + 'a;

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Tree {
    /// Merges the entries of an image's layers, from the base up.
    pub fn from_layers(layers: Vec<Vec<Entry>>) -> Result<Self> {
        let mut files = merge::merge(layers)?;
        require(&files, "usr", "composefs")?;
        files.transform_for_oci(&OciTransformOptions::default()).map_err(composefs("make the tree of the image"))?;
        Ok(Self { files })
    }

    /// The tree that an EROFS image shows, for looking at: an image that composefs wrote gives the same image again.
    pub fn from_erofs(bytes: &[u8]) -> Result<Self> {
        let files = composefs::erofs::reader::erofs_to_filesystem(bytes);
        Ok(Self { files: files.map_err(composefs("read the EROFS image"))? })
    }

    /// The plain image (`composefs.merged.erofs.v1`), after the OCI transform.
    pub fn plain_image(&self) -> Result<ErofsImage> {
        image(|bytes| self.write_plain(bytes))
    }

    /// Writes the plain image and returns its digest; to `std::io::sink()` for the digest alone.
    pub fn write_plain(&self, out: &mut impl Write) -> Result<Digest> {
        Ok(View::new(&self.files).write(out)?)
    }

    /// The bootable image (`composefs.merged.bootable.erofs.v1`), after the OCI and the boot transform.
    /// `contents` reads an object (SELinux policy files are needed for labels).
    pub fn bootable_image(&self, contents: &Contents<'_>) -> Result<ErofsImage> {
        image(|bytes| self.write_bootable(contents, bytes))
    }

    /// Writes the bootable image and returns its digest.
    pub fn write_bootable(&self, contents: &Contents<'_>, out: &mut impl Write) -> Result<Digest> {
        for name in BOOT_EMPTIED {
            require(&self.files, name, "bootable")?;
        }
        let Some(policy) = labels::policy(&self.files, contents)? else {
            // Without labels there is no need of a copy: all that the boot transform does is to empty directories.
            return Ok(View::new(&self.files).without_contents(&BOOT_EMPTIED).write(out)?);
        };
        let folder = std::fs::File::open(policy.path())
            .map_err(|source| Error::Policy { file: policy.path().display().to_string(), source })?;
        let mut files = self.files.clone();
        files.transform_for_boot_from_dir(OwnedFd::from(folder)).map_err(composefs("make the image bootable"))?;
        Ok(View::new(&files).write(out)?)
    }

    /// The inode at a path such as `usr/lib/os-release`; symbolic links are not followed.
    pub fn get(&self, path: &str) -> Option<(Node, Stat)> {
        if let Ok(folder) = self.files.root.get_directory(OsStr::new(path)) {
            return Some((Node::Directory, stat(&folder.stat)));
        }
        let (folder, name) = self.files.root.split(OsStr::new(path)).ok()?;
        folder.lookup(name).map(|inode| self.inode(inode))
    }

    /// Names in a directory, sorted; `None` if it is none.
    pub fn list(&self, path: &str) -> Option<Vec<Vec<u8>>> {
        let folder = self.files.root.get_directory(OsStr::new(path)).ok()?;
        Some(folder.sorted_entries().map(|(name, _)| name.as_bytes().to_vec()).collect())
    }

    /// The directory's whole subtree in order (parents first): path relative to it, inode, metadata.
    /// Hard links come as separate entries with equal content.
    pub fn walk(&self, path: &str) -> Vec<(Vec<u8>, Node, Stat)> {
        let mut found = Vec::new();
        if let Ok(folder) = self.files.root.get_directory(OsStr::new(path)) {
            self.walk_into(folder, b"", &mut found);
        }
        found
    }

    fn walk_into(&self, folder: &Directory<Sha256HashValue>, below: &[u8], found: &mut Vec<(Vec<u8>, Node, Stat)>) {
        for (name, inode) in folder.sorted_entries() {
            let path = [below, name.as_bytes()].concat();
            let (node, stat) = self.inode(inode);
            found.push((path.clone(), node, stat));
            if let Inode::Directory(folder) = inode {
                self.walk_into(folder, &[&path[..], b"/"].concat(), found);
            }
        }
    }

    fn inode(&self, inode: &Inode<Sha256HashValue>) -> (Node, Stat) {
        match inode {
            Inode::Directory(folder) => (Node::Directory, stat(&folder.stat)),
            Inode::Leaf(id, _) => {
                let leaf = self.files.leaf(*id);
                (node(&leaf.content), stat(&leaf.stat))
            }
        }
    }
}

fn node(content: &LeafContent<Sha256HashValue>) -> Node {
    match content {
        LeafContent::Regular(RegularFile::Inline(bytes)) => Node::Inline(bytes.to_vec()),
        LeafContent::Regular(RegularFile::External(id, size) | RegularFile::ExternalNoVerity(id, size)) => {
            Node::Object { digest: digest(id), size: *size }
        }
        // No layer gives one: sparse files come with their holes written out.
        LeafContent::Regular(RegularFile::Sparse(_)) => Node::Inline(Vec::new()),
        LeafContent::Symlink(target) => Node::Symlink(target.as_bytes().to_vec()),
        LeafContent::BlockDevice(rdev) | LeafContent::CharacterDevice(rdev) => {
            Node::Special { kind: content.file_type_bits(), rdev: *rdev }
        }
        LeafContent::Fifo | LeafContent::Socket => Node::Special { kind: content.file_type_bits(), rdev: 0 },
    }
}

fn stat(stat: &composefs::tree::Stat) -> Stat {
    let xattrs = stat.xattrs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    Stat { mode: stat.st_mode, uid: stat.st_uid, gid: stat.st_gid, mtime: stat.st_mtim_sec, xattrs: xattrs.collect() }
}

fn digest(id: &Sha256HashValue) -> Digest {
    let mut bytes = [0; Digest::LEN];
    bytes.copy_from_slice(zerocopy::IntoBytes::as_bytes(id));
    Digest::new(bytes)
}

fn image(write: impl FnOnce(&mut Vec<u8>) -> Result<Digest>) -> Result<ErofsImage> {
    let mut bytes = Vec::new();
    let digest = write(&mut bytes)?;
    Ok(ErofsImage { bytes, digest })
}

fn require(files: &FileSystem<Sha256HashValue>, name: &'static str, kind: &'static str) -> Result<()> {
    match files.root.get_directory(OsStr::new(name)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::MissingDirectory { name, kind }),
    }
}

fn composefs<E: std::fmt::Display>(act: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Composefs { act, why: format!("{error:#}") }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
