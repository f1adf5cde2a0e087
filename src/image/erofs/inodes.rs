//! The inodes of an image in the order of its inode table, and the entries of its directories.
//!
//! Breadth first, as libcomposefs' `lcfs_compute_tree` queues them. A hard-linked file gets its inode where a
//! depth-first walk meets it first, the order of composefs' dump files, though breadth first may meet another name earlier.

use std::collections::HashMap;

use composefs::erofs::format::FileType;
use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::LeafId;
use composefs::tree::{Inode, Leaf, LeafContent, Stat};

use super::directory::Packing;
use super::view::{Item, View};
use super::{Error, Folder, Result};

const NAME_MAX: usize = 255;

type TreeLeaf = Leaf<Sha256HashValue>;

/// Where an inode of the image comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A directory: its place in `Inodes::folders`.
    Directory(u32),
    /// Anything else: its leaf id.
    Leaf(u32),
    /// A whiteout of the tree: overlayfs would hide it, so it is escaped as a regular file with attributes.
    Whiteout(u32),
    /// One of the 256 whiteouts `00` to `ff` in the root: they hide the directories of the object store below.
    Stub,
}

/// A directory of the image.
#[derive(Debug)]
pub(super) struct Dir<'a> {
    pub(super) folder: &'a Folder,
    inode: u32,
    parent: u32,
    /// The first inode that was given to one of its entries; the others follow in order.
    first: u32,
    /// With `.` and `..`.
    pub(super) nlink: u32,
    /// Holds escaped whiteouts.
    pub(super) whiteouts: bool,
    pub(super) packing: Packing,
}

/// A directory entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    /// Its place in the inode table.
    pub(super) inode: u32,
    pub(super) kind: FileType,
}

/// The inode table.
#[derive(Debug)]
pub(super) struct Inodes<'a> {
    view: &'a View<'a>,
    pub(super) table: Vec<Source>,
    pub(super) folders: Vec<Dir<'a>>,
    nlinks: Vec<u32>,
    /// The inodes of leaves with more than one name.
    linked: HashMap<LeafId, u32>,
}

impl<'a> Inodes<'a> {
    /// Counts and orders them.
    pub(super) fn of(view: &'a View<'a>) -> Result<Self> {
        let nlinks = view.nlinks()?;
        let first_names = view.first_names(&nlinks);
        let (mut table, root) = (Vec::with_capacity(nlinks.len()), Dir::new(&view.files.root, 0, 0));
        table.push(Source::Directory(0));
        let mut inodes = Self { view, table, folders: vec![root], nlinks, linked: HashMap::new() };
        let mut at = 0;
        while at < inodes.folders.len() {
            inodes.enter(at, &first_names)?;
            at += 1;
        }
        Ok(inodes)
    }

    /// Gives inodes to the entries of a directory.
    fn enter(&mut self, at: usize, first_names: &HashMap<LeafId, &'a Folder>) -> Result<()> {
        let Dir { folder, inode: me, .. } = self.folders[at];
        self.folders[at].first = index(self.table.len())?;
        for (name, item) in self.view.items(folder) {
            let mut is_directory = true;
            if matches!(item, Item::Inode(_)) && !is_name(name) {
                return Err(Error::Name(self.path(at, name)));
            }
            match item {
                Item::Itself | Item::Parent => {}
                Item::Stub => {
                    is_directory = false;
                    self.table.push(Source::Stub);
                }
                Item::Inode(Inode::Directory(below)) => {
                    let inode = index(self.table.len())?;
                    self.table.push(Source::Directory(index(self.folders.len())?));
                    self.folders.push(Dir::new(below, inode, me));
                }
                Item::Inode(Inode::Leaf(id, _)) => {
                    is_directory = false;
                    let here = first_names.get(id).is_none_or(|first| std::ptr::eq(*first, folder));
                    if here && !self.linked.contains_key(id) {
                        self.enter_leaf(at, name, *id)?;
                    }
                }
            }
            let dir = &mut self.folders[at];
            dir.nlink += u32::from(is_directory);
            dir.packing.add(name);
        }
        self.folders[at].packing.finish();
        Ok(())
    }

    fn enter_leaf(&mut self, at: usize, name: &[u8], id: LeafId) -> Result<()> {
        let leaf = self.view.files.leaf(id);
        let number = index(id.0)?;
        let mut source = Source::Leaf(number);
        if self.nlinks[id.0] > 1 {
            if matches!(leaf.content, LeafContent::CharacterDevice(0)) {
                return Err(Error::LinkedWhiteout(self.path(at, name)));
            }
            self.linked.insert(id, index(self.table.len())?);
        } else if matches!(leaf.content, LeafContent::CharacterDevice(0))
            && !(at == 0 && self.looks_like_stub(name, leaf))
        {
            source = Source::Whiteout(number);
            self.folders[at].whiteouts = true;
        }
        self.table.push(source);
        Ok(())
    }

