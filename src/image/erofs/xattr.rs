//! Extended attributes: which each inode gets, which many inodes share, and their bytes.
//!
//! An attribute (name and value) that occurs more than once lies once in the shared area, and inodes refer to it.
//! Those of overlayfs that the tree has are escaped (`trusted.overlay.` becomes `trusted.overlay.overlay.`), since
//! the overlay over the image would act on them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;

use composefs::erofs::composefs::OverlayMetacopy;
use composefs::erofs::format::{self, XAttrHeader, XATTR_INDEX_LUSTRE, XATTR_PREFIXES};
use composefs::fsverity::Sha256HashValue;
use composefs::tree::{LeafContent, RegularFile};
use xxhash_rust::xxh32::xxh32;
use zerocopy::IntoBytes;

use super::inodes::{Inodes, Source};

/// Entries, and references to them, are counted in words of four bytes.
pub(super) const WORD: u64 = 4;
const METACOPY: usize = size_of::<OverlayMetacopy<Sha256HashValue>>();
/// `/ab/cdef…`: the object's place in the store.
const REDIRECT: usize = 2 + 64;

/// An attribute of an inode.
#[derive(Clone, Debug)]
pub(super) struct Attribute<'a> {
    name: Cow<'a, [u8]>,
    value: Value<'a>,
}

#[derive(Clone, Debug)]
enum Value<'a> {
    Bytes(&'a [u8]),
    /// The digest that overlayfs requires of the object.
    Metacopy([u8; METACOPY]),
    /// Where the object is.
    Redirect([u8; REDIRECT]),
}

impl<'a> Attribute<'a> {
    fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { name: Cow::Borrowed(name), value: Value::Bytes(value) }
    }

    fn of_tree(name: &'a [u8], value: &'a [u8]) -> Self {
        let name = match name.strip_prefix(format::XATTR_OVERLAY_PREFIX) {
            Some(rest) => Cow::Owned([format::XATTR_OVERLAY_ESCAPED_PREFIX, rest].concat()),
            None => Cow::Borrowed(name),
        };
        Self { name, value: Value::Bytes(value) }
    }

    fn metacopy(id: &Sha256HashValue) -> Self {
        let mut value = [0; METACOPY];
        value.copy_from_slice(OverlayMetacopy::new(id).as_bytes());
        Self { name: Cow::Borrowed(format::XATTR_OVERLAY_METACOPY), value: Value::Metacopy(value) }
    }

    fn redirect(id: &Sha256HashValue) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut path = [b'/'; REDIRECT];
        for (at, byte) in id.as_bytes().iter().enumerate() {
            let at = 2 * at + if at == 0 { 1 } else { 2 };
            path[at] = DIGITS[usize::from(byte >> 4)];
            path[at + 1] = DIGITS[usize::from(byte & 15)];
        }
        Self { name: Cow::Borrowed(format::XATTR_OVERLAY_REDIRECT), value: Value::Redirect(path) }
    }

    /// Whether it names an object.
    pub(super) fn is_of_object(&self) -> bool {
        !matches!(self.value, Value::Bytes(_))
    }

    pub(super) fn value(&self) -> &[u8] {
        match &self.value {
            Value::Bytes(bytes) => bytes,
            Value::Metacopy(bytes) => bytes,
            Value::Redirect(bytes) => bytes,
        }
    }

    /// The index of the name's prefix, and the rest of the name. libcomposefs does not know `lustre.`.
    pub(super) fn split_name(&self) -> (u8, &[u8]) {
        let known = (1..).zip(&XATTR_PREFIXES[1..]).filter(|(index, _)| *index != XATTR_INDEX_LUSTRE);
        let mut found = known.filter_map(|(index, prefix)| Some((index, self.name.strip_prefix(*prefix)?)));
        found.next().unwrap_or((0, &self.name))
    }

    /// Whether it is a POSIX access control list, which the header must announce.
    pub(super) fn is_acl(&self) -> bool {
        matches!(self.split_name().0, format::XATTR_INDEX_POSIX_ACL_ACCESS | format::XATTR_INDEX_POSIX_ACL_DEFAULT)
    }

    /// Its bit of the inode's name filter, a Bloom filter of one hash.
    pub(super) fn filter_bit(&self) -> u32 {
        let (index, suffix) = self.split_name();
        1 << (xxh32(suffix, format::XATTR_FILTER_SEED + u32::from(index)) % 32)
    }

    /// Size on disk.
    pub(super) fn size(&self) -> u64 {
        let bytes = size_of::<XAttrHeader>() + self.split_name().1.len() + self.value().len();
        (bytes as u64).next_multiple_of(WORD)
    }

    /// What the header cannot count.
    pub(super) fn misfit(&self) -> Option<String> {
        let (name, value) = (self.split_name().1.len(), self.value().len());
        (name > usize::from(u8::MAX) || value > usize::from(u16::MAX)).then(|| {
            let name = self.name.escape_ascii();
            format!("the extended attribute {name} with a value of {value} bytes")
        })
    }

    /// Appends `struct erofs_xattr_entry`, name, value, padding.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let ((name_index, suffix), value) = (self.split_name(), self.value());
        let end = bytes.len() + self.size() as usize;
        let header = XAttrHeader { name_len: suffix.len() as u8, name_index, value_size: (value.len() as u16).into() };
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(suffix);
        bytes.extend_from_slice(value);
        bytes.resize(end, 0);
    }
}

