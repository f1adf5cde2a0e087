use composefs::tree::FileSystem;
use proptest::prelude::*;

use super::*;

fn entry(path: &str, item: Item) -> Entry {
    Entry { path: path.into(), meta: Metadata { mode: 0o755, ..Metadata::default() }, item }
}

fn dir(path: &str) -> Entry {
    entry(path, Item::Directory)
}

fn file(path: &str, text: &str) -> Entry {
    entry(path, Item::Inline(text.into()))
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, Item::HardLink(target.into()))
}

/// Paths with the contents of small files, sorted.
fn listing(tree: &FileSystem<Sha256HashValue>) -> Vec<String> {
    fn visit(
        tree: &FileSystem<Sha256HashValue>,
        folder: &Directory<Sha256HashValue>,
        below: &str,
        out: &mut Vec<String>,
    ) {
        for (name, inode) in folder.sorted_entries() {
            let path = format!("{below}{}", name.to_string_lossy());
            match inode {
                Inode::Directory(folder) => {
                    out.push(format!("{path}/"));
                    visit(tree, folder, &format!("{path}/"), out);
                }
                Inode::Leaf(id, _) => match &tree.leaf(*id).content {
                    LeafContent::Regular(RegularFile::Inline(text)) => {
                        out.push(format!("{path}={}", String::from_utf8_lossy(text)));
                    }
                    _ => out.push(path),
                },
            }
        }
    }
    let mut out = Vec::new();
    visit(tree, &tree.root, "", &mut out);
    out
}

fn merged(layers: Vec<Vec<Entry>>) -> Vec<String> {
    listing(&merge(layers).unwrap())
}

fn refused(layers: Vec<Vec<Entry>>) -> String {
    merge(layers).unwrap_err().to_string()
}

#[test]
fn a_whiteout_removes_a_file_or_a_directory_of_a_lower_layer() {
    let base = vec![dir("a"), file("a/x", "1"), dir("b"), file("b/y", "2"), file("c", "3")];
    assert_eq!(merged(vec![base, vec![file("a/.wh.x", ""), file(".wh.b", "")]]), ["a/", "c=3"]);
}

#[test]
fn an_opaque_directory_shows_only_its_own_layer() {
    let base = vec![dir("a"), file("a/x", "1"), dir("a/d"), file("a/d/y", "2")];
    let upper = vec![dir("a"), file("a/.wh..wh..opq", ""), file("a/z", "3")];
    assert_eq!(merged(vec![base, upper]), ["a/", "a/z=3"]);
}

#[test]
fn hiding_what_the_same_layer_brought_is_refused() {
    let opaque = vec![vec![dir("a"), file("a/z", "3"), file("a/.wh..wh..opq", "")]];
    assert!(refused(opaque).contains("tools disagree"));
    let whiteout = vec![vec![file("a", "1"), file(".wh.a", "")]];
    assert!(refused(whiteout).contains("tools disagree"));
    let other_names = vec![vec![dir("a"), file("a/x", "1"), dir("ab"), file("ab/.wh..wh..opq", "")]];
    assert_eq!(merged(other_names), ["a/", "a/x=1", "ab/"]);
}

#[test]
fn whiteouts_that_some_tools_take_for_the_directory_itself_are_refused() {
    for odd in [".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh.aufs", ".wh..wh.plnk"] {
        let words = refused(vec![vec![dir("a"), file("a/x", "1")], vec![file(&format!("a/{odd}"), "")]]);
        assert!(words.contains("tools disagree") && words.contains(odd), "{words}");
    }
    assert_eq!(merged(vec![vec![dir("a"), file("a/...", "1")], vec![file("a/.wh....", "")]]), ["a/"]);
}

#[test]
fn types_replace_each_other_and_directories_keep_their_content() {
    let base = vec![dir("a"), file("a/x", "1"), file("b", "2"), dir("c"), file("c/y", "3")];
    let upper = vec![file("a", "now a file"), dir("b"), dir("c")];
    assert_eq!(merged(vec![base, upper]), ["a=now a file", "b/", "c/", "c/y=3"]);
}

#[test]
fn a_hard_link_reaches_into_a_lower_layer_and_outlives_its_target() {
    let base = vec![file("x", "1")];
    let tree = merge(vec![base, vec![link("y", "x"), file("x", "2")]]).unwrap();
    assert_eq!(listing(&tree), ["x=2", "y=1"]);
    let same = merge(vec![vec![file("x", "1"), link("y", "x")]]).unwrap();
    assert_eq!(same.root.leaf_id(OsStr::new("x")).unwrap(), same.root.leaf_id(OsStr::new("y")).unwrap());
}

#[test]
fn links_to_nothing_or_to_directories_are_refused_by_name() {
    assert!(refused(vec![vec![link("y", "x")]]).contains("\"x\""));
    assert!(refused(vec![vec![dir("x"), link("y", "x")]]).contains("\"y\""));
}

#[test]
fn a_missing_parent_is_refused_with_the_directory() {
    let why = refused(vec![vec![dir("a")], vec![file("usr/bin/x", "1")]]);
    assert!(why.contains("layer 2") && why.contains("usr/bin"), "{why}");
    let why = refused(vec![vec![file("lib", "1"), file("lib/x", "2")]]);
    assert!(why.contains("\"lib\""), "{why}");
}

proptest! {
    #[test]
    fn any_entries_merge_or_are_refused_but_never_panic(
        parts in proptest::collection::vec(("(\\.wh\\.)?(\\.wh\\.\\.opq|[ab])(/(\\.wh\\.)?(\\.wh\\.\\.opq|[ab])){0,2}", 0u8..4, "[ab](/[ab])?"), 0..30),
        cut in 0usize..30,
    ) {
        let mut entries: Vec<Entry> = parts.into_iter().map(|(path, kind, target)| match kind {
            0 => dir(&path),
            1 => file(&path, &target),
            2 => link(&path, &target),
            _ => entry(&path, Item::Symlink(target.into())),
        }).collect();
        let upper = entries.split_off(cut.min(entries.len()));
        let _ = merge(vec![entries, upper]);
    }
}
