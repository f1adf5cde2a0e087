//! The first pass: where everything lies.

use super::inode::Shape;
use super::inodes::Inodes;
use super::shared::{Set, Shared};
use super::{Error, Result, BLOCK, SLOT};

/// Header, superblock: the inode table starts behind them.
pub(super) const TABLE: u64 = 1024 + 128;

/// Where everything lies.
#[derive(Debug)]
pub(super) struct Plan {
    /// Per inode its slot, which is its nid.
    pub(super) nids: Vec<u32>,
    pub(super) build_time: (u64, u32),
    /// Where the inode table ends and the shared attributes start.
    pub(super) table_end: u64,
    /// Per shared attribute, what inodes refer to it by.
    pub(super) references: Vec<u32>,
    /// The number of the first block with data.
    pub(super) first_block: u32,
    /// Blocks of the whole image.
    pub(super) blocks: u32,
    /// The inodes that have blocks, in the order of these.
    pub(super) with_blocks: Vec<(usize, Shape)>,
}

impl Plan {
    /// Lays out the image.
    pub(super) fn of<'a>(inodes: &'a Inodes<'_>, shared: &Shared<'a>) -> Result<Self> {
        let build_time = inodes.build_time();
        let mut nids = Vec::with_capacity(inodes.table.len());
        let mut set = Set::default();
        let (mut end, mut data, mut with_blocks) = (TABLE, 0, Vec::new());
        for inode in 0..inodes.table.len() {
            let (shape, _) = shape(inodes, shared, inode, build_time, &mut set)?;
            let start = shape.place(end);
            nids.push(u32::try_from(start / SLOT).map_err(|_| Error::TooMany("inodes"))?);
            end = start + shape.len();
            if shape.blocks > 0 {
                with_blocks.push((inode, shape));
                data += u64::from(shape.blocks);
            }
        }
        let table_end = end.next_multiple_of(SLOT);
        let first_block = (table_end + shared.size()).div_ceil(BLOCK);
        let number = |block| u32::try_from(block).map_err(|_| Error::TooMany("blocks"));
        Ok(Self {
            nids,
            build_time,
            with_blocks,
            table_end,
            references: shared.references(table_end).ok_or(Error::TooMany("extended attributes"))?,
            first_block: number(first_block)?,
            blocks: number(first_block + data)?,
        })
    }

    /// Where an inode starts.
    pub(super) fn start(&self, inode: usize) -> u64 {
        SLOT * u64::from(self.nids[inode])
    }

    /// The nid of an inode.
    pub(super) fn nid(&self, inode: u32) -> u64 {
        self.nids[inode as usize].into()
    }
}

/// The shape of an inode and its `i_xattr_icount`; leaves its attributes in `set`.
pub(super) fn shape<'a>(
    inodes: &'a Inodes<'_>,
    shared: &Shared<'a>,
    inode: usize,
    build_time: (u64, u32),
    set: &mut Set<'a>,
) -> Result<(Shape, u16)> {
    let source = inodes.table[inode];
    let misfit = |what: &str| Error::Inode { path: inodes.path_of(inode), what: what.to_owned() };
    shared.split(inodes, source, set);
    let icount = set.icount().ok_or_else(|| misfit("the sum of its extended attributes"))?;
    let shape = Shape::of(inodes, source, set.size(), build_time).map_err(misfit)?;
    Ok((shape, icount))
}
