use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use composefs::erofs::format::FormatVersion;
use composefs::erofs::writer::{mkfs_erofs_versioned, ValidatedFileSystem};
use composefs::fsverity::{compute_verity, FsVerityHashValue, Sha256HashValue};
use composefs::generic_tree::LeafId;
use composefs::tree::{Directory, Inode, LeafContent, RegularFile, Stat};

use super::*;

pub(super) type Content = LeafContent<Sha256HashValue>;

/// What composefs-rs makes of a tree, and its digest.
pub(super) fn peer(files: Files) -> (Vec<u8>, String) {
    let files = ValidatedFileSystem::new(files).unwrap();
    let bytes = mkfs_erofs_versioned(&files, FormatVersion::V1).into_vec();
    let digest = compute_verity::<Sha256HashValue>(&bytes).to_hex();
    (bytes, digest)
}

/// Where two images differ first, so that a failure can be read.
fn difference(ours: &[u8], theirs: &[u8]) -> Option<String> {
    let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at))?;
    let part = |bytes: &[u8]| format!("{:02x?}", bytes.get(at & !31..bytes.len().min((at & !31) + 64)));
    Some(format!("at {at} of {} and {}:\n{}\n{}", ours.len(), theirs.len(), part(ours), part(theirs)))
}

pub(super) fn compare(files: &Files) -> Option<String> {
    compare_view(&View::new(files), files.clone())
}

pub(super) fn compare_view(view: &View<'_>, files: Files) -> Option<String> {
    let mut ours = Vec::new();
    let digest = view.write(&mut ours).unwrap();
    let (theirs, theirs_digest) = peer(files);
    assert_eq!(digest.to_hex() == theirs_digest, ours == theirs);
    difference(&ours, &theirs)
}

fn same(files: &Files) {
    if let Some(difference) = compare(files) {
        panic!("{difference}");
    }
}

fn stat(mode: u32, mtime: i64) -> Stat {
    Stat { st_mode: mode, st_mtim_sec: mtime, ..Stat::uninitialized() }
}

pub(super) fn with(xattrs: &[(&str, &[u8])]) -> Stat {
    let xattrs = xattrs.iter().map(|(name, value)| (Box::from(OsStr::new(name)), Box::from(*value)));
    Stat { xattrs: xattrs.collect(), ..stat(0o644, 7) }
}

pub(super) fn empty() -> Files {
    Files::new(stat(0o755, 7))
}

/// Puts a leaf into a directory, and returns its id for more names.
pub(super) fn put(files: &mut Files, folder: &str, name: impl AsRef<OsStr>, stat: Stat, content: Content) -> LeafId {
    let id = files.push_leaf(stat, content);
    link(files, folder, name, id);
    id
}

fn link(files: &mut Files, folder: &str, name: impl AsRef<OsStr>, id: LeafId) {
    let folder = files.root.get_directory_mut(OsStr::new(folder)).unwrap();
    assert!(folder.insert(name.as_ref(), Inode::leaf(id)));
}

pub(super) fn mkdir(files: &mut Files, folder: &str, name: &str, stat: Stat) {
    let folder = files.root.get_directory_mut(OsStr::new(folder)).unwrap();
    assert!(folder.insert(OsStr::new(name), Inode::Directory(Box::new(Directory::new(stat)))));
}

fn object(fill: u8, size: u64) -> Content {
    LeafContent::Regular(RegularFile::External(Sha256HashValue::from([fill; 32]), size))
}

pub(super) fn inline(size: usize) -> Content {
    LeafContent::Regular(RegularFile::Inline((0..size).map(|at| at as u8 | 1).collect()))
}

pub(super) fn symlink(length: usize) -> Content {
    LeafContent::Symlink(OsStr::from_bytes(&vec![b'x'; length]).into())
}

#[test]
fn an_empty_tree() {
    same(&empty());
}

