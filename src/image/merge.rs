//! Layers to one tree: whiteouts, opaque directories, hard links, replaced types, as composefs-rs merges them.
//!
//! Where tools disagree about a layer's meaning it is refused, so that no two of them ever give two digests.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::{ImageError, LeafId};
use composefs::tree::{Directory, FileSystem, Inode, LeafContent, RegularFile, Stat};

use super::{Error, Result};
use crate::import::{Entry, Item, Metadata};

pub(super) const WHITEOUT: &[u8] = b".wh.";
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
/// `S_IFCHR` and `S_IFBLK`.
const CHARACTER: u32 = 0o020000;
const BLOCK: u32 = 0o060000;
/// The only attribute that images keep; a longer value is no capability set.
const CAPABILITY: (&[u8], usize) = (b"security.capability", 4096);

/// Merges layers from the base up.
pub(super) fn merge(layers: Vec<Vec<Entry>>) -> Result<FileSystem<Sha256HashValue>> {
    let mut tree = FileSystem::new(Stat::uninitialized());
    for (index, entries) in layers.into_iter().enumerate() {
        add(&mut tree, entries).map_err(|(path, why)| Error::Layer {
            layer: index + 1,
            path: String::from_utf8_lossy(&path).into_owned(),
            why,
        })?;
    }
    Ok(tree)
}

/// Adds a layer on top; an error says where and why.
pub(super) fn add(
    tree: &mut FileSystem<Sha256HashValue>,
    entries: Vec<Entry>,
) -> std::result::Result<(), (Vec<u8>, String)> {
    let mut seen = BTreeSet::new();
    for entry in entries {
        let path = entry.path.clone();
        apply(tree, entry, &mut seen).map_err(|why| (path, why))?;
    }
    Ok(())
}

/// The directory and the name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    }
}

/// Applies one entry; `seen` holds the paths that this layer has brought.
fn apply(
    tree: &mut FileSystem<Sha256HashValue>,
    entry: Entry,
    seen: &mut BTreeSet<Vec<u8>>,
) -> std::result::Result<(), String> {
    let (folder, name) = split(&entry.path);
    if name.is_empty() {
        // Images take the root's metadata from /usr.
        return match entry.item {
            Item::Directory => Ok(()),
            _ => Err("the root is not a directory".to_owned()),
        };
    }
    if let Some(hidden) = name.strip_prefix(WHITEOUT) {
        if name != OPAQUE && (matches!(hidden, b"" | b"." | b"..") || hidden.starts_with(WHITEOUT)) {
            return Err(
                "it is a whiteout of nothing that a directory can hold; tools disagree about the meaning, so build \
                        the layer again"
                    .to_owned(),
            );
        }
        let hides = if name == OPAQUE { folder.to_vec() } else { join(folder, hidden) };
        if brought_by(seen, &hides, name == OPAQUE) {
            return Err("the layer hides here what it has itself brought before; tools disagree about the meaning, \
                        so build the layer again"
                .to_owned());
        }
        let folder = tree.root.get_directory_mut(OsStr::from_bytes(folder)).map_err(|error| parent(folder, &error))?;
        match name == OPAQUE {
            true => folder.clear(),
            false => folder.remove(OsStr::from_bytes(hidden)),
        }
        return Ok(());
    }
    let inode = inode(tree, entry.meta, entry.item)?;
    let folder = tree.root.get_directory_mut(OsStr::from_bytes(folder)).map_err(|error| parent(folder, &error))?;
    folder.merge(OsStr::from_bytes(name), inode);
    seen.insert(entry.path);
    Ok(())
}

pub(super) fn inode(
    tree: &mut FileSystem<Sha256HashValue>,
    meta: Metadata,
    item: Item,
) -> std::result::Result<Inode<Sha256HashValue>, String> {
    let content = match item {
        Item::Directory => return Ok(Inode::Directory(Box::new(Directory::new(stat(meta)?)))),
        Item::HardLink(target) => return linked(tree, &target).map(Inode::leaf),
        Item::Inline(bytes) => LeafContent::Regular(RegularFile::Inline(bytes.into())),
        Item::Object { digest, size } => {
            LeafContent::Regular(RegularFile::External(Sha256HashValue::from(*digest.as_bytes()), size))
        }
        Item::Symlink(target) => LeafContent::Symlink(OsStr::from_bytes(&target).into()),
        Item::Special { kind: CHARACTER, rdev } => LeafContent::CharacterDevice(rdev),
        Item::Special { kind: BLOCK, rdev } => LeafContent::BlockDevice(rdev),
        Item::Special { .. } => LeafContent::Fifo,
    };
    Ok(Inode::leaf(tree.push_leaf(stat(meta)?, content)))
}

pub(super) fn linked(tree: &FileSystem<Sha256HashValue>, target: &[u8]) -> std::result::Result<LeafId, String> {
    let path = OsStr::from_bytes(target);
    let found = tree.root.split(path).and_then(|(folder, name)| folder.leaf_id(name));
    found.map_err(|error| format!("it is a hard link to {path:?}, which it cannot be: {error}"))
}

pub(super) fn stat(meta: Metadata) -> std::result::Result<Stat, String> {
    let (capability, limit) = CAPABILITY;
    let mut xattrs = BTreeMap::new();
    for (name, value) in meta.xattrs {
        if name == capability && value.len() > limit {
            return Err("its security.capability is no capability set".to_owned());
        }
        xattrs.insert(Box::from(OsStr::from_bytes(&name)), value.into());
    }
    Ok(Stat {
        st_mode: meta.mode,
        st_uid: meta.uid,
        st_gid: meta.gid,
        st_mtim_sec: meta.mtime,
        st_mtim_nsec: meta.mtime_nsec,
        xattrs,
    })
}

/// Whether the layer has brought `path` itself (not for an opaque marker in it) or something below.
fn brought_by(seen: &BTreeSet<Vec<u8>>, path: &[u8], opaque: bool) -> bool {
    let mut below = path.to_vec();
    if !below.is_empty() {
        below.push(b'/');
    }
    let first_below = seen.range(below.clone()..).next();
    first_below.is_some_and(|next| next.starts_with(&below)) || (!opaque && seen.contains(path))
}

pub(super) fn parent(folder: &[u8], error: &ImageError) -> String {
    let folder = String::from_utf8_lossy(folder);
    match error {
        ImageError::NotFound(_) => {
            format!(
                "neither this layer nor one below has an entry for its directory {folder:?} (build the layer with one)"
            )
        }
        _ => format!("its directory {folder:?} is not one: {error}"),
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        b"" => name.to_vec(),
        folder => [folder, b"/", name].concat(),
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "merge_model_tests.rs"]
mod model_tests;
