//! A tree as an image shows it: some directories empty, `.` and `..`, the stubs in the root. The tree stays as it is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::LeafId;
use composefs::tree::{Inode, Stat};

use super::{Error, Files, Folder, Result};

const SELINUX: &str = "security.selinux";

/// What of a tree an image shows.
#[derive(Debug)]
pub(in crate::image) struct View<'a> {
    pub(super) files: &'a Files,
    /// Directories that are empty in the image, and what they are then.
    emptied: Vec<(&'a Folder, Stat)>,
    /// Of the whiteouts in the root: its owner and time, and of its attributes the SELinux label.
    pub(super) stub: Stat,
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Itself,
    Parent,
    Stub,
    Inode(&'a Inode<Sha256HashValue>),
}

impl<'a> View<'a> {
    /// All of it.
    pub(in crate::image) fn new(files: &'a Files) -> Self {
        let root = &files.root.stat;
        let label = root.xattrs.get_key_value(OsStr::new(SELINUX));
        let xattrs = label.map(|(name, value)| (name.clone(), value.clone())).into_iter().collect();
        Self { files, emptied: Vec::new(), stub: Stat { st_mode: 0o644, xattrs, ..*root } }
    }

    /// Empties directories; they get the time of `usr`.
    pub(in crate::image) fn without_contents(mut self, names: &[&str]) -> Self {
        let folder = |name: &str| self.files.root.get_directory(OsStr::new(name)).ok();
        let usr = folder("usr").map(|usr| (usr.stat.st_mtim_sec, usr.stat.st_mtim_nsec));
        for emptied in names.iter().filter_map(|name| folder(name)) {
            let mut stat = emptied.stat.clone();
            (stat.st_mtim_sec, stat.st_mtim_nsec) = usr.unwrap_or((stat.st_mtim_sec, stat.st_mtim_nsec));
            self.emptied.push((emptied, stat));
        }
        self
    }

    fn emptied(&self, folder: &Folder) -> Option<&Stat> {
        self.emptied.iter().find(|(emptied, _)| std::ptr::eq(*emptied, folder)).map(|(_, stat)| stat)
    }

    /// Owner, mode, time and attributes of a directory.
    pub(super) fn stat<'s>(&'s self, folder: &'s Folder) -> &'s Stat {
        self.emptied(folder).unwrap_or(&folder.stat)
    }

    /// What a directory holds of the tree, in the order of the names.
    fn own(&self, folder: &'a Folder) -> impl Iterator<Item = (&'a [u8], &'a Inode<Sha256HashValue>)> + use<'a> {
        let shown = if self.emptied(folder).is_some() { 0 } else { usize::MAX };
        folder.sorted_entries().take(shown).map(|(name, inode)| (name.as_bytes(), inode))
    }

    /// The entries of a directory: those of the tree, `.` and `..`, and in the root the stubs whose names are free.
    pub(super) fn items(&self, folder: &'a Folder) -> impl Iterator<Item = (&'a [u8], Item<'a>)> + use<'a> {
        let root = std::ptr::eq(folder, &self.files.root);
        let dots: [(&[u8], _); 2] = [(b".", Item::Itself), (b"..", Item::Parent)];
        let stubs = STUBS.iter().take(if root { STUBS.len() } else { 0 }).map(|name| (&name[..], Item::Stub));
        let mut added = dots.into_iter().chain(stubs).peekable();
        let mut own = self.own(folder).map(|(name, inode)| (name, Item::Inode(inode))).peekable();
        std::iter::from_fn(move || match (own.peek(), added.peek()) {
            (Some((name, _)), Some((addition, _))) if name > addition => added.next(),
            (Some((name, _)), Some((addition, _))) => {
                if name == addition {
                    added.next();
                }
                own.next()
            }
            (Some(_), None) => own.next(),
            (None, _) => added.next(),
        })
    }

    /// How many names each leaf has; none if the view does not show it.
    pub(super) fn nlinks(&self) -> Result<Vec<u32>> {
        self.files.fsck().map_err(|error| Error::Tree(error.to_string()))?;
        let mut nlinks = vec![0; self.files.leaves.len()];
        self.count(&self.files.root, &mut nlinks);
        Ok(nlinks)
    }

    fn count(&self, folder: &'a Folder, nlinks: &mut [u32]) {
        for (_, inode) in self.own(folder) {
            match inode {
                Inode::Directory(below) => self.count(below, nlinks),
                Inode::Leaf(id, _) => nlinks[id.0] += 1,
            }
        }
    }

    /// For leaves of many names, where a depth-first walk meets them first.
    pub(super) fn first_names(&self, nlinks: &[u32]) -> HashMap<LeafId, &'a Folder> {
        let mut found = HashMap::new();
        if nlinks.iter().any(|count| *count > 1) {
            self.find_first(&self.files.root, nlinks, &mut found);
        }
        found
    }

    fn find_first(&self, folder: &'a Folder, nlinks: &[u32], found: &mut HashMap<LeafId, &'a Folder>) {
        for (_, inode) in self.own(folder) {
            match inode {
                Inode::Directory(below) => self.find_first(below, nlinks, found),
                Inode::Leaf(id, _) if nlinks[id.0] > 1 => {
                    found.entry(*id).or_insert(folder);
                }
                Inode::Leaf(..) => {}
            }
        }
    }
}

/// `00` to `ff`.
static STUBS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut names = [[0; 2]; 256];
    let mut at = 0;
    while at < names.len() {
        names[at] = [digits[at / 16], digits[at % 16]];
        at += 1;
    }
    names
};
