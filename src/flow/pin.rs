//! pin: deployments that prune leaves alone.

use super::host::Host;
use crate::model::DeploymentId;
use crate::sys::Sys;

/// Pins a deployment, or ends that. Gives whether anything changed. The caller holds the lock.
pub fn pin(host: &Host, sys: &Sys, id: &DeploymentId, pinned: bool) -> anyhow::Result<bool> {
    let _ = (host, sys, id, pinned);
    todo!()
}
