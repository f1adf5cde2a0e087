//! Room for an update: whether there will be enough, and what has to go for it.

use std::collections::BTreeSet;

use rustix::fs::statvfs;

use super::decide::Also;
use super::observe::Observed;
use super::Plan;
use crate::boot::running_esp::RunningEsp;
use crate::flow::host::Host;
use crate::flow::Refused;
use crate::model::DeploymentId;
use crate::store::Store;

/// What an update is going to need.
#[derive(Clone, Debug, Default)]
pub struct Need {
    /// Bytes on the ESP.
    pub esp: u64,
    /// Bytes in the store.
    pub store: u64,
    /// What it builds on, in the store, so that it need not fetch it again.
    pub keep: Also,
}

/// Free bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    pub esp: u64,
    pub store: u64,
}

impl Free {
    pub fn of(host: &Host, esp: &RunningEsp) -> anyhow::Result<Self> {
        let stat = statvfs(host.sysroot()).map_err(std::io::Error::from)?;
        Ok(Self { esp: esp.free()?, store: stat.f_bavail.saturating_mul(stat.f_frsize) })
    }
}

/// What is missing for an update: free and needed bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Short {
    esp: Option<(u64, u64)>,
    store: Option<(u64, u64)>,
    /// Why something that may be unneeded gives no room.
    left_alone: Vec<String>,
}

impl Short {
    pub fn of(free: Free, need: &Need, left_alone: Vec<String>) -> Self {
        let short = |free: u64, need: u64| (free < need).then_some((free, need));
        Self { esp: short(free.esp, need.esp), store: short(free.store, need.store), left_alone }
    }

    pub fn is_none(&self) -> bool {
        self.esp.is_none() && self.store.is_none()
    }

    /// What is missing, who has the room, and what to do.
    pub fn refusal(&self, observed: &Observed) -> Refused {
        let part = |name: &str, short: Option<(u64, u64)>| {
            short.map(|(free, need)| format!("{name} will have {free} bytes free and {need} are needed"))
        };
        let parts = [part("the EFI system partition", self.esp), part("the root file system", self.store)];
        let missing: Vec<String> = parts.into_iter().flatten().chain(self.left_alone.iter().cloned()).collect();
        let stay = observed.must_stay();
        let stay: Vec<String> = stay.iter().map(|(id, why)| format!("{id} ({})", why.join(", "))).collect();
        let pinned =
            observed.directories.iter().filter(|(_, directory)| directory.pinned).map(|(id, _)| id.to_string());
        let pinned: Vec<String> = pinned.collect();
        let help = match pinned.is_empty() {
            true => "make room by hand, or use a larger disk".to_owned(),
            false => {
                format!("end the pin of {} (`cfs-host pin --remove ID`), or make room by hand", pinned.join(" or "))
            }
        };
        let (missing, stay) = (missing.join("; "), stay.join(", "));
        Refused(format!(
            "no room for the update: once all is removed that may go, {missing}. These stay: {stay}. To go on: {help}"
        ))
    }
}

/// What goes for an update: all that is more than is kept anyway, and then as much as it needs, the oldest first.
pub(super) fn plan(observed: Observed, store: &Store, free: Free, need: &Need, keep: usize) -> anyhow::Result<Plan> {
    let mut gone = observed.surplus(keep);
    let known: BTreeSet<DeploymentId> = gone.iter().map(|(id, _)| id.clone()).collect();
    let mut more = observed.surplus(0).into_iter().filter(|(id, _)| !known.contains(id));
    loop {
        let ids = gone.iter().map(|(id, _)| id.clone()).collect();
        let short = shortage(&observed, store, free, need, &ids);
        if short.is_none() {
            return Ok(Plan { observed, gone, also: need.keep.clone() });
        }
        match more.next() {
            Some((id, _)) => gone.push((id, "an update needs its room".to_owned())),
            None => return Err(short.refusal(&observed).into()),
        }
    }
}

/// What is missing if these go. The store is looked through only if that matters.
fn shortage(observed: &Observed, store: &Store, free: Free, need: &Need, gone: &BTreeSet<DeploymentId>) -> Short {
    let mut left_alone = Vec::new();
    let mut room = free;
    match observed.unnamed_ukis(gone) {
        Ok(names) => {
            let freed: u64 = names.iter().filter_map(|name| observed.ukis.get(name)).sum();
            room.esp = room.esp.saturating_add(freed);
        }
        Err(why) => left_alone.push(why),
    }
    if room.store < need.store {
        let roots = observed.roots(gone, &need.keep);
        match roots.and_then(|roots| store.garbage(&roots).map_err(|error| error.to_string())) {
            Ok(garbage) => room.store = room.store.saturating_add(garbage.bytes()),
            Err(why) => left_alone.push(why),
        }
    }
    Short::of(room, need, left_alone)
}
