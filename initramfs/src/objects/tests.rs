use proptest::prelude::*;

use super::*;

const TREE: &[u8] = include_bytes!("../../tests/golden/tree.cfs");
const EMPTY: &[u8] = include_bytes!("../../tests/golden/empty.cfs");

#[test]
fn the_objects_of_a_real_image_are_those_of_its_store() {
    let named: Vec<String> =
        objects(TREE).unwrap().iter().map(|object| format!("{} {}", object.digest, object.size)).collect();
    let stored: Vec<&str> = include_str!("../../tests/golden/tree.objects").lines().collect();
    assert_eq!(named, stored);
}

#[test]
fn an_empty_tree_names_no_object() {
    assert_eq!(objects(EMPTY), Ok(vec![]));
}

/// A small image, by hand: what the golden ones do not have, and what nobody should write.
struct Draft {
    bytes: Vec<u8>,
    next: usize,
}

const ROOT: usize = 36 * 32;
const DIRECTORY: u16 = 0o040_755;
const FILE: u16 = 0o100_644;
const PLAIN: u16 = 0;
const INLINE: u16 = 4;
const CHUNKS: u16 = 8;
const EXTENDED: u16 = 1;

type Pair<'a> = (u8, &'a [u8], &'a [u8]);

fn xattr_bytes((prefix, name, value): Pair) -> Vec<u8> {
    let mut bytes = vec![name.len() as u8, prefix];
    bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The extended attributes of an inode: header, ids of shared ones, own ones.
fn xattrs(shared: &[u32], own: &[Pair]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes[4] = shared.len() as u8;
    shared.iter().for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
    own.iter().for_each(|one| bytes.extend_from_slice(&xattr_bytes(*one)));
    bytes
}

/// A directory block with these inode numbers, named by letters.
fn block(nids: &[u64]) -> Vec<u8> {
    let names = nids.len() * 12;
    let entry =
        |(n, nid): (usize, &u64)| [&nid.to_le_bytes()[..], &((names + n) as u16).to_le_bytes(), &[0, 0]].concat();
    let mut bytes: Vec<u8> = nids.iter().enumerate().flat_map(entry).collect();
    bytes.resize(names + nids.len(), b'x');
    bytes
}

fn metacopy(byte: u8) -> Vec<u8> {
    [&[0, 36, 0, 1][..], &[byte; 32]].concat()
}

fn redirect(byte: u8) -> String {
    let hex = format!("{byte:02x}");
    format!("/{hex}/{}", hex.repeat(31))
}

fn object(byte: u8, size: u64) -> NamedObject {
    NamedObject { digest: Digest::new([byte; 32]), size }
}

impl Draft {
    /// Blocks 0 to 2: header and inodes; 3: shared attributes; 4 and 5: for directories.
    fn new() -> Self {
        let mut bytes = EMPTY[..1152].to_vec();
        bytes.resize(6 * BLOCK, 0);
        bytes[1024 + 44] = 3;
        bytes[1024 + 14..1024 + 16].copy_from_slice(&36u16.to_le_bytes());
        Self { bytes, next: ROOT }
    }

    /// Appends an inode and gives its number.
    fn inode(&mut self, format: u16, mode: u16, size: u64, block: u32, xattrs: &[u8], tail: &[u8]) -> u64 {
        let mut inode = vec![0; if format & EXTENDED == 0 { 32 } else { 64 }];
        let words = if xattrs.is_empty() { 0 } else { 1 + (xattrs.len() - 12) / 4 };
        inode[..2].copy_from_slice(&format.to_le_bytes());
        inode[2..4].copy_from_slice(&(words as u16).to_le_bytes());
        inode[4..6].copy_from_slice(&mode.to_le_bytes());
        let width = if format & EXTENDED == 0 { 4 } else { 8 };
        inode[8..8 + width].copy_from_slice(&size.to_le_bytes()[..width]);
        inode[16..20].copy_from_slice(&block.to_le_bytes());
        inode.extend_from_slice(xattrs);
        inode.extend_from_slice(tail);
        let at = self.next;
        self.bytes[at..at + inode.len()].copy_from_slice(&inode);
        self.next = (at + inode.len()).next_multiple_of(32);
        (at / 32) as u64
    }

    /// A root directory whose only child comes next.
    fn with_child() -> Self {
        let mut draft = Self::new();
        let tail = block(&[38]);
        assert_eq!(draft.inode(INLINE, DIRECTORY, tail.len() as u64, 0, &[], &tail), 36);
        draft
    }

    /// A file with these attributes, alone in the root.
    fn file(xattrs: &[u8]) -> Result<Vec<NamedObject>, BadImage> {
        let mut draft = Self::with_child();
        assert_eq!(draft.inode(CHUNKS, FILE, 500, 0, xattrs, &[]), 38);
        objects(&draft.bytes)
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, BadImage>, words: &str) {
    let error = result.expect_err(words);
    assert!(error.what.contains(words), "expected {words:?}: {error}");
}

#[test]
fn a_file_names_its_object() {
    let own =
        xattrs(&[], &[(4, b"overlay.metacopy", &metacopy(0xab)), (4, b"overlay.redirect", redirect(0xab).as_bytes())]);
    assert_eq!(Draft::file(&own), Ok(vec![object(0xab, 500)]));
    assert_eq!(Draft::file(&[]), Ok(vec![]));
    assert_eq!(Draft::file(&xattrs(&[], &[(1, b"x", b"y")])), Ok(vec![]));
    // Other namespaces are not the overlay's.
    let user = xattrs(&[], &[(1, b"overlay.metacopy", &metacopy(1)), (6, b"overlay.redirect", redirect(1).as_bytes())]);
    assert_eq!(Draft::file(&user), Ok(vec![]));
    let more = xattrs(
        &[],
        &[
            (6, b"capability", b"12345"),
            (4, b"overlay.redirect", redirect(9).as_bytes()),
            (1, b"", b""),
            (4, b"overlay.metacopy", &metacopy(9)),
        ],
    );
    assert_eq!(Draft::file(&more), Ok(vec![object(9, 500)]));
}

#[test]
fn shared_attributes_count_like_own_ones() {
    let mut draft = Draft::with_child();
    let first = xattr_bytes((4, b"overlay.metacopy", &metacopy(7)));
    let second = xattr_bytes((4, b"overlay.redirect", redirect(7).as_bytes()));
    let second_id = ((8 + first.len()) / 4) as u32;
    draft.bytes[3 * BLOCK + 8..][..first.len()].copy_from_slice(&first);
    draft.bytes[3 * BLOCK + 8 + first.len()..][..second.len()].copy_from_slice(&second);
    draft.inode(CHUNKS, FILE, 1, 0, &xattrs(&[2, second_id], &[(1, b"x", b"y")]), &[]);
    assert_eq!(objects(&draft.bytes), Ok(vec![object(7, 1)]));
    refused(Draft::file(&xattrs(&[u32::MAX], &[])), "outside of it");
}

#[test]
fn object_attributes_must_be_whole_and_agree() {
    let good = metacopy(1);
    let path = redirect(1);
    let file = |pairs: &[Pair]| Draft::file(&xattrs(&[], pairs));
    let both = |metacopy: &[u8], redirect: &[u8]| {
        file(&[(4, b"overlay.metacopy", metacopy), (4, b"overlay.redirect", redirect)])
    };
    assert!(both(&good, path.as_bytes()).is_ok());
    refused(file(&[(4, b"overlay.metacopy", &good)]), "only one");
    refused(file(&[(4, b"overlay.redirect", path.as_bytes())]), "only one");
    for at in 0..4 {
        let mut bad = good.clone();
        bad[at] ^= 2;
        refused(both(&bad, path.as_bytes()), "no SHA-256 fs-verity digest");
    }
    for bad in [&good[..0], &good[..4], &good[..35], &[&good[..], &[0]].concat()] {
        refused(both(bad, path.as_bytes()), "no SHA-256 fs-verity digest");
    }
    for bad in [redirect(2).as_str(), &path[1..], "", &format!("{path}0"), &path.to_uppercase().replace('/', "x")] {
        refused(both(&good, bad.as_bytes()), "not the one of its digest");
    }
    let twice = [(4, &b"overlay.metacopy"[..], &good[..]), (4, b"overlay.redirect", path.as_bytes())];
    refused(file(&[twice[0], twice[1], twice[0]]), "twice");
    refused(file(&[twice[0], twice[1], twice[1]]), "twice");
}

#[test]
fn attributes_must_fill_their_place() {
    let sound = xattrs(&[], &[(1, b"name", b"value")]);
    assert_eq!(Draft::file(&sound), Ok(vec![]));
    let mut long = sound.clone();
    long[14] = 9;
    refused(Draft::file(&long), "do not end");
    let mut shared = xattrs(&[], &[]);
    shared[4] = 1;
    refused(Draft::file(&shared), "do not end");
}

#[test]
fn only_regular_files_have_objects() {
    for mode in [0o120_777, 0o020_600, 0o060_600, 0o010_600, 0o140_600] {
        let mut draft = Draft::with_child();
        let own =
            xattrs(&[], &[(4, b"overlay.metacopy", &metacopy(1)), (4, b"overlay.redirect", redirect(1).as_bytes())]);
        draft.inode(PLAIN, mode, 0, 0, &own, &[]);
        assert_eq!(objects(&draft.bytes), Ok(vec![]), "{mode:o}");
    }
}

#[test]
fn directories_in_blocks_inline_and_both_are_walked_and_cycles_end() {
    let mut draft = Draft::new();
    // Two whole blocks and a tail; `.` and `..` of a directory lead back.
    let tail = block(&[36, 52]);
    draft.inode(
        INLINE | EXTENDED,
        DIRECTORY,
        (2 * BLOCK + tail.len()) as u64,
        4,
        &xattrs(&[], &[(1, b"x", b"y")]),
        &tail,
    );
    for (at, nid) in [(4, 40u64), (5, 46)] {
        draft.bytes[at * BLOCK..][..13].copy_from_slice(&block(&[nid]));
    }
    let file = |draft: &mut Draft, nid: usize, byte| {
        draft.next = nid * 32;
        let own = xattrs(
            &[],
            &[(4, b"overlay.metacopy", &metacopy(byte)), (4, b"overlay.redirect", redirect(byte).as_bytes())],
        );
        draft.inode(CHUNKS, FILE, byte.into(), 0, &own, &[]);
    };
    file(&mut draft, 40, 3);
    file(&mut draft, 46, 2);
    draft.next = 52 * 32;
    let back = block(&[36, 52, 40]);
    draft.inode(INLINE, DIRECTORY, back.len() as u64, 0, &[], &back);
    assert_eq!(objects(&draft.bytes), Ok(vec![object(2, 2), object(3, 3)]));
    // The same in blocks alone.
    draft.next = 52 * 32;
    draft.bytes.resize(7 * BLOCK, 0);
    draft.bytes[6 * BLOCK..][..back.len()].copy_from_slice(&back);
    draft.inode(PLAIN, DIRECTORY, back.len() as u64, 6, &[], &[]);
    assert_eq!(objects(&draft.bytes), Ok(vec![object(2, 2), object(3, 3)]));
}

#[test]
fn one_object_has_one_size() {
    let with = |second: u64| {
        let mut draft = Draft::new();
        let tail = block(&[40, 50]);
        draft.inode(INLINE, DIRECTORY, tail.len() as u64, 0, &[], &tail);
        let own =
            xattrs(&[], &[(4, b"overlay.metacopy", &metacopy(1)), (4, b"overlay.redirect", redirect(1).as_bytes())]);
        for (nid, size) in [(40, 5), (50, second)] {
            draft.next = nid * 32;
            draft.inode(CHUNKS | EXTENDED, FILE, size, 0, &own, &[]);
        }
        objects(&draft.bytes)
    };
    assert_eq!(with(5), Ok(vec![object(1, 5)]));
    refused(with(1 << 40), "different sizes");
}

#[test]
fn malformed_directories_are_refused() {
    let root = |format: u16, size: u64, first_block: u32, tail: &[u8]| {
        let mut draft = Draft::new();
        draft.inode(format, DIRECTORY, size, first_block, &[], tail);
        objects(&draft.bytes)
    };
    assert_eq!(root(INLINE, 0, 0, &[]), Ok(vec![]));
    assert_eq!(root(PLAIN, 0, u32::MAX, &[]), Ok(vec![]));
    refused(root(CHUNKS, 12, 0, &[]), "no content in the image");
    refused(root(6, 12, 0, &[]), "unknown layout");
    refused(root(16, 12, 0, &[]), "unknown layout");
    refused(root(PLAIN, 12, 6, &[]), "outside of it");
    refused(root(PLAIN, 12, u32::MAX, &[]), "outside of it");
    refused(root(PLAIN | EXTENDED, u64::MAX, 0, &[]), "overlap");
    refused(root(PLAIN, 12, 5, &[]), "block is malformed");
    let named = |offset: u16| {
        let mut tail = block(&[36]);
        tail[8..10].copy_from_slice(&offset.to_le_bytes());
        root(INLINE, tail.len() as u64, 0, &tail)
    };
    assert_eq!(named(12), Ok(vec![]));
    refused(named(0), "block is malformed");
    refused(named(13), "block is malformed");
    refused(named(24), "block is malformed");
    refused(root(INLINE, 9, 0, &[0; 9]), "block is malformed");
    // Entries that fill their block to the end.
    let mut full = block(&[36]);
    full.truncate(12);
    assert_eq!(root(INLINE, 12, 0, &full), Ok(vec![]));
}

#[test]
fn inodes_outside_of_the_image_are_refused() {
    for nid in [6 * 128, u64::MAX, 1 << 59, 1 << 60] {
        let mut draft = Draft::new();
        let tail = block(&[nid]);
        draft.inode(INLINE, DIRECTORY, tail.len() as u64, 0, &[], &tail);
        assert!(objects(&draft.bytes).is_err(), "{nid}");
    }
    // The last slot holds a compact inode, not an extended one or one with attributes.
    let last = |format: u16, words: u8| {
        let mut draft = Draft::new();
        let tail = block(&[6 * 128 - 1]);
        draft.inode(INLINE, DIRECTORY, tail.len() as u64, 0, &[], &tail);
        let at = 6 * BLOCK - 32;
        draft.bytes[at..at + 3].copy_from_slice(&[format as u8, 0, words]);
        objects(&draft.bytes)
    };
    assert_eq!(last(CHUNKS, 0), Ok(vec![]));
    refused(last(CHUNKS | EXTENDED, 0), "outside of it");
    refused(last(CHUNKS, 1), "outside of it");
}

#[test]
fn the_work_is_bounded_by_the_images_size() {
    // Directories that all claim the same blocks: the fourth time, more is read than there is.
    let with = |directories: u64| {
        let mut draft = Draft::new();
        let nids: Vec<u64> = (0..directories).map(|n| 48 + n).collect();
        let tail = block(&nids);
        draft.inode(INLINE, DIRECTORY, tail.len() as u64, 0, &[], &tail);
        draft.next = 48 * 32;
        for _ in 0..directories {
            draft.inode(PLAIN, DIRECTORY, 2 * BLOCK as u64, 4, &[], &[]);
        }
        for at in [4, 5] {
            draft.bytes[at * BLOCK..][..13].copy_from_slice(&block(&[36]));
        }
        objects(&draft.bytes)
    };
    assert_eq!(with(2), Ok(vec![]));
    refused(with(3), "overlap");
    // Attributes count too.
    let mut draft = Draft::new();
    let tail = block(&[48, 49]);
    draft.inode(INLINE, DIRECTORY, tail.len() as u64, 0, &[], &tail);
    draft.next = 48 * 32;
    draft.bytes.truncate(4 * BLOCK);
    let large = xattrs(&[], &[(1, b"x", &[0; 9000])]);
    draft.inode(CHUNKS, FILE, 0, 0, &large, &[]);
    let header: Vec<u8> = draft.bytes[48 * 32..49 * 32].to_vec();
    draft.bytes[49 * 32..50 * 32].copy_from_slice(&header);
    refused(objects(&draft.bytes), "overlap");
}

#[test]
fn images_of_another_kind_are_refused_by_name() {
    for (at, value, words) in [
        (0, 0, "composefs header"),
        (4, 2, "version of the header"),
        (8, 2, "unknown composefs features"),
        (12, 0, "version of composefs' format"),
        (12, 2, "version of composefs' format"),
        (1024, 0, "no EROFS superblock"),
        (1024 + 8, 8, "EROFS features"),
        (1024 + 12, 9, "4096"),
        (1024 + 13, 1, "4096"),
        (1024 + 40, 1, "inodes do not start"),
        (1024 + 80, 1, "incompatible"),
        (1024 + 80, 8, "incompatible"),
        (1024 + 84, 1, "compressed"),
        (1024 + 86, 1, "several devices"),
        (1024 + 88, 1, "another form"),
        (1024 + 90, 1, "another form"),
        (1024 + 91, 1, "another form"),
    ] {
        let mut bad = EMPTY.to_vec();
        bad[at] = value;
        refused(objects(&bad), words);
    }
    for (at, value) in [(8, 1), (1024 + 8, 7), (1024 + 80, 4)] {
        let mut good = EMPTY.to_vec();
        good[at] = value;
        assert_eq!(objects(&good), Ok(vec![]), "byte {at}");
    }
    refused(objects(&[]), "cut off");
    refused(objects(&EMPTY[..1100]), "cut off");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_images_never_panic_and_end(changes in prop::collection::vec((1024usize..45056, any::<u8>()), 1..8)) {
        let mut bad = TREE.to_vec();
        for (at, byte) in changes {
            bad[at] = byte;
        }
        let _ = objects(&bad);
    }

    #[test]
    fn cut_images_never_panic(length in 0..TREE.len()) {
        let _ = objects(&TREE[..length]);
    }

    #[test]
    fn any_bytes_after_a_sound_header_are_read_or_refused(bytes: Vec<u8>) {
        let image = [&EMPTY[..1152], &bytes].concat();
        let _ = objects(&image);
    }
}