#[test]
fn every_kind_of_inode() {
    let mut files = empty();
    for name in ["etc", "usr", "!first", "zz"] {
        mkdir(&mut files, "", name, stat(0o755, 9));
    }
    put(&mut files, "usr", "inline", stat(0o4755, 7), inline(64));
    put(&mut files, "usr", "object", stat(0o644, 7), object(3, 65));
    let plain = LeafContent::Regular(RegularFile::ExternalNoVerity(Sha256HashValue::from([4; 32]), 5));
    put(&mut files, "usr", "no-verity", stat(0o644, 7), plain);
    put(&mut files, "usr", "sparse", stat(0o644, 7), LeafContent::Regular(RegularFile::Sparse(1 << 40)));
    put(&mut files, "usr", "fifo", stat(0o600, 7), LeafContent::Fifo);
    put(&mut files, "usr", "socket", stat(0o600, 7), LeafContent::Socket);
    put(&mut files, "usr", "link", stat(0o777, 7), symlink(20));
    for (at, rdev) in [1, 0x0103, u64::from(u32::MAX)].into_iter().enumerate() {
        put(&mut files, "usr", format!("c{at}"), stat(0o600, 7), LeafContent::CharacterDevice(rdev));
        put(&mut files, "usr", format!("b{at}"), stat(0o600, 8), LeafContent::BlockDevice(rdev));
    }
    put(&mut files, "usr", "b-zero", stat(0o600, 8), LeafContent::BlockDevice(0));
    same(&files);
}

#[test]
fn contents_of_every_size_lie_where_composefs_puts_them() {
    let mut files = empty();
    let sizes = [0, 1, 31, 32, 63, 64, 65, 512, 2047, 2048, 2049, 4000, 4095, 4096, 4097, 6144, 6145, 8192, 9000];
    for size in sizes {
        put(&mut files, "", format!("inline{size}"), stat(0o644, 7), inline(size));
        put(&mut files, "", format!("object{size}"), stat(0o644, 7), object(1, size as u64));
    }
    for length in [0, 1, 59, 1023, 1024, 3900, 4000, 4031, 4032, 4063, 4064, 4065, 4095, 4096] {
        put(&mut files, "", format!("link{length}"), stat(0o777, 7), symlink(length));
        put(&mut files, "", format!("link-later{length}"), stat(0o777, 8), symlink(length));
    }
    same(&files);
}

#[test]
fn large_objects_have_chunks_as_large_as_can_be() {
    let mut files = empty();
    for bits in 10..64 {
        for size in [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            put(&mut files, "", format!("o{size}"), stat(0o644, 7), object(bits as u8, size));
        }
    }
    for chunks in [1000, 1016, 1022, 1023, 1024, 1025] {
        put(&mut files, "", format!("chunks{chunks}"), stat(0o644, 8), object(chunks as u8, chunks << 43));
        let content = LeafContent::Regular(RegularFile::Sparse(chunks << 43));
        put(&mut files, "", format!("sparse{chunks}"), stat(0o644, 8), content);
    }
    put(&mut files, "", "all", stat(0o644, 7), object(0, u64::MAX));
    same(&files);
}

#[test]
fn directories_of_every_size() {
    for count in [0, 1, 50, 100, 170, 340, 341, 2000] {
        for width in [1, 20, 255] {
            let mut files = empty();
            mkdir(&mut files, "", "big", stat(0o755, 7));
            for at in 0..count {
                put(&mut files, "big", format!("{at:0width$}"), stat(0o644, 7), LeafContent::Fifo);
            }
            same(&files);
        }
    }
}

#[test]
fn directories_that_just_fill_a_block_or_half_of_one() {
    for size in [2047, 2048, 2049, 4095, 4096, 4097, 4096 + 2048, 4096 + 2049, 8192] {
        let mut files = empty();
        mkdir(&mut files, "", "full", stat(0o755, 7));
        // `.` and `..` take 27 bytes, each other entry 12 and its name.
        let mut left = size - 27;
        while left > 0 {
            let entry = if left < 100 { left } else { 50 };
            put(&mut files, "full", format!("{left:0width$}", width = entry - 12), stat(0o644, 7), LeafContent::Fifo);
            left -= entry;
        }
        same(&files);
    }
}

#[test]
fn chunks_in_a_block_carry_the_upper_half_of_its_number() {
    let mut files = empty();
    put(&mut files, "", "huge", stat(0o644, 7), object(1, u64::MAX));
    let view = View::new(&files);
    let inodes = inodes::Inodes::of(&view).unwrap();
    let huge = inodes.table.iter().position(|source| *source == inodes::Source::Leaf(0)).unwrap();
    let mut bytes = Vec::new();
    let shape = inode::Shape::of(&inodes, inodes.table[huge], 0, (7, 0)).unwrap();
    shape.write(&inodes, huge, 0, 0x0012_3456, &mut bytes);
    assert_eq!(bytes[16..20], 0x0012_001f_u32.to_le_bytes(), "i_u, chunks of 2^31 blocks");
}

