//! One inode of an image: its kind, its entries if it is a directory, the object that holds its content if it is a file.

use super::{bad, BadImage, Image, NamedObject, BLOCK};
use crate::digest::Digest;

/// Inode numbers count slots of this many bytes.
const SLOT: usize = 32;
/// A directory entry before its name.
const ENTRY: usize = 12;
/// The name index of `trusted.`.
const TRUSTED: u8 = 4;

/// How the content is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In blocks.
    Plain,
    /// In blocks, the last part behind the inode.
    Inline,
    /// In another device: composefs has it in an object.
    Chunks,
}

/// An inode, compact or extended.
pub(super) struct Inode {
    /// Where it starts.
    pub(super) at: usize,
    layout: Layout,
    mode: u16,
    size: u64,
    first_block: u32,
    /// Where its extended attributes start, and their size.
    xattrs_at: usize,
    xattrs_size: usize,
}

impl Inode {
    pub(super) fn read(image: &Image, nid: u64) -> Result<Self, BadImage> {
        let at = usize::try_from(nid).ok().and_then(|nid| nid.checked_mul(SLOT));
        let at = at.ok_or(bad("an inode number is out of range", 0))?;
        let format = image.u16(at)?;
        let (header, size) = match format & 1 {
            0 => (32, image.u32(at + 8)?.into()),
            _ => (64, image.u64(at + 8)?),
        };
        let layout = match format >> 1 {
            0 => Layout::Plain,
            2 => Layout::Inline,
            4 => Layout::Chunks,
            _ => return Err(bad("an inode has an unknown layout", at)),
        };
        let xattrs_size = match image.u16(at + 2)? {
            0 => 0,
            words => 12 + 4 * (usize::from(words) - 1),
        };
        image.slice(at, header + xattrs_size)?;
        let (mode, first_block) = (image.u16(at + 4)?, image.u32(at + 16)?);
        Ok(Self { at, layout, mode, size, first_block, xattrs_at: at + header, xattrs_size })
    }

    pub(super) fn is_directory(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    fn is_regular(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// How many bytes of the image reading it takes, its header apart.
    pub(super) fn weight(&self) -> usize {
        let entries = if self.is_directory() { usize::try_from(self.size).unwrap_or(usize::MAX) } else { 0 };
        entries.saturating_add(self.xattrs_size)
    }

    /// The inode numbers in a directory, `.` and `..` among them: names are of no interest here.
    pub(super) fn children(&self, image: &Image) -> Result<Vec<u64>, BadImage> {
        let size = usize::try_from(self.size).map_err(|_| bad("a directory is too large", self.at))?;
        let in_blocks = match self.layout {
            Layout::Plain => size,
            Layout::Inline => size - size % BLOCK,
            Layout::Chunks => return Err(bad("a directory has no content in the image", self.at)),
        };
        let start = (self.first_block as usize).saturating_mul(BLOCK);
        let blocks = if in_blocks == 0 { &[] } else { image.slice(start, in_blocks)? };
        let tail = image.slice(self.xattrs_at + self.xattrs_size, size - in_blocks)?;
        let mut children = Vec::new();
        for block in blocks.chunks(BLOCK).chain((!tail.is_empty()).then_some(tail)) {
            self.entries(block, &mut children)?;
        }
        Ok(children)
    }

    /// A block starts with its entries; the first name's offset tells their number.
    fn entries(&self, block: &[u8], children: &mut Vec<u64>) -> Result<(), BadImage> {
        let length = match block.get(8..10) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        };
        if length == 0 || length % ENTRY != 0 || length > block.len() {
            return Err(bad("a directory's block is malformed", self.at));
        }
        let nids = block[..length].chunks_exact(ENTRY).filter_map(|entry| entry.first_chunk::<8>());
        children.extend(nids.map(|nid| u64::from_le_bytes(*nid)));
        Ok(())
    }

    /// The object that holds a regular file's content.
    pub(super) fn object(&self, image: &Image) -> Result<Option<NamedObject>, BadImage> {
        if !self.is_regular() {
            return Ok(None);
        }
        let (mut metacopy, mut redirect) = (None, None);
        for xattr in self.xattrs(image)? {
            let slot = match (xattr.prefix, xattr.name) {
                (TRUSTED, b"overlay.metacopy") => &mut metacopy,
                (TRUSTED, b"overlay.redirect") => &mut redirect,
                _ => continue,
            };
            if slot.replace(xattr.value).is_some() {
                return Err(bad("a file has an overlay attribute twice", self.at));
            }
        }
        match (metacopy, redirect) {
            (None, None) => Ok(None),
            (Some(metacopy), Some(redirect)) => {
                let digest = digest(metacopy).ok_or(bad("a file's object has no SHA-256 fs-verity digest", self.at))?;
                if Some(redirect) != digest.object_path().strip_prefix("objects").map(str::as_bytes) {
                    return Err(bad("a file's object is not the one of its digest", self.at));
                }
                Ok(Some(NamedObject { digest, size: self.size }))
            }
            _ => Err(bad("a file has only one of metacopy and redirect", self.at)),
        }
    }

    /// The extended attributes: the shared ones that the inode names, and its own.
    fn xattrs<'a>(&self, image: &Image<'a>) -> Result<Vec<Xattr<'a>>, BadImage> {
        let mut found = Vec::new();
        if self.xattrs_size == 0 {
            return Ok(found);
        }
        let [shared] = image.array::<1>(self.xattrs_at + 4)?;
        let end = self.xattrs_at + self.xattrs_size;
        let mut at = self.xattrs_at + 12;
        for _ in 0..shared {
            let id = image.u32(at)? as usize;
            found.push(xattr(image, image.shared_xattrs.saturating_add(id.saturating_mul(4)))?);
            at += 4;
        }
        while at < end {
            let one = xattr(image, at)?;
            at += one.length;
            found.push(one);
        }
        if at != end {
            return Err(bad("a file's attributes do not end where they should", self.at));
        }
        Ok(found)
    }
}

struct Xattr<'a> {
    prefix: u8,
    name: &'a [u8],
    value: &'a [u8],
    /// With header and padding.
    length: usize,
}

fn xattr<'a>(image: &Image<'a>, at: usize) -> Result<Xattr<'a>, BadImage> {
    let [name, prefix, low, high] = image.array::<4>(at)?;
    let (name, value) = (usize::from(name), usize::from(u16::from_le_bytes([low, high])));
    let length = (4 + name + value).next_multiple_of(4);
    let (name, value) = image.slice(at + 4, name + value)?.split_at(name);
    Ok(Xattr { prefix, name, value, length })
}

/// The kernel's `struct ovl_metacopy`: version 0, its length, no flags, SHA-256, the digest.
fn digest(metacopy: &[u8]) -> Option<Digest> {
    metacopy.strip_prefix(&[0, 36, 0, 1])?.try_into().ok().map(Digest::new)
}
