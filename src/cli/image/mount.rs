//! `cfs-host image mount`.

use std::path::PathBuf;

use crate::cli::sysroot::Sysroot;
use crate::flow::images::{mount, Checking};
use crate::sys::{Sys, Verity};

/// Mount an image of the store, read-only; `umount DIR` ends that. Needs root
///
/// The kernel checks all that is read against the image's digest.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image: its reference or digest
    image: String,
    /// Where: an existing directory
    dir: PathBuf,
    /// The bootable image, with its labels and empty /boot; else the plain one
    #[arg(long)]
    bootable: bool,
    /// Mount it all the same where the file system has no fs-verity: then nothing is checked
    #[arg(long)]
    no_verity: bool,
    #[command(flatten)]
    sysroot: Sysroot,
}

/// Mounts; says so if nothing is checked.
pub fn run(args: Args) -> anyhow::Result<()> {
    let checking = if args.no_verity { Checking::Waived } else { Checking::Required };
    let (store, sys) = (args.sysroot.store()?, Sys::from_env()?);
    let (digest, verity) = mount(&store, &sys, &args.image, args.bootable, checking, &args.dir)?;
    if verity == Verity::Off {
        eprintln!(
            "warning: NOT VERIFIED: this file system has no fs-verity, nothing that is read from {} is checked",
            args.dir.display()
        );
    }
    println!("{digest}");
    Ok(())
}
