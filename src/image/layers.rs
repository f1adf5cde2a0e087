//! Each layer of an image as an EROFS image of its own: what a container engine has as the layer's directory.
//!
//! Whiteouts and opaque directories stay, in the form that overlayfs reads. What a layer only refers to is taken from those
//! below: directories that it does not bring, and files that it links to.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::LeafId;
use composefs::tree::{Directory, FileSystem, Inode, Leaf, LeafContent, Stat};

use super::erofs::View;
use super::merge::{self, OPAQUE, WHITEOUT};
use super::{image, ErofsImage, Error, Result};
use crate::import::{Entry, Item};

type Files = FileSystem<Sha256HashValue>;
type Outcome<T> = std::result::Result<T, String>;

/// By these overlayfs knows a directory that hides all below it: root's, and a user's. Of a whiteout the writer says both.
const OPAQUE_XATTRS: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];
/// Attributes that a layer may set; the others would speak to overlayfs or the host's security modules.
const ALLOWED: [&[u8]; 2] = [b"security.capability", b"user."];
const REFUSED: &[u8] = b"user.overlay.";
/// The root of a base that has no entry for it, as containers/storage makes it.
const ROOT: Stat =
    Stat { st_mode: 0o555, st_uid: 0, st_gid: 0, st_mtim_sec: 0, st_mtim_nsec: 0, xattrs: BTreeMap::new() };

/// One image for each layer, from the base up.
pub fn layer_images(layers: Vec<Vec<Entry>>) -> Result<Vec<ErofsImage>> {
    let mut below = Files::new(ROOT);
    let mut images = Vec::new();
    for (index, entries) in layers.into_iter().enumerate() {
        let fail =
            |path: &[u8], why| Error::Layer { layer: index + 1, path: String::from_utf8_lossy(path).into_owned(), why };
        let mut own = Files::new(below.root.stat.clone());
        // A marker speaks of its directory as a whole: it comes last.
        let (markers, others): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| merge::split(&entry.path).1 == OPAQUE);
        for entry in others {
            place(&mut own, &below, entry.clone()).map_err(|why| fail(&entry.path, why))?;
        }
        for marker in markers {
            make_opaque(&mut own, &below, &marker.path).map_err(|why| fail(&marker.path, why))?;
        }
        // What entries replaced has no name any more.
        own.compact();
        // What other tools would read differently is refused here too.
        below.root.stat = own.root.stat.clone();
        merge::add(&mut below, entries).map_err(|(path, why)| fail(&path, why))?;
        images.push(image(|bytes| Ok(View::new(&own).write(bytes)?))?);
    }
    Ok(images)
}

fn place(own: &mut Files, below: &Files, mut entry: Entry) -> Outcome<()> {
    entry.meta.xattrs.retain(|(name, _)| is_allowed(name));
    let (folder, name) = merge::split(&entry.path);
    if name.is_empty() {
        own.root.stat = merge::stat(entry.meta)?;
        return Ok(());
    }
    let (name, inode) = match name.strip_prefix(WHITEOUT) {
        Some(hidden) => (hidden, whiteout(own)),
        None => (name, inode(own, below, entry.item, entry.meta)?),
    };
    parent(own, below, folder)?.merge(OsStr::from_bytes(name), inode);
    Ok(())
}

fn is_allowed(name: &[u8]) -> bool {
    ALLOWED.iter().any(|allowed| name.starts_with(allowed)) && !name.starts_with(REFUSED)
}

/// It hides all below it; whiteouts in it have nothing to add, and overlayfs has one attribute for both.
fn make_opaque(own: &mut Files, below: &Files, marker: &[u8]) -> Outcome<()> {
    let (path, _) = merge::split(marker);
    let whiteouts: Vec<LeafId> =
        own.leaves.iter().enumerate().filter(|(_, leaf)| is_whiteout(leaf)).map(|(id, _)| LeafId(id)).collect();
    let folder = parent(own, below, path)?;
    let names =
        folder.sorted_entries().filter(|(_, inode)| matches!(inode, Inode::Leaf(id, _) if whiteouts.contains(id)));
    let names: Vec<_> = names.map(|(name, _)| name.to_owned()).collect();
    names.iter().for_each(|name| folder.remove(name));
    for name in OPAQUE_XATTRS {
        folder.stat.xattrs.insert(Box::from(OsStr::new(name)), Box::from(&b"y"[..]));
    }
    Ok(())
}

fn is_whiteout(leaf: &Leaf<Sha256HashValue>) -> bool {
    matches!(leaf.content, LeafContent::CharacterDevice(0))
}

/// overlayfs takes a character device 0, 0 for the absence of a file.
fn whiteout(own: &mut Files) -> Inode<Sha256HashValue> {
    Inode::leaf(own.push_leaf(Stat { st_mode: 0, ..ROOT }, LeafContent::CharacterDevice(0)))
}

