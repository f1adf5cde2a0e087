//! `cfs-host etc`.

use std::path::PathBuf;

/// What this machine changed in /etc
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