/// By whole name, then by length of the value and value, as libcomposefs sorts them.
impl Ord for Attribute<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.value(), other.value());
        self.name.cmp(&other.name).then(ours.len().cmp(&theirs.len())).then_with(|| ours.cmp(theirs))
    }
}

impl PartialOrd for Attribute<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Attribute<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Attribute<'_> {}

impl Hash for Attribute<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&*self.name, self.value()).hash(state);
    }
}

/// All attributes of an inode, in order.
pub(super) fn attributes<'a>(inodes: &'a Inodes<'_>, source: Source, found: &mut Vec<Attribute<'a>>) {
    found.clear();
    match source {
        Source::Leaf(id) => of_content(&inodes.leaf(id).content, found),
        Source::Whiteout(_) => {
            found.push(Attribute::new(format::XATTR_OVERLAY_WHITEOUT, b""));
            found.push(Attribute::new(format::XATTR_USERXATTR_WHITEOUT, b""));
        }
        Source::Directory(at) => of_directory(at == 0, inodes.folder(at).whiteouts, found),
        Source::Stub => {}
    }
    let own = inodes.stat(source).xattrs.iter();
    found.extend(own.map(|(name, value)| Attribute::of_tree(name.as_bytes(), value)));
    found.sort();
}

fn of_content<'a>(content: &'a LeafContent<Sha256HashValue>, found: &mut Vec<Attribute<'a>>) {
    match content {
        LeafContent::Regular(RegularFile::External(id, _)) => {
            found.push(Attribute::metacopy(id));
            found.push(Attribute::redirect(id));
        }
        LeafContent::Regular(RegularFile::ExternalNoVerity(id, _)) => {
            found.push(Attribute::new(format::XATTR_OVERLAY_METACOPY, b""));
            found.push(Attribute::redirect(id));
        }
        LeafContent::Regular(RegularFile::Sparse(_)) => {
            found.push(Attribute::new(format::XATTR_OVERLAY_METACOPY, b""));
        }
        _ => {}
    }
}

fn of_directory<'a>(root: bool, whiteouts: bool, found: &mut Vec<Attribute<'a>>) {
    if whiteouts {
        // So that overlayfs looks for escaped whiteouts in it.
        found.push(Attribute::new(format::XATTR_OVERLAY_WHITEOUTS, b""));
        found.push(Attribute::new(format::XATTR_USERXATTR_WHITEOUTS, b""));
        found.push(Attribute::new(format::XATTR_OVERLAY_OPAQUE, b"x"));
        found.push(Attribute::new(format::XATTR_USERXATTR_OPAQUE, b"x"));
    }
    if root {
        // Nothing of the object store below shows through.
        found.push(Attribute::new(format::XATTR_OVERLAY_OPAQUE_ROOT, b"y"));
    }
}
