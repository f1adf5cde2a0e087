//! `cfs-vm tamper`: damage a disk image, as its owner could.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cfs_vm::disk::Disk;
use clap::Subcommand;

/// Damage a raw disk image from outside, or look at it.
#[derive(clap::Args)]
pub struct Args {
    /// The raw disk image; it is changed in place, so give a copy.
    disk: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Invert one byte of a file of the root file system, where it lies on the disk.
    Flip {
        /// The file.
        path: String,
        /// Which byte.
        #[arg(long, default_value_t = 0)]
        at: u64,
    },
    /// Remove a file of the root file system.
    Remove {
        /// The file.
        path: String,
    },
    /// Write a file of the root file system.
    Write {
        /// The file.
        path: String,
        /// Where its new content is.
        from: PathBuf,
    },
    /// List a directory of the root file system.
    List {
        /// The directory.
        path: String,
    },
    /// Print a file of the root file system.
    Read {
        /// The file.
        path: String,
    },
    /// Write a file of the ESP.
    EspWrite {
        /// The file.
        path: String,
        /// Where its new content is.
        from: PathBuf,
    },
    /// Remove a file of the ESP.
    EspRemove {
        /// The file.
        path: String,
    },
    /// Print a file of the ESP.
    EspRead {
        /// The file.
        path: String,
    },
    /// List all files of the ESP.
    EspList,
    /// Replace the ESP by that of another disk.
    EspTransplant {
        /// The other disk.
        from: PathBuf,
    },
}

/// Does it.
pub fn run(args: &Args) -> Result<()> {
    let disk = Disk::open(&args.disk)?;
    match &args.what {
        What::Flip { path, at } => disk.root_flip(path, *at),
        What::Remove { path } => disk.root_remove(path),
        What::Write { path, from } => disk.root_write(path, &content(from)?),
        What::List { path } => print(disk.root_list(path)?.join("\n").as_bytes()),
        What::Read { path } => print(&disk.root_read(path)?),
        What::EspWrite { path, from } => disk.esp_write(path, &content(from)?),
        What::EspRemove { path } => disk.esp_remove(path),
        What::EspRead { path } => print(&disk.esp_read(path)?),
        What::EspList => print(disk.esp_list()?.join("\n").as_bytes()),
        What::EspTransplant { from } => disk.esp_transplant(&Disk::open(from)?),
    }
}

fn content(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    if bytes.last().is_some_and(|byte| *byte != b'\n') {
        out.write_all(b"\n")?;
    }
    Ok(())
}
