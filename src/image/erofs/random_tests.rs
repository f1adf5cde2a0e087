//! Random trees: the same bytes as composefs-rs writes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use composefs::fsverity::Sha256HashValue;
use composefs::generic_tree::LeafId;
use composefs::tree::{Directory, Inode, LeafContent, RegularFile, Stat};
use composefs_boot::BootOps;
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{compare, compare_view, inline, mkdir, symlink, Content};
use super::*;

/// One thing that is added to a random tree.
#[derive(Clone, Debug)]
struct Step {
    folder: usize,
    name: Vec<u8>,
    stat: Stat,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Directory,
    Leaf(Content),
    Link(usize),
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let any = proptest::collection::vec(1u8..=255, 1..40)
        .prop_map(|name| name.into_iter().map(|b| if b == b'/' { b'_' } else { b }).collect());
    let name = prop_oneof![
        4 => "[a-c]{1,3}".prop_map(String::into_bytes),
        2 => "[0-9a-f]{2}".prop_map(String::into_bytes),
        2 => any,
        2 => "[x-z]{60,255}".prop_map(String::into_bytes),
    ];
    name.prop_filter("reserved", |name: &Vec<u8>| name != b"." && name != b"..")
}

fn contents() -> impl Strategy<Value = Content> {
    let digest =
        || prop_oneof![(0u8..3).prop_map(|fill| [fill; 32]), any::<[u8; 32]>()].prop_map(Sha256HashValue::from);
    let size = || prop_oneof![0u64..9000, any::<u64>()];
    prop_oneof![
        (0usize..70).prop_map(inline),
        (0usize..9000).prop_map(inline),
        (digest(), size()).prop_map(|(id, size)| LeafContent::Regular(RegularFile::External(id, size))),
        (digest(), size()).prop_map(|(id, size)| LeafContent::Regular(RegularFile::ExternalNoVerity(id, size))),
        size().prop_map(|size| LeafContent::Regular(RegularFile::Sparse(size))),
        (0usize..=4096).prop_map(symlink),
        (0usize..60).prop_map(symlink),
        select(vec![0, 0, 5, 0x0fff_ffff, u64::from(u32::MAX)]).prop_map(LeafContent::CharacterDevice),
        (0..=u64::from(u32::MAX)).prop_map(LeafContent::BlockDevice),
        Just(LeafContent::Fifo),
        Just(LeafContent::Socket),
    ]
}

fn stats() -> impl Strategy<Value = Stat> {
    let name = prop_oneof![
        select(vec![
            "security.selinux",
            "security.capability",
            "system.posix_acl_access",
            "trusted.overlay.whiteout",
            "trusted.overlay.metacopy",
            "user.overlay.whiteout",
            "user.overlay.opaque",
            "lustre.lov",
            "other",
        ])
        .prop_map(str::to_owned),
        "(user|trusted|security|trusted\\.overlay)\\.[a-c]{0,20}",
    ];
    let value = prop_oneof![
        3 => select(vec![&b""[..], b"x", b"label"]).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..3000),
    ];
    let xattrs = prop_oneof![Just(BTreeMap::new()), proptest::collection::btree_map(name, value, 0..4)];
    let id = || prop_oneof![Just(0), select(vec![65535, 65536, u32::MAX])];
    let mode = prop_oneof![Just(0o644), any::<u32>()];
    let time = prop_oneof![4 => Just((7, 0)), 1 => (select(vec![0, 7, 8, -1, i64::MAX, i64::MIN]), 0u32..2)];
    (mode, id(), id(), time, xattrs).prop_map(|(st_mode, st_uid, st_gid, (st_mtim_sec, st_mtim_nsec), xattrs)| {
        let xattrs = xattrs.into_iter().map(|(name, value)| (Box::from(OsStr::new(&name)), value.into_boxed_slice()));
        Stat { st_mode, st_uid, st_gid, st_mtim_sec, st_mtim_nsec, xattrs: xattrs.collect() }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        1 => Just(What::Directory),
        4 => contents().prop_map(What::Leaf),
        1 => any::<usize>().prop_map(What::Link),
    ];
    let step = (any::<usize>(), names(), stats(), what);
    let step = step.prop_map(|(folder, name, stat, what)| Step { folder, name, stat, what });
    proptest::collection::vec(step, 0..120)
}

fn build(root: Stat, steps: Vec<Step>) -> Files {
    add(Files::new(root), vec![Vec::new()], steps)
}

fn add(mut files: Files, mut folders: Vec<Vec<u8>>, steps: Vec<Step>) -> Files {
    for Step { folder, name, stat, what } in steps {
        let folder = folders[folder % folders.len()].clone();
        let target = |files: &Files, id: usize| match files.leaves.len() {
            0 => None,
            count => Some(LeafId(id % count)),
        };
        let free =
            files.root.get_directory(OsStr::from_bytes(&folder)).unwrap().lookup(OsStr::from_bytes(&name)).is_none();
        let inode = match what {
            _ if !free => continue,
            What::Directory => {
                folders.push([&folder[..], b"/", &name].concat());
                Inode::Directory(Box::new(Directory::new(stat)))
            }
            What::Leaf(content) => Inode::leaf(files.push_leaf(stat, content)),
            What::Link(id) => match target(&files, id) {
                Some(id) if !matches!(files.leaf(id).content, LeafContent::CharacterDevice(0)) => Inode::leaf(id),
                _ => continue,
            },
        };
        files.root.get_directory_mut(OsStr::from_bytes(&folder)).unwrap().insert(OsStr::from_bytes(&name), inode);
    }
    files
}

proptest! {
    #[test]
    fn any_tree_gives_the_image_of_composefs(root in stats(), steps in steps()) {
        let files = build(root, steps);
        let difference = compare(&files);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
    #[test]
    fn emptied_directories_give_the_image_of_the_boot_transform(
        root in stats(),
        tops in proptest::collection::vec(stats(), 3),
        steps in steps(),
    ) {
        let mut files = Files::new(root);
        let names = ["usr", "boot", "sysroot"];
        for (name, stat) in names.into_iter().zip(tops) {
            mkdir(&mut files, "", name, stat);
        }
        let mut files = add(files, names.map(|name| name.as_bytes().to_vec()).into(), steps);
        files.filter_xattrs(|name| name != OsStr::new("security.selinux"));
        let mut theirs = files.clone();
        theirs.transform_for_boot_from_dir(OwnedFd::from(File::open(tempfile::tempdir().unwrap().path()).unwrap())).unwrap();
        let difference = compare_view(&View::new(&files).without_contents(&["boot", "sysroot"]), theirs);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
}
