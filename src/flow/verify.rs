//! image ► trust: an image's chain of trust, link by link, with the code that `/init` runs.

use anyhow::Context;
use cfs_init::policy::{Mode, ObjectCheck, Policy, SecureBoot};
use cfs_init::signature;

use super::images::against_annotated;
use super::import::{import, Imported, Keep};
use super::report::{PolicySummary, Report};
use super::workshop::scratch_store;
use crate::boot::{authenticode, uki};
use crate::fetch::Source;
use crate::image::{ErofsImage, Tree};
use crate::model::{Digest, Role};
use crate::seal::annotations::{sealed_layers, Seal};
use crate::seal::files::{Files, ImageFiles};
use crate::seal::kernel::MODULES_DIR;
use crate::seal::{self, LOADER_DIR, UKI_FILE};
use crate::store::Store;
use crate::sys::Sys;
use crate::trust::certificate::Certificate;
use crate::trust::fsverity::digest_of;
use crate::trust::policy_file::LoadedPolicy;

/// Whom the caller trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// What images and UKIs must satisfy beyond the UKI's own policy.
    pub policy: Option<LoadedPolicy>,
    /// Certificates as in the firmware's db.
    pub db: Vec<Certificate>,
    /// How many signatures there must be already.
    pub signatures: Signatures,
}

/// How many of the policy's signers must have signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// As many as the policy wants, as at boot.
    #[default]
    Threshold,
    /// One: the others are still to sign.
    First,
}

/// Reads an image into a scratch store and examines it.
pub fn image(source: &dyn Source, trust: &Trust, sys: &Sys) -> anyhow::Result<Report> {
    let (store, _scratch) = scratch_store(sys)?;
    let image = import(source, &store, sys, Keep::Tagged, &|_| ())?;
    Ok(examine(&image, &store, trust))
}

/// Follows the chain as far as it holds together. Layers and diff IDs were verified when the image was imported.
pub fn examine(image: &Imported, store: &Store, trust: &Trust) -> Report {
    let meta = &image.meta;
    let mut report = Report {
        reference: meta.reference.to_string(),
        manifest_digest: meta.manifest_digest.to_string(),
        config_digest: meta.manifest.config().digest().to_string(),
        architecture: meta.config.architecture().to_string(),
        image: None,
        bootable: None,
        checks: Vec::new(),
        signers: Vec::new(),
        claims: None,
        policy: None,
    };
    let diff_ids = meta.config.rootfs().diff_ids();
    report.ok("layers", format!("{} layers match their diff IDs", diff_ids.len()));
    let seal = match Seal::read(&meta.manifest) {
        Ok(Some(seal)) => seal,
        Ok(None) => {
            report.failed("seal", "the image was never sealed; run `cfs-host seal`");
            return report;
        }
        Err(error) => {
            report.failed("seal", error.to_string());
            return report;
        }
    };
    if seal.sealed_layers != sealed_layers(diff_ids) {
        let why = "sealed for the image it was built from, not for this one; run `cfs-host seal`";
        report.failed("seal", why);
        return report;
    }
    report.ok("seal", "made for these layers");
    digests(&mut report, &image.tree, store, &seal);
    let files = ImageFiles { tree: &image.tree, store };
    if let Some(policy) = uki_and_loader(&mut report, &files, trust) {
        signatures(&mut report, meta.config_bytes.as_slice(), &seal, &policy, trust);
        report.policy = Some(PolicySummary::of(&policy));
    }
    report
}

/// Both images, computed again. One that differs from its annotation is compared with what the store has of that.
fn digests(report: &mut Report, tree: &Tree, store: &Store, seal: &Seal) {
    let compare = |computed: &ErofsImage, annotated: Digest| match computed.digest == annotated {
        true => Ok(computed.digest.to_hex()),
        false => {
            let paths = against_annotated(store, &annotated, &computed.bytes);
            Err(format!("the layers give {}, the annotation says {annotated}: {paths}", computed.digest))
        }
    };
    let plain = match tree.write_plain(&mut std::io::sink()) {
        Ok(digest) if digest == seal.plain => Ok(digest.to_hex()),
        Ok(_) => tree.plain_image().map_err(|error| error.to_string()).and_then(|image| compare(&image, seal.plain)),
        Err(error) => Err(error.to_string()),
    };
    report.result("plain image", plain.map(|detail| ((), detail)));
    let bootable = bootable_image(tree, store).map_err(|error| error.to_string());
    report.bootable = report.result(
        "bootable image",
        bootable.and_then(|image| compare(&image, seal.bootable).map(|detail| (image, detail))),
    );
    report.image = report.bootable.as_ref().map(|image| image.digest);
}

