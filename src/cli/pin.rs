//! `cfs-host pin`.

use std::path::PathBuf;

/// Keep a deployment, whatever `prune` would do
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
