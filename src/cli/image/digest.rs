//! `cfs-host image digest`.

use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::cli::transport::Transport;
use crate::fetch::Options;
use crate::flow::images::{digests, Finder};
use crate::flow::Refused;
use crate::sys::Sys;

/// Compute an image's digest: what `seal` signs and a host verifies
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An image of the store (reference or digest), else one to fetch
    image: String,
    /// The bootable image's digest; else the plain one's, which is that of `composefs oci compute-id`
    #[arg(long)]
    bootable: bool,
    #[command(flatten)]
    sysroot: Sysroot,
    #[command(flatten)]
    transport: Transport,
    /// Print both as JSON
    #[arg(long)]
    json: bool,
}

/// Computes, prints.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (store, options, sys) = (args.sysroot.store_if_any()?, Options::from(args.transport), Sys::from_env()?);
    let found = digests(&Finder { store: store.as_ref(), options: &options, sys: &sys }, &args.image)?;
    if args.json {
        return print_json("ImageDigest", &found);
    }
    let digest = match (args.bootable, found.bootable_digest) {
        (false, _) => found.image_digest,
        (true, Some(digest)) => digest,
        (true, None) => return Err(Refused(found.not_bootable.unwrap_or_default()).into()),
    };
    println!("{digest}");
    Ok(())
}
