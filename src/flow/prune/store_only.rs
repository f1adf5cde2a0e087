//! prune of a store alone: of a root file system that does not run here, or of a directory that is no host at all.
//!
//! Every deployment that lies beside the store stays, and what tags keep: only what nothing needs goes.

use std::path::Path;

use super::{add_garbage, deployments};
use crate::deploy::layout::REPOSITORY;
use crate::flow::bound::keep_with;
use crate::model::prune::{Because, Pruned};
use crate::store::{Roots, Store};
use crate::sys::Sys;

/// What [`prune_store`] would remove. Reads only.
pub fn look_at_store(sysroot: &Path) -> anyhow::Result<Pruned> {
    run(sysroot, None)
}

/// Removes what neither tags nor deployments need.
pub fn prune_store(sysroot: &Path, sys: &Sys) -> anyhow::Result<Pruned> {
    run(sysroot, Some(sys))
}

fn run(sysroot: &Path, sys: Option<&Sys>) -> anyhow::Result<Pruned> {
    let store = Store::open(&sysroot.join(REPOSITORY))?;
    let mut pruned = Pruned { dry_run: sys.is_none(), ..Pruned::default() };
    let mut roots = Roots::default();
    for (id, directory) in deployments(sysroot)? {
        let why = "only the store is looked at".to_owned();
        pruned.stay.push(Because { deployment: id.to_string(), why });
        match directory.origin {
            Ok(origin) => keep_with(&mut roots, &origin),
            Err(why) => pruned.left_alone.push(format!("nothing is removed from the store: {why}")),
        }
    }
    if pruned.left_alone.is_empty() {
        let garbage = match sys {
            Some(sys) => store.sweep(sys, &roots),
            None => store.garbage(&roots),
        };
        add_garbage(&mut pruned, garbage)?;
    }
    Ok(pruned)
}
