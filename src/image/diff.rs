//! In what two trees differ, path by path: all that the digest of an image depends on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use composefs::fsverity::Sha256HashValue;
use composefs::tree::{Directory, FileSystem, Inode, LeafContent, RegularFile, Stat};

use super::Tree;
use crate::model::image::{Aspect, Change, Difference};

/// A value that is shown is cut here.
const SHOWN: usize = 80;

impl Tree {
    /// What is another in `other`, in the order of the paths.
    pub fn differences(&self, other: &Tree) -> Vec<Difference> {
        let (from, to) = (paths(&self.files), paths(&other.files));
        let mut found = Vec::new();
        for (path, old) in &from {
            let differs = match to.get(path) {
                None => Some((Change::Removed, Vec::new())),
                Some(new) => Some((Change::Changed, old.aspects(new))).filter(|(_, aspects)| !aspects.is_empty()),
            };
            found.extend(differs.map(|(change, differs)| (path, change, differs)));
        }
        let added = to.keys().filter(|path| !from.contains_key(*path));
        found.extend(added.map(|path| (path, Change::Added, Vec::new())));
        found.sort_by_key(|(path, ..)| *path);
        let text = |path: &Vec<u8>| format!("/{}", String::from_utf8_lossy(path));
        found.into_iter().map(|(path, change, differs)| Difference { path: text(path), change, differs }).collect()
    }
}

/// One inode under one of its names.
struct Seen<'a> {
    stat: &'a Stat,
    /// `None`: a directory.
    content: Option<&'a LeafContent<Sha256HashValue>>,
    /// The first of its names.
    first: Vec<u8>,
}

/// Every path, without `/` at its beginning; the root is empty.
fn paths(files: &FileSystem<Sha256HashValue>) -> BTreeMap<Vec<u8>, Seen<'_>> {
    let mut found = BTreeMap::new();
    found.insert(Vec::new(), Seen { stat: &files.root.stat, content: None, first: Vec::new() });
    let mut leaves: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    let mut open: Vec<(Vec<u8>, &Directory<Sha256HashValue>)> = vec![(Vec::new(), &files.root)];
    while let Some((below, folder)) = open.pop() {
        for (name, inode) in folder.entries() {
            let path = [&below[..], name.as_bytes()].concat();
            match inode {
                Inode::Directory(folder) => {
                    found.insert(path.clone(), Seen { stat: &folder.stat, content: None, first: path.clone() });
                    open.push(([&path[..], b"/"].concat(), folder));
                }
                Inode::Leaf(id, _) => leaves.entry(id.0).or_default().push(path),
            }
        }
    }
    for (id, names) in leaves {
        let leaf = &files.leaves[id];
        let first = names.iter().min().cloned().unwrap_or_default();
        let seen = |path| (path, Seen { stat: &leaf.stat, content: Some(&leaf.content), first: first.clone() });
        found.extend(names.into_iter().map(seen));
    }
    found
}

