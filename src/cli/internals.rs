//! `cfs-host internals`.

use std::path::PathBuf;

/// Steps that the units of cfs-host run
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Not written yet.
pub fn run(args: Args) -> anyhow::Result<()> {
    let _ = args.root;
    todo!()
}
