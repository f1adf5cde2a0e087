//! fetch ► import ► image ► seal ► trust ► push: an image becomes a sealed one.

use anyhow::Context;
use serde::Serialize;

use super::import::Imported;
use super::report::Report;
use super::verify::{self, bootable_digest, uki_paths, Signatures, Trust};
use super::workshop::{meta, Workshop};
use crate::fetch::{Options, Source};
use crate::image::{Node, Tree};
use crate::model::arch::{self, Arch};
use crate::model::reference::Reference;
use crate::model::{Claims, Digest, Role, UkiId};
use crate::seal::annotations::{sealed_layers, Seal};
use crate::seal::files::{Files, ImageFiles};
use crate::seal::kernel::{self, MODULES_DIR};
use crate::seal::layer::{self, Contents};
use crate::seal::{efi, manifest, modules, uki, Error, LOADER_DIR, SYSTEMD_BOOT_DIR, UKI_FILE};
use crate::sys::Sys;
use crate::trust::cms;
use crate::trust::fsverity::digest_of;
use crate::trust::policy_file::LoadedPolicy;
use crate::trust::signer::Signer;

/// Media type of the layer that is added.
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What a seal is made with.
pub struct Request<'a> {
    /// Where the sealed image goes.
    pub destination: &'a Reference,
    /// How to get there.
    pub options: &'a Options,
    /// What the UKI's `/init` will obey.
    pub policy: &'a LoadedPolicy,
    /// Signs UKI and loader.
    pub secure_boot: &'a dyn Signer,
    /// Signs image and configuration.
    pub image: &'a dyn Signer,
    /// cfs-init, as built.
    pub init: &'a [u8],
    /// Kernel arguments after the fixed ones.
    pub arguments: &'a [String],
    /// Kernel modules that the initrd needs besides those that every one has.
    pub modules: &'a [String],
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
    /// Signatures that the policy still wants (`cfs-host sign --append`).
    pub missing_signatures: u8,
}

/// Seals an image. Nothing is published unless the result verifies with the code that boots it.
pub fn seal(source: &mut dyn Source, request: &Request<'_>, sys: &Sys) -> anyhow::Result<Sealed> {
    let workshop = Workshop::new(request.destination, sys)?;
    let base_meta = source.image().clone();
    let architecture = base_meta.config.architecture().to_string();
    let arch = arch::by_oci_name(&architecture).ok_or_else(|| Error::Missing {
        path: format!("architecture that cfs-host knows (it is for {architecture:?})"),
        hint: "amd64 and arm64 can be sealed".into(),
    })?;
    let mut layers = workshop.copy_layers(source, sys)?;
    let base = workshop.import(base_meta, &layers, sys)?;

    let files = ImageFiles { tree: &base.tree, store: &workshop.store };
    let boot = boot_files(&files, arch, request)?;
    let mtime = request.epoch.unwrap_or_else(|| newest(&base.tree));
    let added = layer::build(&boot.contents, mtime)?;
    layers.push(workshop.layout.put(LAYER_TYPE, &mut added.blob.as_slice(), sys)?);

    let created = base.meta.config.created().clone().unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
    let config = manifest::config(&base.meta.config_bytes, &added.diff_id, &created)?;
    let unsigned = manifest::manifest(&base.meta.manifest_bytes, &config, &layers, None)?;
    let whole = workshop.import(meta(request.destination, unsigned, config.clone())?, &layers, sys)?;
    let made = sign(&whole, &workshop, &boot.policy, request)?;
    let signed = manifest::manifest(&base.meta.manifest_bytes, &config, &layers, Some(&made))?;
    let whole = Imported { meta: meta(request.destination, signed, config)?, ..whole };

    let report = check(&whole, &workshop, request);
    report.require().context("the new seal does not verify, so nothing was published")?;
    workshop.publish(&whole.meta, request.destination, request.options, sys)?;
    Ok(Sealed {
        reference: request.destination.to_string(),
        manifest_digest: whole.meta.manifest_digest.to_string(),
        image: made.bootable,
        uki_id: boot.policy.uki_id,
        kernel: boot.kernel,
        cmdline: boot.policy.cmdline.clone(),
        modules: boot.policy.files.iter().map(|file| file.path.clone()).collect(),
        added_directories: boot.contents.directories,
        missing_signatures: boot.policy.threshold - 1,
    })
}

