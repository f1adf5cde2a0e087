//! fetch ► import ► image ► seal: the UKI of an image, signed; inside a seal, or as a file of its own.

use std::path::Path;

use anyhow::Context;
use cfs_init::policy::Policy;
use serde::Serialize;

use super::import::{import, Keep};
use super::workshop::scratch_store;
use crate::fetch::{ImageMeta, Source};
use crate::model::arch::{self, Arch};
use crate::model::UkiId;
use crate::seal::files::{Files, ImageFiles};
use crate::seal::{efi, kernel, modules, uki, Error, SYSTEMD_BOOT_DIR};
use crate::sys::Sys;
use crate::trust::policy_file::LoadedPolicy;
use crate::trust::signer::Signer;

/// What a UKI is made with, besides the image's own files.
pub struct Ingredients<'a> {
    /// What its `/init` will obey.
    pub policy: &'a LoadedPolicy,
    /// Signs it for the firmware.
    pub signer: &'a dyn Signer,
    /// cfs-init, as built.
    pub init: &'a [u8],
    /// Kernel arguments after the fixed ones.
    pub arguments: &'a [String],
    /// Kernel modules that the initrd needs besides those that every one has.
    pub modules: &'a [String],
}

/// A UKI that firmware starts.
pub struct SignedUki {
    /// The PE file.
    pub bytes: Vec<u8>,
    /// The kernel's version.
    pub kernel: String,
    /// The policy inside.
    pub policy: Policy,
}

/// What `uki build` made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// Its identity.
    pub uki_id: UkiId,
    /// The kernel's version.
    pub kernel: String,
    /// The command line.
    pub cmdline: String,
    /// Modules of the initrd, in order.
    pub modules: Vec<String>,
}

/// Builds and signs the UKI that `seal` would put into this image, and writes it to a file.
pub fn build(source: &dyn Source, ingredients: &Ingredients<'_>, output: &Path, sys: &Sys) -> anyhow::Result<Built> {
    let arch = arch(source.image())?;
    let (store, _scratch) = scratch_store(sys)?;
    let image = import(source, &store, sys, Keep::Tagged, &|_| ())?;
    let made = of_image(&ImageFiles { tree: &image.tree, store: &store }, arch, ingredients)?;
    sys.write_file(output, &made.bytes, 0o644)?;
    Ok(Built {
        uki_id: made.policy.uki_id,
        kernel: made.kernel,
        cmdline: made.policy.cmdline,
        modules: made.policy.files.into_iter().map(|file| file.path).collect(),
    })
}

/// The UKI of an image; equal images and ingredients give equal bytes.
pub fn of_image(files: &dyn Files, arch: Arch, ingredients: &Ingredients<'_>) -> anyhow::Result<SignedUki> {
    let kernel = kernel::find(files)?;
    let root_fs = &ingredients.policy.file.root_fs;
    let modules = modules::collect(files, &kernel.version, root_fs, ingredients.modules)?;
    let built = uki::build(&uki::Parts {
        stub: &systemd_file(files, arch.systemd_stub)?,
        osrel: &files.require("usr/lib/os-release", "every distribution has one")?,
        version: &kernel.version,
        kernel: &kernel.image,
        init: ingredients.init,
        modules: &modules,
        arguments: ingredients.arguments,
        policy: ingredients.policy,
    })?;
    cfs_init::signature::check_signers(&built.policy).context("the policy's signers cannot sign images")?;
    let bytes = efi::sign("the UKI", &built.bytes, ingredients.signer)?;
    Ok(SignedUki { bytes, kernel: kernel.version, policy: built.policy })
}

/// The architecture, if it is one that we know.
pub fn arch(meta: &ImageMeta) -> Result<Arch, Error> {
    let name = meta.config.architecture().to_string();
    arch::by_oci_name(&name).ok_or_else(|| Error::Missing {
        path: format!("architecture that cfs-host knows (it is for {name:?})"),
        hint: "amd64 and arm64 can be sealed".into(),
    })
}

/// Stub or loader, as systemd's package brings it.
pub fn systemd_file(files: &dyn Files, name: &str) -> Result<Vec<u8>, Error> {
    let hint = "install the package systemd-boot-efi (systemd-boot on other distributions) in the Containerfile";
    files.require(&format!("{SYSTEMD_BOOT_DIR}/{name}"), hint)
}
