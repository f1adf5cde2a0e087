//! Two file systems as the same lines, one for each path: ours out of its EROFS image, another tool's as it lies on the disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use cfs_host::image::Tree;
use cfs_host::model::Digest;
use cfs_host::store::Store;
use composefs::erofs::reader::erofs_to_filesystem;
use composefs::fsverity::Sha256HashValue;
use composefs::tree::{Directory, FileSystem, Inode, LeafContent, RegularFile, Stat};
use sha2::{Digest as _, Sha256};

pub type Listing = BTreeMap<String, String>;

const CAPABILITY: &str = "security.capability";

fn path_text(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}

fn hash(bytes: &[u8]) -> String {
    format!("{} bytes {}", bytes.len(), &hex::encode(Sha256::digest(bytes))[..16])
}

/// The image transform empties `/run` and takes the root's metadata from `/usr`: neither is of the layers.
fn left_out(path: &[u8]) -> bool {
    path == b"run" || path.starts_with(b"run/")
}

/// Adds the first of a file's names to each of its lines.
fn linked(lines: Vec<(String, String, Option<u64>)>) -> Listing {
    let mut first = HashMap::new();
    for (path, _, inode) in &lines {
        if let Some(inode) = inode {
            let known = first.entry(*inode).or_insert_with(|| path.clone());
            *known = known.clone().min(path.clone());
        }
    }
    let line = |(path, line, inode): (String, String, Option<u64>)| {
        let name = inode.map_or(String::new(), |inode| format!(" = {}", first[&inode]));
        (path, line + &name)
    };
    lines.into_iter().map(line).collect()
}

pub fn of_image(store: &Path, tree: &Tree) -> Listing {
    let files: FileSystem<Sha256HashValue> = erofs_to_filesystem(&tree.plain_image().unwrap().bytes).unwrap();
    let mut lines = Vec::new();
    Ours { store: Store::open(store).unwrap(), files: &files }.visit(&files.root, b"", &mut lines);
    linked(lines)
}

struct Ours<'a> {
    store: Store,
    files: &'a FileSystem<Sha256HashValue>,
}

impl Ours<'_> {
    fn visit(&self, folder: &Directory<Sha256HashValue>, below: &[u8], lines: &mut Vec<(String, String, Option<u64>)>) {
        for (name, inode) in folder.sorted_entries() {
            let path = [below, name.as_bytes()].concat();
            if left_out(&path) {
                continue;
            }
            match inode {
                Inode::Directory(folder) => {
                    lines.push((path_text(&path), format!("directory {}", stat(&folder.stat)), None));
                    self.visit(folder, &[&path[..], b"/"].concat(), lines);
                }
                Inode::Leaf(id, _) => {
                    let leaf = self.files.leaf(*id);
                    // On a disk, links have no mode of their own.
                    let mut stat = stat(&leaf.stat);
                    if matches!(leaf.content, LeafContent::Symlink(_)) {
                        stat = stat.split_once(' ').map_or(String::new(), |(_, rest)| format!("777 {rest}"));
                    }
                    let line = format!("{} {stat}", self.content(&leaf.content));
                    lines.push((path_text(&path), line, Some(id.0 as u64)));
                }
            }
        }
    }

    fn content(&self, content: &LeafContent<Sha256HashValue>) -> String {
        match content {
            LeafContent::Regular(RegularFile::Inline(bytes)) => hash(bytes),
            LeafContent::Regular(RegularFile::External(id, size)) => {
                let digest = Digest::new(zerocopy::IntoBytes::as_bytes(id).try_into().unwrap());
                let bytes = self.store.read(&digest).unwrap();
                assert_eq!(bytes.len() as u64, *size);
                hash(&bytes)
            }
            LeafContent::Symlink(target) => format!("link {}", hash(target.as_bytes())),
            LeafContent::CharacterDevice(rdev) => format!("character device {rdev}"),
            LeafContent::BlockDevice(rdev) => format!("block device {rdev}"),
            LeafContent::Fifo => "pipe".to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

fn stat(stat: &Stat) -> String {
    let capability = stat.xattrs.iter().find(|(name, _)| name.as_bytes() == CAPABILITY.as_bytes());
    let capability = capability.map_or(String::new(), |(_, value)| hex::encode(value));
    let time = format!("{}.{:09}", stat.st_mtim_sec, stat.st_mtim_nsec);
    format!("{:o} {}:{} {time} [{capability}]", stat.st_mode, stat.st_uid, stat.st_gid)
}

pub fn of_directory(top: &Path) -> Listing {
    let mut lines = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(top).unwrap().as_os_str().as_bytes();
            if left_out(inside) {
                continue;
            }
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let line = format!("{} {}", content_on_disk(&path, &meta), stat_on_disk(&path, &meta));
            lines.push((path_text(inside), line, (!meta.is_dir()).then_some(meta.ino())));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    linked(lines)
}

fn content_on_disk(path: &Path, meta: &Metadata) -> String {
    let kind = meta.file_type();
    if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_symlink() {
        format!("link {}", hash(std::fs::read_link(path).unwrap().as_os_str().as_bytes()))
    } else if kind.is_file() {
        hash(&std::fs::read(path).unwrap())
    } else if kind.is_fifo() {
        "pipe".to_owned()
    } else {
        format!("{} device {}", if kind.is_char_device() { "character" } else { "block" }, meta.rdev())
    }
}

fn stat_on_disk(path: &Path, meta: &Metadata) -> String {
    let mut value = [0; 256];
    let capability = rustix::fs::lgetxattr(path, CAPABILITY, &mut value).map_or(0, |length| length);
    let capability = hex::encode(&value[..capability]);
    let time = format!("{}.{:09}", meta.mtime(), meta.mtime_nsec());
    format!("{:o} {}:{} {time} [{capability}]", meta.mode() & 0o7777, meta.uid(), meta.gid())
}