/// A link to a file that the layer does not bring itself becomes a copy of it.
fn inode(own: &mut Files, below: &Files, item: Item, meta: crate::import::Metadata) -> Outcome<Inode<Sha256HashValue>> {
    match &item {
        Item::HardLink(target) if merge::linked(own, target).is_err() => {
            let leaf = below.leaf(merge::linked(below, target)?);
            Ok(Inode::leaf(own.push_leaf(leaf.stat.clone(), leaf.content.clone())))
        }
        _ => merge::inode(own, meta, item),
    }
}

/// The directory of this path; those that the layer does not bring are as they are below.
fn parent<'a>(own: &'a mut Files, below: &Files, path: &[u8]) -> Outcome<&'a mut Directory<Sha256HashValue>> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain((!path.is_empty()).then_some(path.len())) {
        let folder = &path[..end];
        if own.root.get_directory(OsStr::from_bytes(folder)).is_ok() {
            continue;
        }
        let known = below.root.get_directory(OsStr::from_bytes(folder));
        let stat = known.map_err(|error| merge::parent(folder, &error))?.stat.clone();
        let (above, name) = merge::split(folder);
        let above = own.root.get_directory_mut(OsStr::from_bytes(above)).map_err(|error| error.to_string())?;
        above.merge(OsStr::from_bytes(name), Inode::Directory(Box::new(Directory::new(stat))));
    }
    own.root.get_directory_mut(OsStr::from_bytes(path)).map_err(|error| merge::parent(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Node, Tree};
    use crate::import::Metadata;

    fn entry(path: &str, item: Item) -> Entry {
        let meta = Metadata { mode: 0o700, uid: 7, mtime: 9, ..Metadata::default() };
        Entry { path: path.as_bytes().to_vec(), meta, item }
    }

    fn file(path: &str, content: &str) -> Entry {
        entry(path, Item::Inline(content.as_bytes().to_vec()))
    }

    fn trees(layers: Vec<Vec<Entry>>) -> Vec<Tree> {
        let images = layer_images(layers).unwrap();
        images.iter().map(|image| Tree::from_erofs(&image.bytes).unwrap()).collect()
    }

    #[test]
    fn a_layer_shows_what_it_brings_and_what_it_hides() {
        let below = vec![entry("a", Item::Directory), file("a/x", "1"), file("a/y", "2")];
        let above = vec![file("a/.wh.x", ""), file("a/z", "3")];
        let trees = trees(vec![below, above]);
        assert_eq!(trees[0].get("a/x").unwrap().0, Node::Inline(b"1".to_vec()));
        let (hidden, _) = trees[1].get("a/x").unwrap();
        assert!(matches!(hidden, Node::Special { rdev: 0, .. }), "{hidden:?}");
        assert_eq!(trees[1].get("a/y"), None);
    }

    #[test]
    fn an_opaque_directory_says_so_and_has_no_whiteouts() {
        let layer = vec![entry("o", Item::Directory), file("o/.wh.w", ""), file("o/.wh..wh..opq", "")];
        let image = layer_images(vec![vec![entry("o", Item::Directory), file("o/w", "1")], layer]).unwrap().remove(1);
        assert_eq!(Tree::from_erofs(&image.bytes).unwrap().list("o").unwrap(), Vec::<Vec<u8>>::new());
        // The reader has no word for it: overlayfs sees the escaped attribute, and not that of whiteouts.
        let holds = |text: &[u8]| image.bytes.windows(text.len()).any(|bytes| bytes == text);
        assert!(holds(b"overlay.overlay.opaque") && !holds(b"overlay.overlay.whiteouts"));
    }

    #[test]
    fn a_directory_that_a_layer_does_not_bring_is_as_it_is_below() {
        let trees = trees(vec![vec![entry("a", Item::Directory)], vec![file("a/x", "1")]]);
        let (_, stat) = trees[1].get("a").unwrap();
        assert_eq!((stat.mode, stat.uid, stat.mtime), (0o700, 7, 9));
    }

    #[test]
    fn a_link_into_a_layer_below_is_a_copy() {
        let link = entry("y", Item::HardLink(b"x".to_vec()));
        let trees = trees(vec![vec![file("x", "1")], vec![link]]);
        assert_eq!(trees[1].get("y").unwrap().0, Node::Inline(b"1".to_vec()));
        assert_eq!(trees[1].get("x"), None);
    }

    #[test]
    fn attributes_that_speak_to_overlayfs_are_left_out() {
        let mut odd = file("x", "1");
        for name in ["trusted.overlay.redirect", "user.overlay.whiteout", "security.selinux", "user.fine"] {
            odd.meta.xattrs.push((name.as_bytes().to_vec(), b"v".to_vec()));
        }
        let (_, stat) = trees(vec![vec![odd]]).remove(0).get("x").unwrap();
        assert_eq!(stat.xattrs, [(b"user.fine".to_vec(), b"v".to_vec())]);
    }
}
