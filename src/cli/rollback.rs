//! `cfs-host rollback`: an earlier good deployment becomes the default.

use std::path::PathBuf;

use super::print_json;
use super::update::PATIENCE;
use crate::flow::host::Host;
use crate::flow::reboot::reboot;
use crate::flow::rollback::rollback;
use crate::model::DeploymentId;
use crate::sys::Sys;
use crate::ui;

/// Boot an earlier deployment by default: the one that was the default before, or the one that is named
///
/// Done twice it is undone. From a deployment that is still on trial it leads back to the last good one, and its image is
/// not taken again without `upgrade --force`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// This deployment (`cfs-host status` lists them)
    #[arg(long, value_name = "ID")]
    to: Option<DeploymentId>,
    /// Drop what is staged for the next restart
    #[arg(long)]
    discard_staged: bool,
    /// Restart into it
    #[arg(long)]
    apply: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Changes the default, and restarts if that was asked for and changes anything.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let host = Host::open(&args.root)?;
    let done = {
        let _lock = host.lock(&sys, "rollback", PATIENCE, &|text| eprintln!("{text}"))?;
        rollback(&host, &sys, args.to.as_ref(), args.discard_staged)?
    };
    match args.json {
        true => print_json("Rollback", &done)?,
        false => print!("{}", ui::update::rolled_back(&done)),
    }
    if args.apply && done.restart {
        reboot(&sys)?;
    }
    Ok(())
}
