//! The objects that an image names: a bounded reader for composefs' EROFS images, format V1 (rules 14, 15).
//!
//! Before the hand-over every object must exist with fs-verity on. The image itself is verified before this
//! reads it, so this is no second opinion on it; all the same it never panics and never loops, and its work
//! is bounded by the image's size, for the command line tool reads images of others. Format:
//! `fs/erofs/erofs_fs.h` in the kernel, and the crate `composefs`.

use std::collections::{BTreeMap, HashSet};

use crate::digest::Digest;

mod inode;

use inode::Inode;

/// The block size.
const BLOCK: usize = 4096;

/// An object that the image needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedObject {
    /// Its fs-verity digest, and so its name in the store.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why an image is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a composefs image of format V1: {what} (at byte {at})")]
pub struct BadImage {
    /// What is wrong.
    pub what: &'static str,
    /// Where in the image.
    pub at: usize,
}

/// All objects that the image's regular files name, sorted, each once.
pub fn objects(image: &[u8]) -> Result<Vec<NamedObject>, BadImage> {
    let image = Image::new(image)?;
    let mut found: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut seen = HashSet::from([image.root]);
    let mut pending = vec![image.root];
    // No two parts of a sound image overlap: more bytes than it has are never read.
    let mut unread = image.bytes.len();
    while let Some(nid) = pending.pop() {
        let inode = Inode::read(&image, nid)?;
        unread = unread.checked_sub(inode.weight()).ok_or(bad("its parts overlap", inode.at))?;
        if inode.is_directory() {
            let children = inode.children(&image)?;
            pending.extend(children.into_iter().filter(|&child| seen.insert(child)));
        } else if let Some(object) = inode.object(&image)? {
            if found.insert(object.digest, object.size).is_some_and(|size| size != object.size) {
                return Err(bad("two files name one object and give it different sizes", inode.at));
            }
        }
    }
    Ok(found.into_iter().map(|(digest, size)| NamedObject { digest, size }).collect())
}

/// An image whose header is one of ours.
struct Image<'a> {
    bytes: &'a [u8],
    root: u64,
    shared_xattrs: usize,
}

impl<'a> Image<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, BadImage> {
        const SUPER: usize = 1024;
        // What all V1 images have in common: (where, bits that are looked at, their value, what is wrong else).
        const COMMON: [(usize, u32, u32, &str); 11] = [
            (0, !0, 0xd078_629a, "no composefs header"),
            (4, !0, 1, "another version of the header"),
            (8, !0x1, 0, "unknown composefs features"),
            (12, !0, 1, "another version of composefs' format"),
            (SUPER, !0, 0xe0f5_e1e2, "no EROFS superblock"),
            (SUPER + 8, !0x7, 0, "EROFS features that composefs does not use"),
            (SUPER + 12, 0xffff, 12, "its blocks have not 4096 bytes, or its superblock is extended"),
            (SUPER + 40, !0, 0, "its inodes do not start at its beginning"),
            (SUPER + 80, !0x4, 0, "incompatible EROFS features that composefs does not use"),
            (SUPER + 84, !0, 0, "it is compressed or spread over several devices"),
            (SUPER + 88, !0, 0, "its directories or attribute names have another form"),
        ];
        let image = Image { bytes, root: 0, shared_xattrs: 0 };
        for (at, bits, value, what) in COMMON {
            if image.u32(at)? & bits != value {
                return Err(bad(what, at));
            }
        }
        let root = image.u16(SUPER + 14)?.into();
        let shared_xattrs = (image.u32(SUPER + 44)? as usize).saturating_mul(BLOCK);
        Ok(Image { bytes, root, shared_xattrs })
    }

    fn slice(&self, at: usize, length: usize) -> Result<&'a [u8], BadImage> {
        let end = at.checked_add(length);
        end.and_then(|end| self.bytes.get(at..end)).ok_or(bad("it is cut off, or a part lies outside of it", at))
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], BadImage> {
        self.slice(at, N)?.try_into().map_err(|_| bad("it is cut off", at))
    }

    fn u16(&self, at: usize) -> Result<u16, BadImage> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32, BadImage> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: usize) -> Result<u64, BadImage> {
        self.array(at).map(u64::from_le_bytes)
    }
}

const fn bad(what: &'static str, at: usize) -> BadImage {
    BadImage { what, at }
}

#[cfg(test)]
mod tests;
