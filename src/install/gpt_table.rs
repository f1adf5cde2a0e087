//! The partition table: protective MBR, GPT and its copy at the end, as bytes with their places.

use std::fs::File;
use std::os::unix::fs::FileExt;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{OperatingSystem, Type, EFI};
use gpt::GptConfig;
use rustix::fs::{memfd_create, MemfdFlags};

use super::{Error, Result};
use crate::model::disk::{DiskPlan, Span};

/// The only sector size that is supported.
pub const SECTOR: u64 = 512;
/// MBR, header, 128 entries.
const HEAD: u64 = 34 * SECTOR;
/// 128 entries, header.
const TAIL: u64 = 33 * SECTOR;

/// Bytes at an offset of the disk.
pub type Piece = (u64, Vec<u8>);

/// The pieces in the order of writing: the copy first, so that a header never points to a copy that is not there.
pub fn table(plan: &DiskPlan) -> Result<[Piece; 2]> {
    let fail = |why: String| Error::Table { path: plan.target.clone(), why };
    build(plan).map_err(fail)
}

/// Zeros where a table may lie: afterwards the disk has none.
pub fn blank(size: u64) -> [Piece; 2] {
    [(0, vec![0; HEAD as usize]), (size - TAIL, vec![0; TAIL as usize])]
}

/// The crate writes to a device: it gets memory of the disk's size, of which only the two ends are ever touched.
fn build(plan: &DiskPlan) -> std::result::Result<[Piece; 2], String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let memory = memfd_create("gpt", MemfdFlags::CLOEXEC).map_err(|error| text(&error))?;
    let mut memory = File::from(memory);
    memory.set_len(plan.size).map_err(|error| text(&error))?;

    let sectors = u32::try_from(plan.size / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut memory).map_err(|error| text(&error))?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut disk = config.create_from_device(memory, None).map_err(|error| text(&error))?;
    let root_type =
        plan.arch.root_partition.parse().map_err(|_| "the root partition's type is not a GUID".to_owned())?;
    let root_type = Type { guid: root_type, os: OperatingSystem::Linux };
    for (id, name, span, kind) in [(1, "cfs-esp", plan.esp, EFI), (2, "cfs-root", plan.root, root_type)] {
        let Span { offset, size } = span;
        let added = disk.add_partition_at(name, id, offset / SECTOR, size / SECTOR, kind, 0);
        added.map_err(|error| text(&error))?;
    }
    let memory = disk.write().map_err(|error| text(&error))?;
    let piece = |offset: u64, length: u64| {
        let mut bytes = vec![0; length as usize];
        memory.read_exact_at(&mut bytes, offset).map(|()| (offset, bytes)).map_err(|error| text(&error))
    };
    Ok([piece(plan.size - TAIL, TAIL)?, piece(0, HEAD)?])
}
