//! `cfs-host rollback`.

use std::path::PathBuf;

/// Boot an earlier deployment by default
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