impl Seen<'_> {
    /// In what they differ.
    fn aspects(&self, new: &Self) -> Vec<Aspect> {
        let mut found = Vec::new();
        let mut compare = |what: &str, from: String, to: String| {
            if from != to {
                found.push(Aspect { what: what.to_owned(), from, to });
            }
        };
        let kinds = (self.kind(), new.kind());
        if kinds.0 == kinds.1 {
            compare("content", self.shown(), new.shown());
        }
        compare("type", kinds.0.to_owned(), kinds.1.to_owned());
        let mode = |stat: &Stat| format!("{:04o}", stat.st_mode & 0o7777);
        compare("mode", mode(self.stat), mode(new.stat));
        let owner = |stat: &Stat| format!("{}:{}", stat.st_uid, stat.st_gid);
        compare("owner", owner(self.stat), owner(new.stat));
        let time = |stat: &Stat| match stat.st_mtim_nsec {
            0 => stat.st_mtim_sec.to_string(),
            part => format!("{}.{part:09}", stat.st_mtim_sec),
        };
        compare("time", time(self.stat), time(new.stat));
        let link = |seen: &Self| format!("/{}", String::from_utf8_lossy(&seen.first));
        compare("links", link(self), link(new));
        let names = self.stat.xattrs.keys().chain(new.stat.xattrs.keys());
        let names: std::collections::BTreeSet<&OsStr> = names.map(|name| &**name).collect();
        for name in names {
            let (from, to) = (self.stat.xattrs.get(name), new.stat.xattrs.get(name));
            if from != to {
                let shown = |value: Option<&Box<[u8]>>| value.map_or("-".to_owned(), |value| bytes(value));
                let what = format!("xattr {}", name.to_string_lossy());
                found.push(Aspect { what, from: shown(from), to: shown(to) });
            }
        }
        found
    }

    fn kind(&self) -> &'static str {
        match self.content {
            None => "directory",
            Some(LeafContent::Regular(_)) => "file",
            Some(LeafContent::Symlink(_)) => "symbolic link",
            Some(LeafContent::BlockDevice(_)) => "block device",
            Some(LeafContent::CharacterDevice(_)) => "character device",
            Some(LeafContent::Fifo) => "FIFO",
            Some(LeafContent::Socket) => "socket",
        }
    }

    /// The content, so that two are equal if and only if these are, but for what is cut: there the length tells, or a digest.
    fn shown(&self) -> String {
        match self.content {
            None | Some(LeafContent::Fifo | LeafContent::Socket) => String::new(),
            Some(LeafContent::Regular(RegularFile::Inline(content))) => bytes(content),
            Some(LeafContent::Regular(RegularFile::External(id, size) | RegularFile::ExternalNoVerity(id, size))) => {
                format!("{size} bytes, {}", super::digest(id))
            }
            Some(LeafContent::Regular(RegularFile::Sparse(size))) => format!("{size} bytes of nothing"),
            Some(LeafContent::Symlink(target)) => target.to_string_lossy().into_owned(),
            Some(LeafContent::BlockDevice(rdev) | LeafContent::CharacterDevice(rdev)) => format!("{rdev:#x}"),
        }
    }
}

