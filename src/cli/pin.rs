//! `cfs-host pin`: deployments that prune leaves alone.

use std::path::PathBuf;

use serde::Serialize;

use super::print_json;
use super::update::PATIENCE;
use crate::flow::host::Host;
use crate::flow::pin::pin;
use crate::model::DeploymentId;
use crate::sys::Sys;

/// Keep a deployment, whatever `prune` and updates would do
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The deployment; without, the one that runs
    id: Option<DeploymentId>,
    /// Keep it no longer
    #[arg(long)]
    remove: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What came of it.
#[derive(Serialize)]
struct Pinned {
    deployment: String,
    pinned: bool,
    changed: bool,
}

/// Pins, or ends that.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let host = Host::open(&args.root)?;
    let _lock = host.lock(&sys, "pin", PATIENCE, &|text| eprintln!("{text}"))?;
    let id = args.id.as_ref().unwrap_or(&host.deployment);
    let changed = pin(&host, &sys, id, !args.remove)?;
    match (args.json, args.remove) {
        (true, _) => print_json("Pin", &Pinned { deployment: id.to_string(), pinned: !args.remove, changed })?,
        (false, true) => println!("{id} is not pinned: updates may remove it"),
        (false, false) => println!("{id} is pinned: it stays until `cfs-host pin --remove {id}`"),
    }
    Ok(())
}
