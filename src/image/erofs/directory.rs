//! Directory entries in blocks: how many fit, and what a block looks like.
//!
//! A block holds the headers of its entries (`struct erofs_dirent`) and then their names. The last entries of a
//! directory, if they take half a block at most, lie behind its inode instead.

use composefs::erofs::format::{DirectoryEntryHeader, FileType};
use zerocopy::IntoBytes;

use super::BLOCK;

const HEADER: u64 = size_of::<DirectoryEntryHeader>() as u64;

/// The size of a directory, entry by entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packing {
    /// Full blocks.
    pub(super) blocks: u32,
    /// Bytes that lie behind the inode.
    pub(super) tail: u64,
}

impl Packing {
    /// Takes the next entry; true if it starts a block of its own.
    pub(super) fn add(&mut self, name: &[u8]) -> bool {
        let size = HEADER + name.len() as u64;
        let full = self.tail + size > BLOCK;
        if full {
            self.blocks += 1;
            self.tail = 0;
        }
        self.tail += size;
        full
    }

    /// No more entries.
    pub(super) fn finish(&mut self) {
        if self.tail > BLOCK / 2 {
            self.blocks += 1;
            self.tail = 0;
        }
    }
}

/// The entries of one block.
#[derive(Debug, Default)]
pub(super) struct DirBlock<'a> {
    entries: Vec<(&'a [u8], u64, FileType)>,
}

impl<'a> DirBlock<'a> {
    pub(super) fn push(&mut self, name: &'a [u8], nid: u64, kind: FileType) {
        self.entries.push((name, nid, kind));
    }

    /// Hands out the block's bytes, without padding, and empties it.
    pub(super) fn drain(&mut self, bytes: &mut Vec<u8>) {
        bytes.clear();
        let mut name_offset = self.entries.len() * size_of::<DirectoryEntryHeader>();
        for (name, nid, kind) in &self.entries {
            // At most a block, so it fits.
            let header = DirectoryEntryHeader {
                inode_offset: (*nid).into(),
                name_offset: (name_offset as u16).into(),
                file_type: (*kind).into(),
                reserved: 0,
            };
            bytes.extend_from_slice(header.as_bytes());
            name_offset += name.len();
        }
        for (name, ..) in self.entries.drain(..) {
            bytes.extend_from_slice(name);
        }
    }
}