/// Text in quotes if it is text, else hex digits; a long value is cut and has its digest instead of the rest.
fn bytes(value: &[u8]) -> String {
    let text = match std::str::from_utf8(value) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("0x{}", hex::encode(value)),
    };
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => {
            format!("{}…, {} bytes, {}", &text[..end], value.len(), crate::store::verity::Hasher::hash(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Entry, Item, Metadata};
    use crate::model::Digest;

    fn entry(path: &str, item: Item, change: impl FnOnce(&mut Metadata)) -> Entry {
        let mut meta = Metadata { mode: 0o755, mtime: 7, ..Metadata::default() };
        change(&mut meta);
        Entry { path: path.into(), meta, item }
    }

    fn tree(entries: Vec<Entry>) -> Tree {
        let base = ["usr", "etc", "boot", "sysroot", "run", "var"].map(|name| entry(name, Item::Directory, |_| ()));
        Tree::from_layers(vec![base.into_iter().chain(entries).collect()]).unwrap()
    }

    fn inline(text: &str) -> Item {
        Item::Inline(text.into())
    }

    /// `path: what from>to, …`
    fn lines(from: &Tree, to: &Tree) -> Vec<String> {
        let line = |difference: Difference| {
            let aspects =
                difference.differs.iter().map(|aspect| format!("{} {}>{}", aspect.what, aspect.from, aspect.to));
            format!("{} {:?}: {}", difference.path, difference.change, aspects.collect::<Vec<_>>().join(", "))
        };
        from.differences(to).into_iter().map(line).collect()
    }

    #[test]
    fn everything_that_a_digest_depends_on_is_named_by_path() {
        let object = |n| Item::Object { digest: Digest::new([n; 32]), size: 100 };
        let plain = |_: &mut Metadata| ();
        let capability = |value: &[u8]| {
            let value = value.to_vec();
            move |meta: &mut Metadata| meta.xattrs = vec![(b"security.capability".to_vec(), value)]
        };
        let old = tree(vec![
            entry("usr/gone", inline("x"), plain),
            entry("usr/inline", inline("x"), plain),
            entry("usr/object", object(1), plain),
            entry("usr/link", Item::Symlink(b"a".to_vec()), plain),
            entry("usr/type", inline("x"), plain),
            entry("usr/mode", inline("x"), plain),
            entry("usr/owner", inline("x"), plain),
            entry("usr/time", inline("x"), plain),
            entry("usr/cap", inline("x"), capability(b"ab")),
            entry("usr/one", inline("x"), plain),
            entry("usr/two", Item::HardLink(b"usr/one".to_vec()), plain),
            entry("usr/null", Item::Special { kind: 0o020000, rdev: 0x103 }, plain),
            entry("usr/same", object(3), plain),
        ]);
        let new = tree(vec![
            entry("usr/inline", inline("y"), plain),
            entry("usr/object", object(2), plain),
            entry("usr/link", Item::Symlink(b"b".to_vec()), plain),
            entry("usr/type", Item::Directory, plain),
            entry("usr/mode", inline("x"), |meta| meta.mode = 0o4700),
            entry("usr/owner", inline("x"), |meta| meta.gid = 5),
            entry("usr/time", inline("x"), |meta| meta.mtime_nsec = 5),
            entry("usr/cap", inline("x"), capability(b"\xff")),
            entry("usr/one", inline("x"), plain),
            entry("usr/two", inline("x"), plain),
            entry("usr/null", Item::Special { kind: 0o020000, rdev: 0x105 }, plain),
            entry("usr/same", object(3), plain),
            entry("usr/zz", inline("x"), plain),
        ]);
        let expected = [
            "/usr/cap Changed: xattr security.capability \"ab\">0xff".to_owned(),
            "/usr/gone Removed: ".into(),
            "/usr/inline Changed: content \"x\">\"y\"".into(),
            "/usr/link Changed: content a>b".into(),
            "/usr/mode Changed: mode 0755>4700".into(),
            "/usr/null Changed: content 0x103>0x105".into(),
            format!("/usr/object Changed: content 100 bytes, {}>100 bytes, {}", "01".repeat(32), "02".repeat(32)),
            "/usr/owner Changed: owner 0:0>0:5".into(),
            "/usr/time Changed: time 7>7.000000005".into(),
            "/usr/two Changed: links /usr/one>/usr/two".into(),
            "/usr/type Changed: type file>directory".into(),
            "/usr/zz Added: ".into(),
        ];
        assert_eq!(lines(&old, &new), expected);
        assert_eq!(old.differences(&old), []);
        for changed in &expected {
            assert!(!lines(&new, &new).contains(changed));
        }
    }

    #[test]
    fn a_tree_comes_back_out_of_its_own_image_and_damaged_images_are_refused() {
        let tree = tree(vec![
            entry("usr/object", Item::Object { digest: Digest::new([1; 32]), size: 100 }, |meta| meta.mtime_nsec = 5),
            entry("usr/two", Item::HardLink(b"usr/object".to_vec()), |_| ()),
            entry("usr/inline", inline("x"), |meta| meta.xattrs = vec![(b"security.capability".to_vec(), vec![1; 20])]),
            entry("usr/link", Item::Symlink(b"a".to_vec()), |_| ()),
        ]);
        let image = tree.plain_image().unwrap();
        let back = Tree::from_erofs(&image.bytes).unwrap();
        assert_eq!(lines(&tree, &back), Vec::<String>::new());
        assert_eq!(back.plain_image().unwrap().digest, image.digest);
        assert!(Tree::from_erofs(&image.bytes[..image.bytes.len() / 2]).is_err());
        assert!(Tree::from_erofs(b"").is_err());
    }

    #[test]
    fn a_long_value_is_cut_and_still_told_apart() {
        let (one, two) = ([b'a'; 200], [&[b'a'; 199][..], b"b"].concat());
        assert!(bytes(&one).chars().count() < 200 && bytes(&one) != bytes(&two));
    }
}