#[test]
fn compact_inodes_where_composefs_has_them() {
    let mut files = empty();
    for id in [0, 65535, 65536, u32::MAX] {
        let owners = [(id, 0), (0, id)];
        for (at, (st_uid, st_gid)) in owners.into_iter().enumerate() {
            let stat = Stat { st_uid, st_gid, ..stat(0o644, 7) };
            put(&mut files, "", format!("{at}-{id}"), stat, inline(3));
        }
    }
    let times = [(7, 1), (i64::MAX, 999_999_999), (-1, 0), (i64::MIN, 3), (0x1_0000_0000, 0), (8, 0)];
    for (st_mtim_sec, st_mtim_nsec) in times {
        let stat = Stat { st_mtim_sec, st_mtim_nsec, ..stat(0o644, 0) };
        put(&mut files, "", format!("at{st_mtim_sec}"), stat, inline(3));
    }
    same(&files);
    files.root.stat.st_mtim_sec = 0;
    same(&files);
}

#[test]
fn a_file_of_more_names_than_16_bits_count() {
    for names in [65535, 65536] {
        let mut files = empty();
        let id = put(&mut files, "", "first", stat(0o644, 7), inline(2));
        for at in 1..names {
            link(&mut files, "", format!("{at}"), id);
        }
        same(&files);
    }
}

#[test]
fn hard_links_count_from_their_first_name_in_depth() {
    let mut files = empty();
    for (folder, name) in [("", "a"), ("a", "deep"), ("a/deep", "er"), ("", "b"), ("", "c")] {
        mkdir(&mut files, folder, name, stat(0o755, 7));
    }
    let first = put(&mut files, "c", "x", stat(0o644, 7), object(1, 100));
    let second = put(&mut files, "b", "x", stat(0o644, 7), symlink(9));
    let third = put(&mut files, "a/deep/er", "z", stat(0o644, 7), LeafContent::Fifo);
    for (folder, name) in [("a/deep/er", "x"), ("a/deep", "y"), ("", "0"), ("", "zz")] {
        link(&mut files, folder, format!("{name}1"), first);
        link(&mut files, folder, format!("{name}2"), second);
        link(&mut files, folder, format!("{name}3"), third);
    }
    let fourth = put(&mut files, "b", "deeper-first", stat(0o644, 7), inline(5));
    link(&mut files, "a/deep/er", "than-this", fourth);
    link(&mut files, "c", "last", fourth);
    put(&mut files, "", "zzz", stat(0o644, 7), inline(3));
    same(&files);
}

#[test]
fn extended_attributes_of_every_prefix() {
    let names = [
        "user.a",
        "user.",
        "user.overlay.opaque",
        "trusted.overlay.opaque",
        "trusted.overlay.overlay.whiteout",
        "trusted.overlay.whiteout",
        "trusted.x",
        "security.capability",
        "security.selinux",
        "system.posix_acl_access",
        "system.posix_acl_default.more",
        "lustre.lov",
        "other",
        "",
    ];
    for values in [[&b"1"[..], b"2"], [b"same", b"same"], [b"", b"a longer value"], [b"\xee", b"\0\0"]] {
        let mut files = empty();
        for (at, value) in values.into_iter().enumerate() {
            for name in names {
                put(&mut files, "", format!("{at}{name}"), with(&[(name, value)]), inline(at));
            }
            let all: Vec<_> = names.iter().map(|name| (*name, value)).collect();
            put(&mut files, "", format!("{at}all"), with(&all), object(at as u8, 70));
            mkdir(&mut files, "", &format!("{at}folder"), with(&all[..at + 3]));
        }
        same(&files);
    }
}

#[test]
fn the_header_announces_access_control_lists_alone() {
    for (name, flag) in [("user.a", 0), ("system.posix_acl_access", 1), ("system.posix_acl_default", 1)] {
        let mut files = empty();
        put(&mut files, "", "f", with(&[(name, b"x")]), inline(1));
        let mut bytes = Vec::new();
        View::new(&files).write(&mut bytes).unwrap();
        assert_eq!(bytes[8], flag, "{name}");
        same(&files);
    }
}

#[test]
fn long_attributes_next_to_the_ends_of_blocks() {
    for length in (0..5000).step_by(61).chain([65535]) {
        let mut files = empty();
        let value = vec![5; length];
        let long = format!("user.{}", "n".repeat(255));
        put(&mut files, "", "inline", with(&[(&long, &value)]), inline(64));
        put(&mut files, "", "link", with(&[("user.l", &value)]), symlink(500));
        put(&mut files, "", "object", with(&[("user.o", &value)]), object(2, 1 << 50));
        put(&mut files, "", "sparse", with(&[("user.s", &value)]), object(2, 1020 << 43));
        mkdir(&mut files, "", "folder", with(&[("user.d", &value)]));
        put(&mut files, "folder", "x".repeat(200), stat(0o644, 7), LeafContent::Fifo);
        same(&files);
    }
}

