//! `cfs-host image rm`.

use serde::Serialize;

use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::flow::images::remove;
use crate::sys::Sys;

/// Let images go: their tags are removed, and `cfs-host prune` frees what nothing else needs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// References, or digests: then all references of that image
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    sysroot: Sysroot,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Removed {
    removed: Vec<String>,
}

/// Removes, tells.
pub fn run(args: Args) -> anyhow::Result<()> {
    let removed = remove(&args.sysroot.store()?, &Sys::from_env()?, &args.images)?;
    match args.json {
        true => print_json("ImageRemove", &Removed { removed })?,
        false => removed.iter().for_each(|tag| println!("Removed {}", crate::ui::plain(tag))),
    }
    Ok(())
}
