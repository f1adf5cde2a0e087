//! The second pass: the bytes, in order.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use composefs::erofs::format::{self, ComposefsHeader, Superblock};
use composefs::tree::{LeafContent, RegularFile};
use zerocopy::IntoBytes;

use super::directory::{DirBlock, Packing};
use super::inode::Shape;
use super::inodes::{Inodes, Source};
use super::plan::{self, Plan};
use super::shared::{Set, Shared};
use super::sink::Sink;
use super::view::View;
use super::{Result, BLOCK, SLOT};
use crate::model::Digest;

/// The superblock's place in its block.
const SUPERBLOCK: u64 = 1024;
const NULL_CHUNK: [u8; 4] = [0xff; 4];

impl View<'_> {
    /// Writes the image of what the view shows and returns its fs-verity digest.
    pub(in crate::image) fn write(&self, out: impl Write) -> Result<Digest> {
        let inodes = Inodes::of(self)?;
        let shared = Shared::of(&inodes)?;
        let plan = Plan::of(&inodes, &shared)?;
        let mut image = Image {
            inodes: &inodes,
            shared: &shared,
            plan: &plan,
            sink: Sink::new(out),
            dir_block: DirBlock::default(),
            bytes: Vec::new(),
        };
        image.superblock()?;
        image.table()?;
        image.shared()?;
        image.blocks()?;
        Ok(image.sink.finish()?)
    }
}

/// An image on its way out. A directory is read again for its tail and for its blocks.
struct Image<'a, 'f, W> {
    inodes: &'a Inodes<'f>,
    shared: &'a Shared<'a>,
    plan: &'a Plan,
    sink: Sink<W>,
    dir_block: DirBlock<'f>,
    /// Scratch.
    bytes: Vec<u8>,
}

impl<W: Write> Image<'_, '_, W> {
    fn superblock(&mut self) -> Result<()> {
        let header = ComposefsHeader {
            magic: format::COMPOSEFS_MAGIC,
            version: format::VERSION,
            flags: if self.shared.acl { format::COMPOSEFS_FLAGS_HAS_ACL } else { 0.into() },
            composefs_version: format::COMPOSEFS_VERSION_V1,
            ..ComposefsHeader::default()
        };
        let (seconds, nanoseconds) = self.plan.build_time;
        let superblock = Superblock {
            magic: format::MAGIC_V1,
            blkszbits: format::BLOCK_BITS,
            feature_compat: (format::FEATURE_COMPAT_MTIME | format::FEATURE_COMPAT_XATTR_FILTER).into(),
            // The first of the table: it fits.
            root_nid: (self.plan.nid(0) as u16).into(),
            inos: (self.inodes.table.len() as u64).into(),
            blocks: self.plan.blocks.into(),
            build_time: seconds.into(),
            build_time_nsec: nanoseconds.into(),
            xattr_blkaddr: ((self.plan.table_end / BLOCK) as u32).into(),
            ..Superblock::default()
        };
        self.sink.put(header.as_bytes())?;
        self.sink.fill(SUPERBLOCK)?;
        self.sink.put(superblock.as_bytes())?;
        Ok(())
    }

    fn table(&mut self) -> Result<()> {
        let mut block = self.plan.first_block;
        let mut set = Set::default();
        for inode in 0..self.inodes.table.len() {
            let (shape, icount) = plan::shape(self.inodes, self.shared, inode, self.plan.build_time, &mut set)?;
            self.bytes.clear();
            shape.write(self.inodes, inode, icount, block, &mut self.bytes);
            set.write(&self.plan.references, &mut self.bytes);
            self.sink.fill(self.plan.start(inode))?;
            self.sink.put(&self.bytes)?;
            self.tail(inode, &shape)?;
            block += shape.blocks;
        }
        self.sink.align(SLOT)?;
        Ok(())
    }

    /// The data behind an inode.
    fn tail(&mut self, inode: usize, shape: &Shape) -> Result<()> {
        if shape.tail == 0 {
            return Ok(());
        }
        match self.inodes.table[inode] {
            Source::Directory(at) => self.directory(at, Part::Tail)?,
            Source::Leaf(id) => match &self.inodes.leaf(id).content {
                LeafContent::Regular(RegularFile::Inline(data)) => {
                    self.sink.put(&data[data.len() - shape.tail as usize..])?;
                }
                LeafContent::Symlink(target) => self.sink.put(target.as_bytes())?,
                _ => self.null_chunks(shape.tail / NULL_CHUNK.len() as u64)?,
            },
            Source::Whiteout(_) | Source::Stub => {}
        }
        Ok(())
    }

    fn shared(&mut self) -> Result<()> {
        for attribute in self.shared.entries() {
            self.bytes.clear();
            attribute.write(&mut self.bytes);
            self.sink.put(&self.bytes)?;
        }
        Ok(())
    }

    fn blocks(&mut self) -> Result<()> {
        self.sink.align(BLOCK)?;
        for (inode, shape) in &self.plan.with_blocks {
            match self.inodes.table[*inode] {
                Source::Directory(at) => self.directory(at, Part::Blocks)?,
                Source::Leaf(id) => match &self.inodes.leaf(id).content {
                    LeafContent::Regular(RegularFile::Inline(data)) => {
                        self.sink.put(&data[..data.len() - shape.tail as usize])?;
                    }
                    LeafContent::Symlink(target) => self.sink.put(target.as_bytes())?,
                    _ => self.null_chunks(BLOCK / NULL_CHUNK.len() as u64)?,
                },
                Source::Whiteout(_) | Source::Stub => {}
            }
            self.sink.align(BLOCK)?;
        }
        Ok(())
    }

    fn null_chunks(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.sink.put(&NULL_CHUNK)?;
        }
        Ok(())
    }

    /// One part of a directory's entries: those in blocks, or those behind the inode.
    fn directory(&mut self, at: u32, part: Part) -> Result<()> {
        let dir = self.inodes.folder(at);
        let mut packing = Packing::default();
        for entry in self.inodes.entries(dir) {
            if packing.add(entry.name) {
                self.dir_block(Some(part).filter(|part| *part == Part::Blocks))?;
            }
            self.dir_block.push(entry.name, self.plan.nid(entry.inode), entry.kind);
        }
        let last = if dir.packing.tail > 0 { Part::Tail } else { Part::Blocks };
        self.dir_block(Some(part).filter(|part| *part == last))
    }

    fn dir_block(&mut self, part: Option<Part>) -> Result<()> {
        self.dir_block.drain(&mut self.bytes);
        match part {
            None => return Ok(()),
            Some(Part::Blocks) => self.sink.align(BLOCK)?,
            Some(Part::Tail) => {}
        }
        Ok(self.sink.put(&self.bytes)?)
    }
}

/// Of a directory's entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Blocks,
    Tail,
}