#[test]
fn more_shared_attributes_than_fill_a_block() {
    let mut files = empty();
    for at in 0..600u32 {
        let (name, value) = (format!("user.{}", at % 300), [at as u8 / 2; 30]);
        put(
            &mut files,
            "",
            format!("f{at}"),
            with(&[(&name, &value[..at as usize % 30])]),
            object((at % 200) as u8, 66),
        );
    }
    same(&files);
}

#[test]
fn whiteouts_of_the_tree_are_escaped_and_those_of_composefs_are_not() {
    let whiteout = || LeafContent::CharacterDevice(0);
    let mut files = empty();
    mkdir(&mut files, "", "usr", with(&[("user.overlay.opaque", b"x"), ("trusted.overlay.whiteouts", b"")]));
    mkdir(&mut files, "", "0f", stat(0o755, 7));
    put(&mut files, "usr", "gone", stat(0o600, 7), whiteout());
    put(&mut files, "usr", "ab", stat(0o644, 7), whiteout());
    put(&mut files, "", "ab", stat(0o644, 7), whiteout());
    put(&mut files, "", "ac", stat(0o600, 7), whiteout());
    put(&mut files, "", "AD", stat(0o644, 7), whiteout());
    put(&mut files, "", "ad", with(&[("security.selinux", b"label")]), whiteout());
    put(&mut files, "", "ae", with(&[("user.x", b"label")]), whiteout());
    put(&mut files, "", "gone", with(&[("trusted.overlay.whiteout", b""), ("user.overlay.whiteout", b"")]), whiteout());
    put(&mut files, "", "01", stat(0o644, 7), inline(3));
    same(&files);
    files.root.stat.xattrs = with(&[("security.selinux", b"label"), ("user.other", b"1")]).xattrs;
    same(&files);
}

#[test]
fn what_the_format_cannot_hold_is_refused_by_path() {
    let refused = |content: Content, stat: Stat, what: &str| {
        let mut files = empty();
        mkdir(&mut files, "", "usr", self::stat(0o755, 7));
        mkdir(&mut files, "usr", "lib", self::stat(0o755, 7));
        put(&mut files, "usr/lib", "before", self::stat(0o644, 7), LeafContent::Fifo);
        put(&mut files, "usr/lib", "this", stat, content);
        let error = View::new(&files).write(std::io::sink()).unwrap_err().to_string();
        assert!(error.starts_with("/usr/lib/this: ") && error.contains(what), "{error}");
    };
    refused(LeafContent::CharacterDevice(1 << 32), stat(0o644, 7), "device number");
    refused(symlink(4097), stat(0o777, 7), "target");
    refused(inline(1), with(&[(&format!("user.{}", "n".repeat(256)), b"")]), "user.nnn");
    refused(inline(1), with(&[("user.n", &[1; 65536])]), "65536 bytes");
    let many: Vec<_> = (0..5).map(|at| format!("user.{at}")).collect();
    let many: Vec<_> = many.iter().map(|name| (&name[..], &[2; 65535][..])).collect();
    refused(inline(1), with(&many), "sum of its extended attributes");
}

#[test]
fn names_that_are_none_are_refused() {
    for name in ["", ".", "..", &"n".repeat(256)] {
        let mut files = empty();
        mkdir(&mut files, "", "usr", stat(0o755, 7));
        put(&mut files, "usr", name, stat(0o644, 7), LeafContent::Fifo);
        let error = View::new(&files).write(std::io::sink()).unwrap_err();
        assert!(matches!(&error, Error::Name(path) if *path == format!("usr/{name}")), "{error}");
    }
}

#[test]
fn trees_that_composefs_refuses_are_refused() {
    let mut files = empty();
    let id = put(&mut files, "", "one", stat(0o644, 7), LeafContent::CharacterDevice(0));
    link(&mut files, "", "two", id);
    assert!(matches!(View::new(&files).write(std::io::sink()), Err(Error::LinkedWhiteout(path)) if path == "one"));
    let mut files = empty();
    files.push_leaf(stat(0o644, 7), LeafContent::Fifo);
    assert!(matches!(View::new(&files).write(std::io::sink()), Err(Error::Tree(_))));
}

#[test]
fn a_writer_that_fails_is_reported() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(View::new(&empty()).write(Full), Err(Error::Write(_))));
}
