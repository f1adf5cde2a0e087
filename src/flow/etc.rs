//! etc diff: the stored image's `/etc` ► the machine's ► what differs, and what waits for a person. Writes nothing, needs no root.

use anyhow::Context;

use super::host::Host;
use super::import::stored_tree;
use crate::etc;
use crate::model::etc::EtcDiff;

/// What this machine changed in `/etc` against the image that runs.
pub fn diff(host: &Host) -> anyhow::Result<EtcDiff> {
    let origin = host.origin(&host.deployment)?;
    let image = stored_tree(&host.store()?, &origin.manifest_digest)
        .context("the image that runs cannot be read, so its /etc is not known")?;
    let (machine, unreadable) = etc::readable(&host.etc())?;
    let (changes, waiting) = etc::report(&etc::of_image(&image), &machine, &unreadable);
    Ok(EtcDiff {
        deployment: host.deployment.to_string(),
        reference: origin.reference,
        changes,
        waiting,
        unreadable: unreadable.iter().map(|path| etc::shown(path)).collect(),
        staged_conflicts: host.staged()?.map(|staged| staged.etc_conflicts).unwrap_or_default(),
    })
}
