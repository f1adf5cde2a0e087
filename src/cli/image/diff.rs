//! `cfs-host image diff`.

use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::cli::transport::Transport;
use crate::fetch::Options;
use crate::flow::images::{diff, Finder};
use crate::sys::Sys;
use crate::ui;

/// Compare two images by path: content, type, mode, owner, time, links and attributes
///
/// Each is an image of the store (reference or digest), else one to fetch. The digest of an EROFS image works too: so the image that was
/// sealed can be compared with the one that a registry has now.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first
    from: String,
    /// The second
    to: String,
    #[command(flatten)]
    sysroot: Sysroot,
    #[command(flatten)]
    transport: Transport,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Compares; that they differ is no error.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (store, options, sys) = (args.sysroot.store_if_any()?, Options::from(args.transport), Sys::from_env()?);
    let finder = Finder { store: store.as_ref(), options: &options, sys: &sys };
    let compared = diff(&finder, &args.from, &args.to)?;
    match args.json {
        true => print_json("ImageDiff", &compared)?,
        false => print!("{}", ui::image::compared(&compared)),
    }
    Ok(())
}
