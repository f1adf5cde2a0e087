//! A FAT32 file system at an offset of a disk, written with mtools: no mount, no loop device, no vfat.

use std::path::Path;
use std::process::Command;

use super::geometry::sectors_per_cluster;
use super::gpt_table::SECTOR;
use super::{Error, Result};
use crate::boot::esp::{directories, EspFile};
use crate::model::disk::Span;
use crate::sys::{Output, Sys};

/// The ESP of a disk that is being made.
pub struct Fat<'a> {
    sys: &'a Sys,
    disk: &'a Path,
    span: Span,
}

impl<'a> Fat<'a> {
    /// Makes an empty file system.
    pub fn format(sys: &'a Sys, disk: &'a Path, span: Span) -> Result<Self> {
        let fat = Self { sys, disk, span };
        let number = |value: u64| value.to_string();
        let (sectors, hidden) = (number(span.size / SECTOR), number(span.offset / SECTOR));
        let cluster = number(sectors_per_cluster(span.size));
        let geometry = ["-F", "-h", "64", "-s", "32", "-v", "ESP", "-T", &sectors, "-H", &hidden, "-c", &cluster];
        fat.run("mformat", &geometry, "", b"")?;
        Ok(fat)
    }

    /// Writes the files in order, with the directories that they need.
    pub fn write(&self, files: &[EspFile]) -> Result<()> {
        for directory in directories(files) {
            self.run("mmd", &[], &directory, b"")?;
        }
        for file in files {
            self.run("mcopy", &["-"], &file.path, &file.bytes)?;
        }
        Ok(())
    }

    /// Reads every file back and compares.
    pub fn check(&self, files: &[EspFile]) -> Result<()> {
        for file in files {
            if self.run("mtype", &[], &file.path, b"")?.stdout != file.bytes {
                return Err(Error::ReadBack { disk: self.disk.to_owned(), path: file.path.clone() });
            }
        }
        Ok(())
    }

    fn run(&self, program: &str, arguments: &[&str], path: &str, input: &[u8]) -> Result<Output> {
        let mut image = self.disk.as_os_str().to_owned();
        image.push(format!("@@{}", self.span.offset));
        let mut command = Command::new(program);
        // No settings of the user's: drive letters, conversions and checks are ours to say.
        command.env("MTOOLSRC", "/dev/null").env("MTOOLS_SKIP_CHECK", "1").env("LC_ALL", "C.UTF-8");
        command.arg("-i").arg(image).args(arguments).arg(format!("::/{path}"));
        Ok(self.sys.run(&mut command, input)?)
    }
}
