//! One inode: which header it has, how its data are laid out, and where it may start.

use composefs::erofs::format::{CompactInodeHeader, DataLayout, ExtendedInodeHeader, InodeLayout, BLOCK_BITS};
use composefs::tree::{LeafContent, RegularFile};
use zerocopy::IntoBytes;

use super::inodes::{mtime, Inodes, Source};
use super::{BLOCK, SLOT};

const COMPACT: u64 = size_of::<CompactInodeHeader>() as u64;
const EXTENDED: u64 = size_of::<ExtendedInodeHeader>() as u64;
/// `EROFS_CHUNK_FORMAT_BLKBITS_MASK`: a chunk has at most 2^31 blocks.
const CHUNK_BITS: u32 = 31;

/// Everything of an inode but its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    compact: bool,
    layout: DataLayout,
    pub(super) size: u64,
    union: Union,
    /// Header and extended attributes.
    head: u64,
    /// Data behind them.
    pub(super) tail: u64,
    /// Blocks of data elsewhere.
    pub(super) blocks: u32,
    start: Start,
}

/// `i_u` of the inode.
#[derive(Clone, Copy, Debug)]
enum Union {
    /// The block number of its data, if it has blocks.
    Block,
    Device(u32),
    /// Log2 of the blocks in a chunk; libcomposefs adds the upper half of the block number.
    Chunks(u32),
}

/// Where it may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// So that the tail lies in one block.
    Tail,
    /// So that all of it (a symbolic link) lies in one block: older kernels refuse others.
    Whole,
    /// With a block.
    Block,
}

