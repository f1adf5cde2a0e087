//! import ► trust: an image that may become a deployment, with all that one needs; for `install` and for updates.

use anyhow::Context;
use cfs_init::policy::Policy;

use super::import::Imported;
use super::report::Untrusted;
use super::stage::image_version;
use super::verify::{self, Trust};
use crate::boot::uki;
use crate::deploy::origin::{now, this_program, Origin};
use crate::deploy::os_release;
use crate::install::disk::ROOT_FS;
use crate::install::Error;
use crate::model::bound::BoundImage;
use crate::model::Digest;
use crate::seal::annotations::Seal;
use crate::seal::files::{Files, ImageFiles};
use crate::store::Store;
use crate::sys::Sys;

/// An image whose whole chain of trust was verified, by the code that decides at boot.
#[derive(Debug)]
pub struct Admitted {
    /// Its layers and tree.
    pub imported: Imported,
    /// The signed UKI.
    pub uki: SignedUki,
    /// The system's name.
    pub system: String,
    /// The image digest; the image lies in the store.
    pub image: Digest,
    /// The signature that `/init` will verify.
    pub signature: Vec<u8>,
    /// Who signed.
    pub signers: Vec<String>,
    /// The images that it binds, once they are in the store.
    pub bound_images: Vec<BoundImage>,
}

/// The UKI of an image.
#[derive(Debug)]
pub struct SignedUki {
    /// Where it lies in the image.
    pub path: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Kernel version.
    pub kernel: String,
    /// The policy inside.
    pub policy: Policy,
}

/// Lets the code that decides at boot decide, asks the caller too, and writes the image into the store.
pub fn admit(
    imported: Imported,
    store: &Store,
    trust: &Trust,
    ask: &dyn Fn(&SignedUki, &Seal) -> Result<(), String>,
    sys: &Sys,
) -> anyhow::Result<Admitted> {
    let report = verify::examine(&imported, store, trust);
    let trusted = report.require()?;
    if trusted.policy.root_fs != ROOT_FS {
        return Err(Error::RootFs(trusted.policy.root_fs.clone()).into());
    }
    let image = trusted.image;
    let seal = Seal::read(&imported.meta.manifest)?.context("the image lost its seal while it was read")?;
    let files = ImageFiles { tree: &imported.tree, store };
    let uki = signed_uki(&files)?;
    ask(&uki, &seal).map_err(|why| Untrusted { reference: report.reference.clone(), why })?;
    let system = files.read("usr/lib/os-release")?.and_then(|text| os_release::system_name(&text));
    let bootable = report.bootable.context("the image was verified without being made")?;
    store.put_image(sys, &bootable.bytes)?;
    Ok(Admitted {
        uki,
        system: system.unwrap_or_else(|| "Linux".to_owned()),
        image,
        signature: seal.signature,
        signers: report.signers,
        bound_images: Vec::new(),
        imported,
    })
}

fn signed_uki(files: &ImageFiles<'_>) -> anyhow::Result<SignedUki> {
    let (path, bytes) = verify::only_uki(files)?;
    let kernel = String::from_utf8_lossy(uki::Uki::parse(&bytes)?.uname).into_owned();
    let policy = uki::embedded_policy(&bytes)?;
    Ok(SignedUki { path, bytes, kernel, policy })
}

impl Admitted {
    /// Where its deployment comes from; updates will follow `reference`.
    pub fn origin(&self, reference: String) -> Origin {
        let meta = &self.imported.meta;
        Origin {
            version: 1,
            reference,
            manifest_digest: meta.manifest_digest.to_string(),
            config_digest: meta.manifest.config().digest().to_string(),
            image: self.image,
            uki: uki::sha256(&self.uki.bytes),
            uki_path: self.uki.path.clone(),
            image_version: image_version(meta),
            image_created: meta.config.created().clone(),
            bound_images: self.bound_images.clone(),
            deployed_at: now(),
            deployed_by: this_program(),
            unknown: Default::default(),
        }
    }
}
