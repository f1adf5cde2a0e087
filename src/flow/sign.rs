//! image ► trust: signatures on an image that holds a UKI already: made anew, or one more beside the others.

use anyhow::Context;
use cfs_init::policy::Policy;
use serde::Serialize;

use super::import::Imported;
use super::verify::{self, bootable_image, Signatures, Trust};
use super::workshop::{meta, Workshop};
use crate::boot::uki;
use crate::fetch::{Options, Source};
use crate::model::reference::Reference;
use crate::model::{Claims, Role};
use crate::seal::annotations::{sealed_layers, Seal, UkiHint};
use crate::seal::files::ImageFiles;
use crate::seal::manifest;
use crate::store::Store;
use crate::sys::Sys;
use crate::trust::cms;
use crate::trust::fsverity::digest_of;
use crate::trust::signer::Signer;

/// From where to where, by whom, and whom the caller trusts.
pub struct Request<'a> {
    /// Where the signed image goes.
    pub destination: &'a Reference,
    /// How to get there.
    pub options: &'a Options,
    /// Signs image and configuration.
    pub signer: &'a dyn Signer,
    /// What the result must satisfy beyond the policy of the image's UKI.
    pub trust: Trust,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// Where it is.
    pub reference: String,
    /// Its manifest.
    pub manifest_digest: String,
}

/// Signs anew an image that holds its signed UKI and loader, from an earlier seal or from its Containerfile.
/// The claims are those of the UKI's policy; nothing is published unless the result verifies.
pub fn anew(source: &dyn Source, request: &Request<'_>, sys: &Sys) -> anyhow::Result<Signed> {
    let workshop = Workshop::new(request.destination, request.options.limits, sys)?;
    let base = source.image().clone();
    let layers = workshop.copy_layers(source, sys)?;
    let image = workshop.import(base, &layers, sys)?;
    let policy = verify::uki_policy(&ImageFiles { tree: &image.tree, store: &workshop.store })?;
    let made = sign(&image, &workshop.store, &policy, request.signer)?;
    let config = image.meta.config_bytes.clone();
    let bytes = manifest::manifest(&image.meta.manifest_bytes, &config, &layers, Some(&made))?;
    let image = Imported { meta: meta(request.destination, bytes, config)?, ..image };
    require(&image, &workshop.store, &request.trust).context("the new signature does not verify")?;
    publish(&workshop, &image, request, sys)
}

/// Adds a signer to both signatures of a sealed image. What is signed is computed and verified first; the claims are
/// those of the first signer.
pub fn append(source: &dyn Source, request: &Request<'_>, sys: &Sys) -> anyhow::Result<Signed> {
    let workshop = Workshop::new(request.destination, request.options.limits, sys)?;
    let base = source.image().clone();
    let layers = workshop.copy_layers(source, sys)?;
    let named = base.manifest.layers().iter().map(|layer| layer.digest().to_string());
    if !named.eq(layers.iter().map(|layer| layer.digest.clone())) {
        return Err(OtherLayers(base.reference.to_string()).into());
    }
    let image = workshop.import(base, &layers, sys)?;
    require(&image, &workshop.store, &request.trust)?;
    let old = Seal::read(&image.meta.manifest)?.context("the image lost its seal while it was read")?;
    let new = Seal {
        signature: cms::append(&old.signature, request.signer)?,
        config_signature: cms::append(&old.config_signature, request.signer)?,
        ..old
    };
    let bytes = manifest::with_seal(&image.meta.manifest_bytes, &new)?;
    let config = image.meta.config_bytes.clone();
    let image = Imported { meta: meta(request.destination, bytes, config)?, ..image };
    publish(&workshop, &image, request, sys)
}

/// Computes both images' digests and signs what the claims say of them.
pub fn sign(image: &Imported, store: &Store, policy: &Policy, signer: &dyn Signer) -> anyhow::Result<Seal> {
    let claims = |role, digest, uki_ids| Claims {
        role,
        product: policy.product.clone(),
        security_version: policy.security_version,
        digest,
        uki_ids,
    };
    let (_, uki) = verify::only_uki(&ImageFiles { tree: &image.tree, store })?;
    let plain = image.tree.write_plain(&mut std::io::sink())?;
    let bootable = bootable_image(&image.tree, store)?.digest;
    let config = digest_of(&image.meta.config_bytes);
    let image_claims = claims(Role::HostBootable, bootable, vec![policy.uki_id]);
    let config_claims = claims(Role::HostConfig, config, vec![]);
    Ok(Seal {
        plain,
        bootable,
        signature: cms::sign(&image_claims, signer)?,
        config,
        config_signature: cms::sign(&config_claims, signer)?,
        sealed_layers: sealed_layers(image.meta.config.rootfs().diff_ids()),
        uki: Some(UkiHint { sha256: uki::sha256(&uki), size: uki.len() as u64 }),
    })
}

/// Verified as at boot, but for the signatures that are still to come.
fn require(image: &Imported, store: &Store, trust: &Trust) -> anyhow::Result<()> {
    let trust = Trust { signatures: Signatures::First, ..trust.clone() };
    verify::examine(image, store, &trust).require()?;
    Ok(())
}

fn publish(workshop: &Workshop, image: &Imported, request: &Request<'_>, sys: &Sys) -> anyhow::Result<Signed> {
    workshop.publish(&image.meta, request.destination, request.options, sys)?;
    let manifest_digest = image.meta.manifest_digest.to_string();
    Ok(Signed { reference: request.destination.to_string(), manifest_digest })
}

/// podman's storage keeps layers unpacked, so its manifest names blobs that are not there.
#[derive(Debug, thiserror::Error)]
#[error("{0} does not hold the blobs that its manifest names; sign the image in its registry or OCI layout")]
pub struct OtherLayers(String);
