//! `cfs-host storage`: what is stored, and for whom.

use clap::Subcommand;

use super::print_json;
use super::sysroot::Sysroot;
use crate::fetch::podman_storage;
use crate::flow::storage::usage;
use crate::sys::Sys;
use crate::ui;

/// Show what the store and podman's storage take together
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Df(Df),
}

/// Show what deployments, pulled images and podman's layers would take apart, and what they take
///
/// Sizes are space on disk. What is shared is stored once: by hard link where an object is podman's file, by reflink where the file
/// system says that a file elsewhere has the same bytes. podman's storage is the one of storage.conf.
#[derive(Debug, clap::Args)]
struct Df {
    #[command(flatten)]
    sysroot: Sysroot,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Calls the verb.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Verb::Df(Df { sysroot, json }) = args.verb;
    let podman = podman_storage()?;
    let all = usage(&sysroot.store()?, sysroot.path(), podman.as_deref(), &Sys::from_env()?)?;
    match json {
        true => print_json("StorageUse", &all)?,
        false => print!("{}", ui::storage::usage(&all)),
    }
    Ok(())
}
