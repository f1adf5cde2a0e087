//! A plan becomes a disk.

use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::geometry::BLOCK;
use super::gpt_table::{blank, table, Piece};
use super::mtools::Fat;
use super::target::open_device;
use super::{Error, Result};
use crate::boot::esp::EspFile;
use crate::model::disk::{DiskPlan, TargetKind};
use crate::sys::{NewFile, Sys};

/// The root file system's type.
pub const ROOT_FS: &str = "ext4";

/// Writes the disk: root file system from the directory `staged`, then the partition table, then the ESP.
/// A file appears whole under its name or not at all; a device has no partition table until all but the ESP is on it.
pub fn write(sys: &Sys, plan: &DiskPlan, staged: &Path, esp: &[EspFile]) -> Result<()> {
    match plan.kind {
        TargetKind::Device => {
            // The open with O_EXCL refuses a device that was mounted since the plan was made.
            put(sys, &open_device(&plan.target)?, &plan.target, &blank(plan.size))?;
            fill(sys, plan, &plan.target, staged, esp)
        }
        TargetKind::Raw => {
            let raw = new_disk(sys, plan, &plan.target)?;
            fill(sys, plan, raw.path(), staged, esp)?;
            publish(sys, raw, &plan.target)
        }
        TargetKind::Qcow2 => {
            let raw = new_disk(sys, plan, &plan.target.with_extension("raw"))?;
            fill(sys, plan, raw.path(), staged, esp)?;
            let packed = sys.new_file(&plan.target, 0o600)?;
            let mut convert = Command::new("qemu-img");
            convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(raw.path()).arg(packed.path());
            sys.run(&mut convert, b"")?;
            publish(sys, packed, &plan.target)
        }
    }
}

fn new_disk(sys: &Sys, plan: &DiskPlan, target: &Path) -> Result<NewFile> {
    let new = sys.new_file(target, 0o600)?;
    sys.set_len(new.file(), new.path(), plan.size)?;
    Ok(new)
}

/// Everything that lies on the disk, durable at the end.
fn fill(sys: &Sys, plan: &DiskPlan, disk: &Path, staged: &Path, esp: &[EspFile]) -> Result<()> {
    sys.run(&mut make_root(plan, disk, staged), b"")?;
    let file = OpenOptions::new().read(true).write(true).open(disk);
    let file = file.map_err(|source| Error::Inspect { path: disk.to_owned(), source })?;
    // Root durable before the table that names it, the table before what the firmware starts.
    sys.sync(&file, disk)?;
    put(sys, &file, disk, &table(plan)?)?;
    let fat = Fat::format(sys, disk, plan.esp)?;
    fat.write(esp)?;
    sys.sync(&file, disk)?;
    fat.check(esp)
}

fn put(sys: &Sys, file: &std::fs::File, disk: &Path, pieces: &[Piece]) -> Result<()> {
    for (offset, bytes) in pieces {
        sys.write_at(file, disk, bytes, *offset)?;
    }
    Ok(sys.sync(file, disk)?)
}

/// `-O verity` for fs-verity; blocks of 4096 bytes because small file systems get others by default.
fn make_root(plan: &DiskPlan, disk: &Path, staged: &Path) -> Command {
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-t", ROOT_FS, "-b", &BLOCK.to_string(), "-O", "verity", "-m", "1", "-L", "cfs-root", "-F"]);
    command.arg("-N").arg(plan.inodes.to_string());
    command.arg("-E").arg(format!("offset={},root_owner=0:0,nodiscard", plan.root.offset));
    command.arg("-d").arg(staged).arg(disk).arg((plan.root.size / BLOCK).to_string());
    command
}

/// Gives the file its name. If it has the name but not for sure durably, the name goes again.
fn publish(sys: &Sys, new: NewFile, target: &Path) -> Result<()> {
    let ours = inode(new.path());
    new.publish(sys).map_err(|error| {
        if ours.is_some() && inode(target) == ours {
            // The first error is the one that counts.
            let _ = sys.remove_file(target);
        }
        Error::Sys(error)
    })
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
