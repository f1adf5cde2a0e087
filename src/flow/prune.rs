//! prune: deployments that are not needed go, and what only they used.
//!
//! Observe, plan, apply. Never the booted, the default, the last good other one, a pinned or a staged one. What cannot be read stops all of it.

use super::host::Host;
use crate::boot::running_esp::RunningEsp;
use crate::model::DeploymentId;
use crate::sys::Sys;

/// Which deployments an update will remove for room, oldest first; fails if even that does not make enough. Reads only.
pub fn room_for(host: &Host, esp: &RunningEsp, esp_peak: u64, store_growth: u64) -> anyhow::Result<Vec<DeploymentId>> {
    let _ = (host, esp, esp_peak, store_growth);
    todo!()
}

/// Removes them, and what only they used. The caller holds the lock.
pub fn make_room(host: &Host, sys: &Sys, esp: &RunningEsp, esp_peak: u64, store_growth: u64) -> anyhow::Result<()> {
    let _ = (host, sys, esp, esp_peak, store_growth);
    todo!()
}