/// The bootable image of a tree whose objects are in the store.
pub fn bootable_image(tree: &Tree, store: &Store) -> crate::image::Result<ErofsImage> {
    tree.bootable_image(&|digest| store.read(digest).map_err(std::io::Error::other))
}

/// The UKI's policy, if the UKI is whole; its own signature and the loader's are checked against db on the way.
fn uki_and_loader(report: &mut Report, files: &ImageFiles<'_>, trust: &Trust) -> Option<Policy> {
    let uki = only_uki(files).map(|(path, bytes)| (bytes, format!("/{path}")));
    let bytes = report.result("UKI", uki)?;
    secure_boot_signature(report, "UKI signature", &bytes, trust);
    let loaders = files.list(LOADER_DIR);
    if loaders.is_empty() {
        report.failed("loader", format!("the image has none in /{LOADER_DIR}; seal the image"));
    }
    for name in loaders {
        let loader = files.require(&format!("{LOADER_DIR}/{name}"), "seal the image");
        if let Some(loader) = report.result("loader", loader.map(|bytes| (bytes, format!("/{LOADER_DIR}/{name}")))) {
            secure_boot_signature(report, "loader signature", &loader, trust);
        }
    }
    let policy = uki::embedded_policy(&bytes).map(|policy| {
        let detail = format!("uki-id {} as its policy says", policy.uki_id.short());
        (policy, detail)
    });
    report.result("UKI contents", policy)
}

/// Path and bytes of the image's one UKI.
pub fn only_uki(files: &dyn Files) -> seal::Result<(String, Vec<u8>)> {
    let mut paths = uki_paths(files);
    match (paths.pop(), paths.len()) {
        (Some(path), 0) => files.require(&path, "seal the image").map(|bytes| (path, bytes)),
        (last, _) => {
            paths.extend(last);
            let why = format!("the image has {} UKIs ({}) and must have one", paths.len(), paths.join(", "));
            Err(seal::Error::File { path: MODULES_DIR.into(), why })
        }
    }
}

/// The policy inside the image's one UKI, which may be signed by anyone.
pub fn uki_policy(files: &dyn Files) -> anyhow::Result<Policy> {
    let (path, bytes) = only_uki(files)?;
    uki::embedded_policy(&bytes).with_context(|| format!("/{path} of the image is no UKI of cfs-host; seal the image"))
}

/// Paths of the UKIs in an image.
pub fn uki_paths(files: &dyn Files) -> Vec<String> {
    let versions = files.list(MODULES_DIR).into_iter();
    let paths = versions.map(|version| format!("{MODULES_DIR}/{version}"));
    paths
        .filter(|dir| files.list(dir).iter().any(|name| name == UKI_FILE))
        .map(|dir| format!("{dir}/{UKI_FILE}"))
        .collect()
}

fn secure_boot_signature(report: &mut Report, name: &'static str, file: &[u8], trust: &Trust) {
    if trust.db.is_empty() {
        let embedded = authenticode::embedded_certificates(file).unwrap_or_default();
        match authenticode::signer(file, &embedded).map(|index| Certificate::from_der(&embedded[index])) {
            Ok(Ok(by)) => report.unchecked(name, format!("whole, by {:?}; give --keys to say who may sign", by.name())),
            Ok(Err(error)) => report.failed(name, error.to_string()),
            Err(error) => report.failed(name, error.to_string()),
        }
        return;
    }
    let db: Vec<Vec<u8>> = trust.db.iter().map(|certificate| certificate.der().to_vec()).collect();
    let signer = authenticode::signer(file, &db);
    report.result(name, signer.map(|index| ((), format!("by {:?}", trust.db[index].name()))));
}

