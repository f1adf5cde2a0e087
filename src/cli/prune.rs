//! `cfs-host prune`.

use std::path::PathBuf;

use super::print_json;
use super::update::PATIENCE;
use crate::flow::host::Host;
use crate::flow::prune::{look, prune, Wish, KEEP};
use crate::model::DeploymentId;
use crate::sys::Sys;
use crate::ui;

/// Remove deployments that are not needed, and what only they used
///
/// Never the one that runs, the default, the one before it, a pinned or a staged one, the one on trial, or one of which something is
/// mounted. While anything that may need them cannot be read, UKIs or objects stay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Good deployments to keep beside the pinned; the two newest always stay
    #[arg(long, value_name = "N", default_value_t = KEEP, conflicts_with = "only")]
    keep: usize,
    /// Show what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    /// Remove these deployments and no others
    #[arg(value_name = "ID")]
    only: Vec<DeploymentId>,
}

/// Shows, or removes and tells.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (sys, host) = (Sys::from_env()?, Host::open(&args.root)?);
    let wish = Wish { keep: args.keep, only: args.only };
    let pruned = match args.dry_run {
        true => look(&host, &host.esp(&sys)?, &wish)?,
        false => {
            let _lock = host.lock(&sys, "prune", PATIENCE, &|text| eprintln!("{text}"))?;
            prune(&host, &sys, &host.esp(&sys)?, &wish)?
        }
    };
    match args.json {
        true => print_json("Prune", &pruned)?,
        false => print!("{}", ui::prune::pruned(&pruned)),
    }
    Ok(())
}
