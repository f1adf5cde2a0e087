//! image ► trust: one more signature on an image that is sealed already, for policies that want several.

use anyhow::Context;
use oci_spec::image::ImageManifest;

use super::verify::{self, Signatures, Trust};
use super::workshop::{meta, Workshop};
use crate::fetch::{Options, Source};
use crate::model::reference::Reference;
use crate::seal::annotations::Seal;
use crate::seal::manifest;
use crate::sys::Sys;
use crate::trust::cms;
use crate::trust::signer::Signer;

/// Adds a signer to both signatures of a sealed image. What is signed is computed and verified first; the claims are
/// those of the first signer.
pub fn append(
    source: &mut dyn Source,
    destination: &Reference,
    options: &Options,
    trust: &Trust,
    signer: &dyn Signer,
    sys: &Sys,
) -> anyhow::Result<String> {
    let workshop = Workshop::new(destination, sys)?;
    let base = source.image().clone();
    let layers = workshop.copy_layers(source, sys)?;
    let named = base.manifest.layers().iter().map(|layer| layer.digest().to_string());
    if !named.eq(layers.iter().map(|layer| layer.digest.clone())) {
        return Err(OtherLayers(base.reference.to_string()).into());
    }
    let image = workshop.import(base, &layers, sys)?;
    let trust = Trust { signatures: Signatures::First, ..trust.clone() };
    verify::examine(&image, &workshop.store, &trust).require()?;
    let old: &ImageManifest = &image.meta.manifest;
    let old = Seal::read(old)?.context("the image lost its seal while it was read")?;
    let new = Seal {
        signature: cms::append(&old.signature, signer)?,
        config_signature: cms::append(&old.config_signature, signer)?,
        ..old
    };
    let bytes = manifest::with_seal(&image.meta.manifest_bytes, &new)?;
    let signed = meta(destination, bytes, image.meta.config_bytes.clone())?;
    workshop.publish(&signed, destination, options, sys)?;
    Ok(signed.manifest_digest.to_string())
}

/// podman's storage keeps layers unpacked, so its manifest names blobs that are not there.
#[derive(Debug, thiserror::Error)]
#[error("{0} does not hold the blobs that its manifest names; sign the image in its registry or OCI layout")]
pub struct OtherLayers(String);
