//! A subtree of the image as plain files: a deployment's `/etc`, and `/var` of a new host.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Error, Result};
use crate::image::{Node, Stat};
use crate::store::Store;
use crate::sys::Sys;

/// One inode of the subtree: path relative to it, what it is, metadata.
pub type Entry = (Vec<u8>, Node, Stat);

/// Writes `entries`, parents first, into the existing directory `target`; hard links become copies.
/// Not synced. `name` is the subtree's path in the image, for messages.
pub fn populate(sys: &Sys, store: &Store, name: &str, entries: &[Entry], target: &Path) -> Result<()> {
    let mut directories = BTreeSet::from([PathBuf::new()]);
    for (path, node, stat) in entries {
        let shown = format!("{name}/{}", String::from_utf8_lossy(path));
        let relative = Path::new(OsStr::from_bytes(path));
        if !is_child_of_one(relative, &directories) {
            return Err(Error::Path(shown));
        }
        let place = target.join(relative);
        create(sys, store, &shown, node, &place)?;
        let mode = (!matches!(node, Node::Symlink(_))).then_some(stat.mode & 0o7777);
        apply(sys, stat, mode, &place)?;
        if *node == Node::Directory {
            directories.insert(relative.to_owned());
        }
    }
    Ok(())
}

/// Gives the directory itself the metadata that it has in the image.
pub fn own(sys: &Sys, stat: &Stat, target: &Path) -> Result<()> {
    apply(sys, stat, Some(stat.mode & 0o7777), target)
}

fn apply(sys: &Sys, stat: &Stat, mode: Option<u32>, place: &Path) -> Result<()> {
    let xattrs: Vec<(&[u8], &[u8])> = stat.xattrs.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    Ok(sys.set_metadata(place, (stat.uid, stat.gid), mode, &xattrs)?)
}

/// A plain name in a directory that this call created: so no link is ever followed.
fn is_child_of_one(path: &Path, directories: &BTreeSet<PathBuf>) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let plain =
        bytes.split(|&byte| byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..")) && !bytes.contains(&0);
    plain && path.parent().is_some_and(|parent| directories.contains(parent))
}

/// Creates one inode, `shown` in messages, at a place that is free; its metadata is not that of the image yet.
pub fn create(sys: &Sys, store: &Store, shown: &str, node: &Node, place: &Path) -> Result<()> {
    match node {
        Node::Directory => sys.create_dir(place, 0o700)?,
        Node::Inline(bytes) => sys.create_file(place, &mut &bytes[..])?,
        Node::Object { digest, .. } => {
            let content = store.object(digest);
            let mut content =
                content.map_err(|error| Error::Content { path: shown.to_owned(), why: error.to_string() })?;
            sys.create_file(place, &mut content)?;
        }
        Node::Symlink(content) => sys.symlink(Path::new(OsStr::from_bytes(content)), place)?,
        Node::Special { kind, rdev } => sys.make_node(place, *kind, *rdev)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn stat(mode: u32) -> Stat {
        Stat { mode, uid: 3, gid: 4, mtime: 0, xattrs: vec![(b"user.a".to_vec(), b"b".to_vec())] }
    }

    #[test]
    fn children_need_a_plain_name_and_a_directory_of_ours() {
        let directories = BTreeSet::from([PathBuf::new(), "a".into()]);
        for good in ["x", "a/x", "a/..x"] {
            assert!(is_child_of_one(Path::new(good), &directories), "{good}");
        }
        for bad in ["", "/x", "..", "../x", "a/..", "a/../x", "a//x", "a/.", "a/", "b/x", "a/x\0", "./x"] {
            assert!(!is_child_of_one(Path::new(bad), &directories), "{bad}");
        }
    }

    #[test]
    fn names_modes_owners_and_attributes_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(store_dir.path(), &Sys::real()).unwrap();
        let plain = Stat { xattrs: vec![], ..stat(0o777) };
        let entries = [
            (b"d".to_vec(), Node::Directory, stat(0o2750)),
            (b"d/f".to_vec(), Node::Inline(b"hello".to_vec()), stat(0o4755)),
            (b"d/l".to_vec(), Node::Symlink(b"../../elsewhere".to_vec()), plain.clone()),
            (b"fifo".to_vec(), Node::Special { kind: 0o010000, rdev: 0 }, plain),
        ];
        populate(&Sys::real(), &store, "etc", &entries, dir.path()).unwrap();
        let file = std::fs::metadata(dir.path().join("d/f")).unwrap();
        assert_eq!((file.permissions().mode() & 0o7777, file.uid(), file.gid()), (0o4755, 3, 4));
        assert_eq!(std::fs::metadata(dir.path().join("d")).unwrap().permissions().mode() & 0o7777, 0o2750);
        assert_eq!(std::fs::read_link(dir.path().join("d/l")).unwrap(), Path::new("../../elsewhere"));
        assert_eq!(std::fs::symlink_metadata(dir.path().join("d/l")).unwrap().uid(), 3);
        let mut value = [0u8; 8];
        assert_eq!(rustix::fs::lgetxattr(dir.path().join("d/f"), "user.a", &mut value[..]).unwrap(), 1);
        assert_eq!(value[0], b'b');
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(&outside.path().join("store"), &Sys::real()).unwrap();
        let link = Node::Symlink(outside.path().as_os_str().as_bytes().to_vec());
        let plain = Stat { xattrs: vec![], ..stat(0o777) };
        let entries = [(b"l".to_vec(), link, plain.clone()), (b"l/f".to_vec(), Node::Inline(b"x".to_vec()), plain)];
        let error = populate(&Sys::real(), &store, "etc", &entries, dir.path()).unwrap_err();
        assert!(error.to_string().contains("etc/l/f"), "{error}");
        assert!(!outside.path().join("f").exists());
    }
}
