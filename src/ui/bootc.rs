//! The state of a host as bootc's document: apiVersion org.containers.bootc/v1, kind BootcHost.
//!
//! For programs that ask `bootc status --json` (greenboot, dnf, cockpit). Shape and meaning of each field:
//! bootc's published schema (host-v1); what is other here is in `docs/coming-from-bootc.md`.

use serde_json::{json, Value};

use crate::model::arch;
use crate::model::reference::Reference;
use crate::model::status::{Deployment, Status};

/// The document. `booted_only`: what does not run is left out.
pub fn host(status: &Status, booted_only: bool) -> Value {
    let all = &status.deployments;
    let find = |test: &dyn Fn(&Deployment) -> bool| all.iter().find(|deployment| test(deployment));
    let booted = find(&|deployment| deployment.booted);
    let staged = find(&|deployment| deployment.staged);
    // After a rollback the other one is the default already, and waits for the restart.
    let rollback = find(&|deployment| deployment.default && !deployment.booted && !deployment.staged)
        .or_else(|| find(&|deployment| deployment.rollback_target && !deployment.booted && !deployment.staged));
    let next = status.next.as_ref().and_then(|next| next.deployment.as_ref());
    let queued = rollback.is_some_and(|rollback| next == Some(&rollback.id));
    let named = [booted, staged, rollback].map(|deployment| deployment.map(|deployment| &deployment.id));
    let others = all.iter().filter(|deployment| !booted_only && !named.contains(&Some(&deployment.id)));
    let entry = |deployment: Option<&Deployment>| deployment.map(|deployment| boot_entry(status, deployment));
    let other = |deployment: Option<&Deployment>| entry(deployment).filter(|_| !booted_only);
    let followed = staged.or(booted).and_then(|deployment| deployment.reference.as_deref());
    json!({
        "apiVersion": "org.containers.bootc/v1",
        "kind": "BootcHost",
        "metadata": { "name": "host" },
        "spec": {
            "image": followed.map(image_reference),
            "bootOrder": if queued { "rollback" } else { "default" },
        },
        "status": {
            "staged": other(staged),
            "booted": entry(booted),
            "rollback": other(rollback),
            "otherDeployments": others.map(|deployment| boot_entry(status, deployment)).collect::<Vec<_>>(),
            "rollbackQueued": queued,
            "type": booted.map(|_| "bootcHost"),
            "usrOverlay": null,
        },
    })
}

fn boot_entry(status: &Status, deployment: &Deployment) -> Value {
    let permissive = status.booted.as_ref().is_some_and(|booted| booted.mode != "enforce");
    let download_only = status.staged.as_ref().is_some_and(|staged| staged.download_only);
    let image = deployment.reference.as_deref().zip(deployment.manifest_digest.as_deref());
    json!({
        "image": image.map(|(reference, digest)| json!({
            "image": image_reference(reference),
            "version": deployment.image_version,
            "timestamp": deployment.image_created,
            "imageDigest": digest,
            "architecture": arch::native().map_or(std::env::consts::ARCH, |arch| arch.oci),
        })),
        "cachedUpdate": null,
        "incompatible": image.is_none(),
        "pinned": deployment.pinned,
        "softRebootCapable": false,
        "downloadOnly": deployment.staged && download_only,
        "store": null,
        "ostree": null,
        "composefs": deployment.image.map(|image| json!({
            "verity": image.to_hex(),
            "bootType": "Uki",
            "bootloader": "systemd",
            "bootDigest": null,
            "missingVerityAllowed": deployment.booted && permissive,
        })),
    })
}

/// A reference as bootc splits it.
fn image_reference(text: &str) -> Value {
    let (transport, image) = match text.parse::<Reference>() {
        Ok(Reference::Registry(name)) => ("registry", name),
        Ok(_) => text.split_once(':').map_or(("registry", text.to_owned()), |(kind, rest)| (kind, rest.to_owned())),
        Err(_) => ("registry", text.to_owned()),
    };
    json!({ "image": image, "transport": transport })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_as_bootc_does() {
        for (text, transport, image) in [
            ("docker://example.org/host:v1", "registry", "example.org/host:v1"),
            ("oci:/media/images:v1", "oci", "/media/images:v1"),
            ("containers-storage:localhost/host", "containers-storage", "localhost/host"),
        ] {
            assert_eq!(image_reference(text), json!({ "image": image, "transport": transport }));
        }
    }
}
