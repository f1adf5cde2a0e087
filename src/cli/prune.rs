//! `cfs-host prune`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::print_json;
use super::update::PATIENCE;
use crate::flow::host::Host;
use crate::flow::prune::{look, look_at_store, prune, prune_store as store_only, Wish, KEEP};
use crate::flow::Refused;
use crate::model::prune::Pruned;
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
    /// Prune the store in DIR/composefs alone: of a disk that does not run here, or of a directory that is no host. Tags and all
    /// deployments of DIR keep what they need
    #[arg(long, value_name = "DIR", conflicts_with_all = ["keep", "only"])]
    sysroot: Option<PathBuf>,
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    /// Remove these deployments and no others
    #[arg(value_name = "ID")]
    only: Vec<DeploymentId>,
}

/// Shows, or removes and tells.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let pruned = match &args.sysroot {
        Some(sysroot) => prune_store(sysroot, &args, &sys)?,
        None => prune_host(&args, &sys)?,
    };
    match args.json {
        true => print_json("Prune", &pruned)?,
        false => print!("{}", ui::prune::pruned(&pruned)),
    }
    Ok(())
}

fn prune_host(args: &Args, sys: &Sys) -> anyhow::Result<Pruned> {
    let host = Host::open(&args.root)?;
    let wish = Wish { keep: args.keep, only: args.only.clone() };
    match args.dry_run {
        true => look(&host, &host.esp(sys)?, &wish),
        false => {
            let _lock = host.lock(sys, "prune", PATIENCE, &|text| eprintln!("{text}"))?;
            prune(&host, sys, &host.esp(sys)?, &wish)
        }
    }
}

/// The running host's own store is pruned with the host: what it is about to start is known there alone.
fn prune_store(sysroot: &Path, args: &Args, sys: &Sys) -> anyhow::Result<Pruned> {
    if let Ok(host) = Host::read(&args.root) {
        if same_directory(&host.sysroot(), sysroot) {
            let why = "this is the store of the host that runs: `cfs-host prune` without --sysroot prunes it";
            return Err(Refused(why.to_owned()).into());
        }
    }
    match args.dry_run {
        true => look_at_store(sysroot),
        false => store_only(sysroot, sys),
    }
}

fn same_directory(one: &Path, two: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some() && identity(one) == identity(two)
}
