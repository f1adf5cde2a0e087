//! A tree that people made: what this machine has in its folders.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use composefs::generic_tree::LeafId;
use composefs::tree::{Directory, Inode, LeafContent, RegularFile, Stat};
use sha2::Digest as _;

use super::tests::{compare, empty, Content};
use super::*;

/// `CFS_REAL_TREE=/` compares all of this machine.
#[test]
fn the_folders_of_this_machine_give_the_image_of_composefs() {
    let chosen = std::env::var("CFS_REAL_TREE").ok();
    let folders = chosen.as_deref().map_or(vec!["/etc", "/usr/bin"], |folder| vec![folder]);
    for folder in folders {
        let mut files = empty();
        let mut links = HashMap::new();
        let root = read(Path::new(folder), &mut files, &mut links);
        files.root = root;
        println!("{folder}: {} leaves, {} inodes with several names", files.leaves.len(), links.len());
        assert!(files.leaves.len() > 20, "{folder} is a folder in use");
        let difference = compare(&files);
        assert!(difference.is_none(), "{folder}: {}", difference.unwrap_or_default());
    }
}

fn read(path: &Path, files: &mut Files, links: &mut HashMap<u64, LeafId>) -> Folder {
    let mut folder = Directory::new(stat(&fs::symlink_metadata(path).unwrap()));
    let device = fs::symlink_metadata(path).unwrap().dev();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        // Files come and go; other file systems are no part of the tree.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.dev() != device {
            continue;
        }
        let inode = match meta.is_dir() {
            true => Inode::Directory(Box::new(read(&entry.path(), files, links))),
            false => Inode::leaf(leaf(&entry.path(), &meta, files, links)),
        };
        folder.insert(&entry.file_name(), inode);
    }
    folder
}

fn leaf(path: &Path, meta: &fs::Metadata, files: &mut Files, links: &mut HashMap<u64, LeafId>) -> LeafId {
    if let Some(id) = links.get(&meta.ino()) {
        return *id;
    }
    let id = files.push_leaf(stat(meta), content(path, meta));
    let is_whiteout = meta.file_type().is_char_device() && meta.rdev() == 0;
    if meta.nlink() > 1 && !is_whiteout {
        links.insert(meta.ino(), id);
    }
    id
}

/// Files of the same size are taken for the same object: some are shared, as in real images.
fn content(path: &Path, meta: &fs::Metadata) -> Content {
    let kind = meta.file_type();
    if kind.is_symlink() {
        return LeafContent::Symlink(fs::read_link(path).unwrap().as_os_str().into());
    }
    if kind.is_fifo() {
        return LeafContent::Fifo;
    }
    if kind.is_socket() {
        return LeafContent::Socket;
    }
    if kind.is_char_device() {
        return LeafContent::CharacterDevice(meta.rdev());
    }
    if kind.is_block_device() {
        return LeafContent::BlockDevice(meta.rdev());
    }
    // Only small ones are read.
    match if meta.len() <= 64 { fs::read(path) } else { Ok(Vec::new()) } {
        Ok(bytes) if (1..=64).contains(&bytes.len()) => LeafContent::Regular(RegularFile::Inline(bytes.into())),
        _ => {
            let digest: [u8; 32] = sha2::Sha256::digest(meta.len().to_le_bytes()).into();
            LeafContent::Regular(RegularFile::External(digest.into(), meta.len()))
        }
    }
}

fn stat(meta: &fs::Metadata) -> Stat {
    let label: &[u8] = if meta.is_dir() { b"directory_t" } else { b"file_t" };
    Stat {
        st_mode: meta.mode() & 0o7777,
        st_uid: meta.uid(),
        st_gid: meta.gid(),
        st_mtim_sec: meta.mtime(),
        st_mtim_nsec: u32::try_from(meta.mtime_nsec()).unwrap(),
        xattrs: [(Box::from(OsStr::new("security.selinux")), Box::from(label))].into(),
    }
}
