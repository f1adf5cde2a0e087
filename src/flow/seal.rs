//! fetch ► import ► image ► seal ► trust ► push: an image becomes a sealed one.

use anyhow::Context;
use serde::Serialize;

use super::bound;
use super::import::Imported;
use super::sign::sign;
use super::uki::{self, Ingredients, SignedUki};
use super::verify::{self, uki_paths, Signatures, Trust};
use super::workshop::{meta, Workshop};
use crate::fetch::{Options, Source};
use crate::image::{Node, Tree};
use crate::model::arch::Arch;
use crate::model::reference::Reference;
use crate::model::{Digest, UkiId};
use crate::seal::files::ImageFiles;
use crate::seal::kernel::MODULES_DIR;
use crate::seal::layer::{self, Contents};
use crate::seal::{efi, manifest, LOADER_DIR, UKI_FILE};
use crate::sys::Sys;
use crate::trust::signer::Signer;

/// Media type of the layer that is added.
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a seal is made with.
pub struct Request<'a> {
    /// Where the sealed image goes.
    pub destination: &'a Reference,
    /// How to get there.
    pub options: &'a Options,
    /// What the UKI is made with; its signer signs the loader too.
    pub uki: &'a Ingredients<'a>,
    /// Signs image and configuration.
    pub image: &'a dyn Signer,
    /// The new layer's time; that of the image's newest file if absent.
    pub epoch: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    /// Where it is.
    pub reference: String,
    /// Its manifest.
    pub manifest_digest: String,
    /// What is signed.
    pub image: Digest,
    /// Which UKI may boot it.
    pub uki_id: UkiId,
    /// The kernel's version.
    pub kernel: String,
    /// The command line.
    pub cmdline: String,
    /// Modules of the initrd, in order.
    pub modules: Vec<String>,
    /// Directories that the image lacked.
    pub added_directories: Vec<String>,
    /// References of the container images that it binds.
    pub bound_images: Vec<String>,
    /// Why no host would take what it binds.
    pub not_bindable: Option<String>,
    /// Signatures that the policy still wants (`cfs-host sign --append`).
    pub missing_signatures: u8,
}

/// Seals an image. Nothing is published unless the result verifies with the code that boots it.
pub fn seal(source: &dyn Source, request: &Request<'_>, sys: &Sys) -> anyhow::Result<Sealed> {
    let workshop = Workshop::new(request.destination, request.options.limits, sys)?;
    let base_meta = source.image().clone();
    let arch = uki::arch(&base_meta)?;
    let mut layers = workshop.copy_layers(source, sys)?;
    let base = workshop.import(base_meta, &layers, sys)?;

    let files = ImageFiles { tree: &base.tree, store: &workshop.store };
    let uki = uki::of_image(&files, arch, request.uki)?;
    let contents = boot_files(&files, arch, &uki, request.uki)?;
    let mtime = request.epoch.unwrap_or_else(|| newest(&base.tree));
    let added = layer::build(&contents, mtime)?;
    layers.push(workshop.layout.put(LAYER_TYPE, &mut added.blob.as_slice(), sys)?);

    let created = base.meta.config.created().clone().unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
    let config = manifest::config(&base.meta.config_bytes, &added.diff_id, &created)?;
    let unsigned = manifest::manifest(&base.meta.manifest_bytes, &config, &layers, None)?;
    let whole = workshop.import(meta(request.destination, unsigned, config.clone())?, &layers, sys)?;
    let made = sign(&whole, &workshop.store, &uki.policy, request.image)?;
    let signed = manifest::manifest(&base.meta.manifest_bytes, &config, &layers, Some(&made))?;
    let whole = Imported { meta: meta(request.destination, signed, config)?, ..whole };

    // The chain, as `image verify` and `/init` follow it.
    let trust = Trust {
        policy: Some(request.uki.policy.clone()),
        db: vec![request.uki.signer.certificate().clone()],
        signatures: Signatures::First,
    };
    let (bound_images, not_bindable) = match bound::named(&files) {
        Ok(named) => (named.into_iter().map(|named| named.reference.to_string()).collect(), None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    let report = verify::examine(&whole, &workshop.store, &trust);
    report.require().context("the new seal does not verify, so nothing was published")?;
    workshop.publish(&whole.meta, request.destination, request.options, sys)?;
    Ok(Sealed {
        reference: request.destination.to_string(),
        manifest_digest: whole.meta.manifest_digest.to_string(),
        image: made.bootable,
        uki_id: uki.policy.uki_id,
        kernel: uki.kernel,
        cmdline: uki.policy.cmdline.clone(),
        modules: uki.policy.files.iter().map(|file| file.path.clone()).collect(),
        added_directories: contents.directories,
        bound_images,
        not_bindable,
        missing_signatures: uki.policy.threshold - 1,
    })
}

/// What goes into the new layer.
fn boot_files(
    files: &ImageFiles<'_>,
    arch: Arch,
    uki: &SignedUki,
    ingredients: &Ingredients<'_>,
) -> anyhow::Result<Contents> {
    let loader = uki::systemd_file(files, arch.systemd_boot)?;
    let loader = efi::sign("systemd-boot", &loader, ingredients.signer)?;
    let uki_path = format!("{MODULES_DIR}/{}/{UKI_FILE}", uki.kernel);
    let mut contents = Contents { directories: missing_directories(files.tree), files: Vec::new() };
    // A UKI of an older seal for another kernel would be a second one: it is whited out.
    for stale in uki_paths(files).iter().filter(|path| **path != uki_path) {
        contents.files.push((stale.replace(UKI_FILE, &format!(".wh.{UKI_FILE}")), Vec::new()));
    }
    contents.files.push((uki_path, uki.bytes.clone()));
    contents.files.push((format!("{LOADER_DIR}/{}", arch.systemd_boot), loader));
    Ok(contents)
}

/// Directories that every bootable image has and this one lacks.
fn missing_directories(tree: &Tree) -> Vec<String> {
    let wanted = ["boot", "sysroot", "usr/lib/cfs-host", LOADER_DIR];
    let missing = wanted.iter().filter(|path| !matches!(tree.get(path), Some((Node::Directory, _))));
    missing.map(|path| (*path).to_owned()).collect()
}

fn newest(tree: &Tree) -> u64 {
    let times = tree.walk("").into_iter().map(|(_, _, stat)| stat.mtime);
    times.max().and_then(|time| u64::try_from(time).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