/// Both signatures, by the UKI's policy and by the caller's.
fn signatures(report: &mut Report, config: &[u8], seal: &Seal, policy: &Policy, trust: &Trust) {
    let own = with_threshold(policy.clone(), trust.signatures);
    let digest = report.image.unwrap_or(seal.bootable);
    let verified = signature::verify(&seal.signature, &digest, Role::HostBootable, &own).map(|verified| {
        let by = verified.signers().join(", ");
        let claims = verified.claims();
        let detail = format!("by {by}, for product {:?}, security version {}", claims.product, claims.security_version);
        (verified, detail)
    });
    if let Some(verified) = report.result("image signature", verified) {
        report.signers = verified.signers().to_vec();
        report.claims = Some(verified.claims().clone());
    }
    let measured = digest_of(config);
    let config = match measured == seal.config {
        false => Err(format!("its digest is {measured}, the annotation says {}", seal.config)),
        true => signature::verify(&seal.config_signature, &measured, Role::HostConfig, &own)
            .map(|verified| ((), format!("by {}", verified.signers().join(", "))))
            .map_err(|refusal| refusal.to_string()),
    };
    report.result("configuration signature", config);
    let Some(caller) = &trust.policy else {
        let why = "the image was checked by its UKI's own policy; give --keys or --policy to say whom you trust";
        report.unchecked("your policy", why);
        return;
    };
    let theirs =
        with_threshold(caller.complete(policy.uki_id, &policy.cmdline, policy.files.clone()), trust.signatures);
    let agreed = match weaker(policy, &theirs) {
        Some(why) => Err(why),
        None => signature::verify(&seal.signature, &digest, Role::HostBootable, &theirs)
            .map(|_| ((), "the UKI demands as much, and the signature satisfies it".to_owned()))
            .map_err(|refusal| refusal.to_string()),
    };
    report.result("your policy", agreed);
}

fn with_threshold(policy: Policy, signatures: Signatures) -> Policy {
    match signatures {
        Signatures::Threshold => policy,
        Signatures::First => Policy { threshold: 1, ..policy },
    }
}

/// In what the UKI's policy asks for less than the caller's, or trusts whom the caller does not.
fn weaker(uki: &Policy, caller: &Policy) -> Option<String> {
    let stranger =
        uki.signers.iter().find(|signer| caller.signers.iter().all(|ours| ours.certificate != signer.certificate));
    if let Some(signer) = stranger {
        return Some(format!("the UKI trusts the signer {:?}, your policy does not", signer.name));
    }
    let older = uki.security_version < caller.minimum_security_version;
    let older = older.then_some("is older than your minimum security version");
    older.or_else(|| asks_less(uki, caller)).map(|what| format!("the UKI's policy {what}, and yours differs"))
}

/// In what one policy asks for less than another.
fn asks_less(uki: &Policy, other: &Policy) -> Option<&'static str> {
    let rules = [
        (uki.mode == Mode::Permissive && other.mode == Mode::Enforce, "is permissive"),
        (uki.product != other.product, "is for another product"),
        (uki.threshold < other.threshold, "asks for fewer signatures"),
        (
            uki.secure_boot == SecureBoot::Report && other.secure_boot == SecureBoot::Require,
            "does not require Secure Boot",
        ),
        (uki.objects == ObjectCheck::Off && other.objects == ObjectCheck::All, "does not check every object"),
    ];
    rules.iter().find(|(broken, _)| *broken).map(|(_, what)| *what)
}

/// Rule 17: whether a running host may take this image: its own policy accepts the signature, and the image's UKI is neither
/// weaker nor older than the one that runs. Other signers in the new UKI are fine: whoever the host trusts has signed it, and keys are
/// replaced that way.
pub fn acceptable_to(running: &Policy, new: &Policy, signature: &[u8], image: &Digest) -> Result<(), String> {
    if let Some(what) = asks_less(new, running) {
        return Err(format!("the UKI of the image {what}, the one that runs is not so"));
    }
    if new.security_version < running.security_version {
        let (new, running) = (new.security_version, running.security_version);
        return Err(format!("the image's UKI has security version {new}, the one that runs has {running}"));
    }
    let as_here =
        Policy { uki_id: new.uki_id, cmdline: new.cmdline.clone(), files: new.files.clone(), ..running.clone() };
    signature::verify(signature, image, Role::HostBootable, &as_here).map(|_| ()).map_err(|refusal| refusal.to_string())
}