    /// composefs-rs adds its stubs to the tree, and knows them again by this.
    fn looks_like_stub(&self, name: &[u8], leaf: &TreeLeaf) -> bool {
        let (stat, stub) = (&leaf.stat, &self.view.stub);
        let same = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtim_sec, stat.st_mtim_nsec);
        name.len() == 2
            && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && same(stat) == same(stub)
            && stat.xattrs == stub.xattrs
    }

    /// The entries of a directory in the order of their names.
    pub(super) fn entries(&self, dir: &Dir<'a>) -> impl Iterator<Item = Entry<'a>> + use<'_, 'a> {
        let (me, parent, mut next) = (dir.inode, dir.parent, dir.first);
        self.view.items(dir.folder).map(move |(name, item)| {
            let inode = match item {
                Item::Itself => me,
                Item::Parent => parent,
                Item::Inode(Inode::Leaf(id, _)) => self.linked.get(id).copied().unwrap_or(next),
                Item::Inode(Inode::Directory(_)) | Item::Stub => next,
            };
            next += u32::from(inode == next);
            Entry { name, inode, kind: self.kind(self.table[inode as usize]) }
        })
    }

    /// Its type as a directory entry and its mode tell it.
    pub(super) fn kind(&self, source: Source) -> FileType {
        match source {
            Source::Directory(_) => FileType::Directory,
            Source::Whiteout(_) => FileType::RegularFile,
            Source::Stub => FileType::CharacterDevice,
            Source::Leaf(id) => match self.leaf(id).content {
                LeafContent::Regular(_) => FileType::RegularFile,
                LeafContent::CharacterDevice(_) => FileType::CharacterDevice,
                LeafContent::BlockDevice(_) => FileType::BlockDevice,
                LeafContent::Fifo => FileType::Fifo,
                LeafContent::Socket => FileType::Socket,
                LeafContent::Symlink(_) => FileType::Symlink,
            },
        }
    }

    /// How many leaves the tree has.
    pub(super) fn leaves(&self) -> usize {
        self.nlinks.len()
    }

    pub(super) fn folder(&self, at: u32) -> &Dir<'a> {
        &self.folders[at as usize]
    }

    pub(super) fn leaf(&self, id: u32) -> &'a TreeLeaf {
        &self.view.files.leaves[id as usize]
    }

    /// Owner, mode, time and attributes, as the tree has them.
    pub(super) fn stat(&self, source: Source) -> &Stat {
        match source {
            Source::Directory(at) => self.view.stat(self.folder(at).folder),
            Source::Leaf(id) | Source::Whiteout(id) => &self.leaf(id).stat,
            Source::Stub => &self.view.stub,
        }
    }

    /// Number of names.
    pub(super) fn nlink(&self, source: Source) -> u32 {
        match source {
            Source::Directory(at) => self.folder(at).nlink,
            Source::Leaf(id) | Source::Whiteout(id) => self.nlinks[id as usize],
            Source::Stub => 1,
        }
    }

    /// The smallest time of all: the superblock's, and the one that compact inodes have.
    pub(super) fn build_time(&self) -> (u64, u32) {
        self.table.iter().map(|source| mtime(self.stat(*source))).min().unwrap_or_default()
    }

    /// The path of an inode, for a message.
    pub(super) fn path_of(&self, inode: usize) -> String {
        if inode == 0 {
            return String::new();
        }
        let next = self.folders.partition_point(|dir| dir.first as usize <= inode);
        let at = next.saturating_sub(1);
        let name = self.entries(&self.folders[at]).find(|entry| entry.inode as usize == inode);
        name.map_or_else(String::new, |entry| self.path(at, entry.name))
    }

    fn path(&self, at: usize, name: &[u8]) -> String {
        let name = String::from_utf8_lossy(name);
        match self.path_of(self.folders[at].inode as usize) {
            above if above.is_empty() => name.into_owned(),
            above => format!("{above}/{name}"),
        }
    }
}

/// A time as the format holds it: seconds before 1970 wrap, and so count as the largest.
pub(super) fn mtime(stat: &Stat) -> (u64, u32) {
    (stat.st_mtim_sec as u64, stat.st_mtim_nsec)
}

impl<'a> Dir<'a> {
    fn new(folder: &'a Folder, inode: u32, parent: u32) -> Self {
        Self { folder, inode, parent, first: u32::MAX, nlink: 0, whiteouts: false, packing: Packing::default() }
    }
}

/// The tree may hold any bytes as a name.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX
}

fn index(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(|_| Error::TooMany("inodes"))
}
