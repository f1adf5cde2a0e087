//! `cfs-vm share`: host and containers with one store, on a booted host.

use anyhow::Result;
use cfs_vm::sharing;

use super::suite::Suite;

/// Show on booted hosts that podman and the host share what they have.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    suite: Suite,
}

/// Runs them; fails if any did not hold.
pub fn run(args: &Args) -> Result<()> {
    let all = sharing::all();
    if args.suite.list(&all) {
        return Ok(());
    }
    let bench = args.suite.bench();
    args.suite.run_days(&all, &bench)
}