impl Shape {
    /// The shape of an inode with attributes of this size, or what of it does not fit.
    pub(super) fn of(
        inodes: &Inodes<'_>,
        source: Source,
        xattrs: u64,
        build_time: (u64, u32),
    ) -> Result<Self, &'static str> {
        let mut shape = match source {
            Source::Directory(at) => {
                let packing = inodes.folder(at).packing;
                Self::flat(u64::from(packing.blocks) * BLOCK + packing.tail, packing.blocks, packing.tail)
            }
            Source::Whiteout(_) | Source::Stub => Self::device(0),
            Source::Leaf(id) => Self::of_leaf(&inodes.leaf(id).content)?,
        };
        let (stat, nlink) = (inodes.stat(source), inodes.nlink(source));
        let short = |id| id <= u32::from(u16::MAX);
        shape.compact = mtime(stat) == build_time
            && short(nlink)
            && short(stat.st_uid)
            && short(stat.st_gid)
            && shape.size <= u64::from(u32::MAX);
        shape.head = xattrs + if shape.compact { COMPACT } else { EXTENDED };
        shape.move_to_block(xattrs);
        Ok(shape)
    }

    fn of_leaf(content: &LeafContent<composefs::fsverity::Sha256HashValue>) -> Result<Self, &'static str> {
        Ok(match content {
            LeafContent::Regular(RegularFile::Inline(bytes)) => {
                let (blocks, rest) = (bytes.len() as u64 / BLOCK, bytes.len() as u64 % BLOCK);
                let (blocks, tail) = if rest > BLOCK / 2 { (blocks + 1, 0) } else { (blocks, rest) };
                Self::flat(bytes.len() as u64, u32::try_from(blocks).map_err(|_| "its content")?, tail)
            }
            LeafContent::Regular(
                RegularFile::External(_, size) | RegularFile::ExternalNoVerity(_, size) | RegularFile::Sparse(size),
            ) => Self::chunks(*size),
            LeafContent::Symlink(target) => {
                // At the limit, all of it goes into a block.
                let size = target.len() as u64;
                if size > BLOCK {
                    return Err("a target of more than 4096 bytes");
                }
                Self { layout: DataLayout::FlatInline, start: Start::Whole, ..Self::flat(size, 0, size) }
            }
            LeafContent::CharacterDevice(rdev) | LeafContent::BlockDevice(rdev) => {
                Self::device(u32::try_from(*rdev).map_err(|_| "a device number of more than 32 bits")?)
            }
            LeafContent::Fifo | LeafContent::Socket => Self::device(0),
        })
    }

    fn flat(size: u64, blocks: u32, tail: u64) -> Self {
        let layout = if tail == 0 { DataLayout::FlatPlain } else { DataLayout::FlatInline };
        Self { compact: false, layout, size, union: Union::Block, head: 0, tail, blocks, start: Start::Tail }
    }

    fn device(rdev: u32) -> Self {
        Self { union: Union::Device(rdev), ..Self::flat(0, 0, 0) }
    }

    /// A file without data of its own: chunks that are holes, as few as can be.
    fn chunks(size: u64) -> Self {
        let bits = 64 - size.saturating_sub(1).leading_zeros();
        let bits = bits.saturating_sub(u32::from(BLOCK_BITS)).min(CHUNK_BITS);
        let count = size.div_ceil(BLOCK << bits);
        Self { layout: DataLayout::ChunkBased, size, union: Union::Chunks(bits), ..Self::flat(size, 0, 4 * count) }
    }

    /// Moves a tail that cannot lie in one block with the rest to a block of its own.
    fn move_to_block(&mut self, xattrs: u64) {
        let moves = match self.layout {
            DataLayout::FlatInline => self.start == Start::Whole && self.tail > 0 && self.head + self.tail >= BLOCK,
            DataLayout::ChunkBased => self.tail > 0 && self.tail + xattrs % SLOT > BLOCK,
            DataLayout::FlatPlain => false,
        };
        if moves {
            (self.blocks, self.tail) = (1, 0);
            match self.layout {
                DataLayout::ChunkBased => self.start = Start::Block,
                _ => self.layout = DataLayout::FlatPlain,
            }
        }
    }

    /// Where it starts if the one before ends at `end`.
    pub(super) fn place(&self, end: u64) -> u64 {
        let at = end.next_multiple_of(SLOT);
        let block = at.next_multiple_of(BLOCK);
        match self.start {
            Start::Block => block,
            Start::Whole if at % BLOCK + self.head + self.size > BLOCK => block,
            Start::Whole => at,
            Start::Tail => {
                let tail = at + self.head;
                let room = tail.next_multiple_of(BLOCK) - tail;
                // Where the room is not a multiple of a slot the tail lands a little behind the block's start.
                if room > 0 && room < self.tail {
                    at + room.next_multiple_of(SLOT)
                } else {
                    at
                }
            }
        }
    }

    /// Header, attributes and tail.
    pub(super) fn len(&self) -> u64 {
        self.head + self.tail
    }

    /// Appends `struct erofs_inode_compact` or `_extended`; `block` is where its blocks start.
    pub(super) fn write(&self, inodes: &Inodes<'_>, inode: usize, icount: u16, block: u32, bytes: &mut Vec<u8>) {
        let source = inodes.table[inode];
        let (stat, nlink) = (inodes.stat(source), inodes.nlink(source));
        let mode = inodes.kind(source) | stat.st_mode;
        let block = if self.blocks > 0 { block } else { 0 };
        let u = match self.union {
            Union::Block => block,
            Union::Device(rdev) => rdev,
            Union::Chunks(bits) => (block & 0xffff_0000) | bits,
        };
        if self.compact {
            let header = CompactInodeHeader {
                format: InodeLayout::Compact | self.layout,
                xattr_icount: icount.into(),
                mode,
                nlink: (nlink as u16).into(),
                size: (self.size as u32).into(),
                u: u.into(),
                ino: (inode as u32).into(),
                uid: (stat.st_uid as u16).into(),
                gid: (stat.st_gid as u16).into(),
                ..CompactInodeHeader::default()
            };
            bytes.extend_from_slice(header.as_bytes());
        } else {
            let (seconds, nanoseconds) = mtime(stat);
            let header = ExtendedInodeHeader {
                format: InodeLayout::Extended | self.layout,
                xattr_icount: icount.into(),
                mode,
                size: self.size.into(),
                u: u.into(),
                ino: (inode as u32).into(),
                uid: stat.st_uid.into(),
                gid: stat.st_gid.into(),
                mtime: seconds.into(),
                mtime_nsec: nanoseconds.into(),
                nlink: nlink.into(),
                ..ExtendedInodeHeader::default()
            };
            bytes.extend_from_slice(header.as_bytes());
        }
    }
}