/// What goes into the new layer.
struct BootFiles {
    kernel: String,
    policy: cfs_init::policy::Policy,
    contents: Contents,
}

fn boot_files(files: &ImageFiles<'_>, arch: Arch, request: &Request<'_>) -> anyhow::Result<BootFiles> {
    let systemd = |name: &str| {
        let hint = "install the package systemd-boot-efi (systemd-boot on other distributions) in the Containerfile";
        files.require(&format!("{SYSTEMD_BOOT_DIR}/{name}"), hint)
    };
    let kernel = kernel::find(files)?;
    let modules = modules::collect(files, &kernel.version, &request.policy.file.root_fs, request.modules)?;
    let built = uki::build(&uki::Parts {
        stub: &systemd(arch.systemd_stub)?,
        osrel: &files.require("usr/lib/os-release", "every distribution has one")?,
        version: &kernel.version,
        kernel: &kernel.image,
        init: request.init,
        modules: &modules,
        arguments: request.arguments,
        policy: request.policy,
    })?;
    cfs_init::signature::check_signers(&built.policy).context("the policy's signers cannot sign images")?;
    let uki = efi::sign("the UKI", &built.bytes, request.secure_boot)?;
    let loader = efi::sign("systemd-boot", &systemd(arch.systemd_boot)?, request.secure_boot)?;
    let uki_path = format!("{MODULES_DIR}/{}/{UKI_FILE}", kernel.version);
    let mut contents = Contents { directories: missing_directories(files.tree), files: Vec::new() };
    // A UKI of an older seal for another kernel would be a second one: it is whited out.
    for stale in uki_paths(files).iter().filter(|path| **path != uki_path) {
        contents.files.push((stale.replace(UKI_FILE, &format!(".wh.{UKI_FILE}")), Vec::new()));
    }
    contents.files.push((uki_path, uki));
    contents.files.push((format!("{LOADER_DIR}/{}", arch.systemd_boot), loader));
    Ok(BootFiles { kernel: kernel.version, policy: built.policy, contents })
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

/// Computes both images' digests and signs what the claims say of them.
fn sign(
    whole: &Imported,
    workshop: &Workshop,
    policy: &cfs_init::policy::Policy,
    request: &Request<'_>,
) -> anyhow::Result<Seal> {
    let claims = |role, digest, uki_ids| Claims {
        role,
        product: policy.product.clone(),
        security_version: policy.security_version,
        digest,
        uki_ids,
    };
    let plain = whole.tree.plain_image()?.digest;
    let bootable = bootable_digest(&whole.tree, &workshop.store)?;
    let config = digest_of(&whole.meta.config_bytes);
    let image_claims = claims(Role::HostBootable, bootable, vec![policy.uki_id]);
    let config_claims = claims(Role::HostConfig, config, vec![]);
    Ok(Seal {
        plain,
        bootable,
        signature: cms::sign(&image_claims, request.image)?,
        config,
        config_signature: cms::sign(&config_claims, request.image)?,
        sealed_layers: sealed_layers(whole.meta.config.rootfs().diff_ids()),
    })
}

/// The chain, as `image verify` and `/init` follow it.
fn check(whole: &Imported, workshop: &Workshop, request: &Request<'_>) -> Report {
    let trust = Trust {
        policy: Some(request.policy.clone()),
        db: vec![request.secure_boot.certificate().clone()],
        signatures: Signatures::First,
    };
    verify::examine(whole, &workshop.store, &trust)
}

#[cfg(test)]
mod tests;
