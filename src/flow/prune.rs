//! prune: deployments that are not needed go, and what only they used.
//!
//! Observe, plan, apply. Never the booted, the default, one of the two newest good ones, a pinned, a staged one, the one on trial, or one
//! of which something is mounted. What cannot be read stops the removal of what it might need, and is told.
//! On disk: entries ► UKIs that no entry names ► directories ► the store's names ► objects.

mod decide;
mod observe;
mod room;
mod store_only;

use std::collections::BTreeSet;

use super::host::Host;
use crate::boot::running_esp::RunningEsp;
use crate::deploy::layout;
use crate::model::prune::{Because, Pruned};
use crate::model::DeploymentId;
use crate::store::{self, Garbage};
use crate::sys::Sys;
pub use decide::Also;
use decide::Going;
use observe::Observed;
pub use observe::{deployments, Directory};
pub use room::Need;
use room::{Free, Short};
pub use store_only::{look_at_store, prune_store};

/// Good deployments that stay beside the pinned: the default and the one before it.
pub const KEEP: usize = 2;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Good deployments that stay beside the pinned.
    pub keep: usize,
    /// These go and no others; empty: all that may.
    pub only: Vec<DeploymentId>,
}

impl Default for Wish {
    fn default() -> Self {
        Self { keep: KEEP, only: Vec::new() }
    }
}

/// What will go.
#[derive(Clone, Debug)]
struct Plan {
    observed: Observed,
    gone: Vec<Going>,
    /// What the store keeps as well.
    also: Also,
}

/// What [`prune`] would remove. Reads only.
pub fn look(host: &Host, esp: &RunningEsp, wish: &Wish) -> anyhow::Result<Pruned> {
    plan(host, esp, wish)?.foresee(host)
}

/// Removes deployments that are not needed, and what only they used. The caller holds the lock.
pub fn prune(host: &Host, sys: &Sys, esp: &RunningEsp, wish: &Wish) -> anyhow::Result<Pruned> {
    plan(host, esp, wish)?.apply(host, sys, esp)
}

/// Which deployments an update will remove for room, oldest first; fails if even that does not make enough. Reads only.
pub fn room_for(host: &Host, esp: &RunningEsp, need: &Need) -> anyhow::Result<Vec<DeploymentId>> {
    let (observed, staged) = Observed::of(host, esp)?.after_unstage();
    let plan = room::plan(observed, &host.store()?, Free::of(host, esp)?, need, KEEP)?;
    Ok(staged.into_iter().chain(plan.gone.into_iter().map(|(id, _)| id)).collect())
}

/// Removes them, and what only they used; fails if that does not make enough. The caller holds the lock, and nothing is staged.
pub fn make_room(host: &Host, sys: &Sys, esp: &RunningEsp, need: &Need) -> anyhow::Result<Pruned> {
    let plan = room::plan(Observed::of(host, esp)?, &host.store()?, Free::of(host, esp)?, need, KEEP)?;
    let pruned = plan.apply(host, sys, esp)?;
    let short = Short::of(Free::of(host, esp)?, need, pruned.left_alone.clone());
    match short.is_none() {
        true => Ok(pruned),
        false => Err(short.refusal(&plan.observed).into()),
    }
}

fn plan(host: &Host, esp: &RunningEsp, wish: &Wish) -> anyhow::Result<Plan> {
    let observed = Observed::of(host, esp)?;
    let gone = match wish.only.is_empty() {
        true => observed.surplus(wish.keep),
        false => observed.chosen(&wish.only)?,
    };
    Ok(Plan { observed, gone, also: Also::default() })
}

impl Plan {
    fn ids(&self) -> BTreeSet<DeploymentId> {
        self.gone.iter().map(|(id, _)| id.clone()).collect()
    }

    /// The report, but for what only removing tells.
    fn report(&self) -> Pruned {
        let ids = self.ids();
        let because = |id: &DeploymentId, why: String| Because { deployment: id.to_string(), why };
        let stay = self.observed.must_stay();
        let why = |id: &DeploymentId| stay.get(id).map_or("it is good".to_owned(), |why| why.join(", "));
        let others = self.observed.all().into_iter().filter(|id| !ids.contains(id));
        Pruned {
            remove: self.gone.iter().map(|(id, why)| because(id, why.clone())).collect(),
            stay: others.map(|id| because(&id, why(&id))).collect(),
            entries: self.observed.entries_of(&ids).iter().map(ToString::to_string).collect(),
            ..Pruned::default()
        }
    }

    /// What [`Plan::apply`] would do.
    fn foresee(&self, host: &Host) -> anyhow::Result<Pruned> {
        let mut pruned = Pruned { dry_run: true, ..self.report() };
        match self.observed.unnamed_ukis(&self.ids()) {
            Ok(ukis) => self.add_ukis(&mut pruned, ukis),
            Err(why) => pruned.left_alone.push(why),
        }
        match self.observed.roots(&self.ids(), &self.also) {
            Ok(roots) => add_garbage(&mut pruned, host.store()?.garbage(&roots))?,
            Err(why) => pruned.left_alone.push(why),
        }
        Ok(pruned)
    }

    fn apply(&self, host: &Host, sys: &Sys, esp: &RunningEsp) -> anyhow::Result<Pruned> {
        let (ids, mut pruned) = (self.ids(), self.report());
        for name in self.observed.entries_of(&ids) {
            esp.remove_entry(sys, &name)?;
        }
        match self.observed.needed_ukis(&ids) {
            Ok(needed) => self.add_ukis(&mut pruned, esp.remove_unnamed_ukis(sys, &needed)?),
            Err(why) => pruned.left_alone.push(why),
        }
        esp.remove_leftovers(sys)?;
        host.publish_entries(sys, esp)?;
        for id in &ids {
            layout::remove(sys, &host.sysroot(), id)?;
        }
        layout::remove_leftovers(sys, &host.sysroot())?;
        match self.observed.roots(&self.ids(), &self.also) {
            Ok(roots) => add_garbage(&mut pruned, host.store()?.sweep(sys, &roots))?,
            Err(why) => pruned.left_alone.push(why),
        }
        Ok(pruned)
    }

    fn add_ukis(&self, pruned: &mut Pruned, ukis: Vec<String>) {
        pruned.uki_bytes = ukis.iter().filter_map(|name| self.observed.ukis.get(name)).sum();
        pruned.ukis = ukis;
    }
}

/// What went from the store. That it refused is told; that it failed is an error.
fn add_garbage(pruned: &mut Pruned, swept: store::Result<Garbage>) -> store::Result<()> {
    match swept {
        Ok(garbage) => {
            pruned.object_bytes = garbage.bytes();
            (pruned.images, pruned.streams) = (garbage.images.len(), garbage.streams.len());
            pruned.objects = garbage.objects.len();
        }
        Err(store::Error::Sys(error)) => return Err(error.into()),
        Err(error) => pruned.left_alone.push(format!("nothing is removed from the store: {error}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
