//! `cfs-host status`: what runs, and why it may be trusted.

use std::path::PathBuf;

use crate::flow::status::observe;
use crate::ui;

/// Show what was booted, who signed it, and what is odd. Needs no root
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Leave out the deployments that do not run
    #[arg(long)]
    booted: bool,
    /// Look at another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Always answers: what is missing is a condition.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut status = observe(&args.root);
    if args.booted {
        status.deployments.retain(|deployment| deployment.booted);
    }
    match args.json {
        true => print!("{}", ui::json(&status)?),
        false => print!("{}", ui::status::status(&status)),
    }
    Ok(())
}
