//! rollback: an earlier deployment becomes the default.

use super::host::Host;
use crate::model::DeploymentId;
use crate::sys::Sys;

/// What changed.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// The default before.
    pub before: Option<String>,
    /// The default now.
    pub now: String,
}

/// Promotes `to`, or the newest good deployment other than the default. Refuses while something is staged, unless it may be discarded.
/// The caller holds the lock.
pub fn rollback(host: &Host, sys: &Sys, to: Option<&DeploymentId>, discard_staged: bool) -> anyhow::Result<RolledBack> {
    let _ = (host, sys, to, discard_staged);
    todo!()
}
