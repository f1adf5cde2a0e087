//! May this image be deployed? The same check as at boot, by the same code, before anything is staged (rule 17).

use std::collections::HashMap;
use std::path::Path;

use base64::prelude::{Engine, BASE64_STANDARD};
use cfs_init::policy::Policy;
use cfs_init::signature::{self, Verified};
use sha2::{Digest as _, Sha256};

use super::{Error, Result};
use crate::boot::authenticode;
use crate::model::{Digest, Role};
use crate::trust::certificate::Certificate;
use crate::trust::efi_auth::Variable;
use crate::trust::keys::KeyDir;
use crate::trust::policy_file::LoadedPolicy;

/// The annotation that carries the image digest; with `.sig` appended, its signature.
pub const BOOTABLE: &str = "composefs.merged.bootable.erofs.v1.fsverity-sha256-12";
/// The annotation that tells which layers were sealed.
pub const SEALED_LAYERS: &str = "org.cfs-host.sealed-layers";

/// An image whose digest was computed from its layers.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// For messages.
    pub reference: &'a str,
    /// The manifest's annotations: what the image says of itself.
    pub annotations: &'a HashMap<String, String>,
    /// The configuration's diff IDs.
    pub diff_ids: &'a [String],
    /// The bootable image's digest, computed here.
    pub digest: Digest,
    /// The policy of the image's own UKI: what the next boot will check with.
    pub policy: &'a Policy,
}

/// What the operator asks for beyond the image's own policy.
#[derive(Clone, Debug)]
pub struct Demand {
    policy: LoadedPolicy,
    db: Option<Certificate>,
}

/// An image that the initrd of its own UKI would boot.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// What goes into `image.sig`.
    pub signature: Vec<u8>,
    /// Claims and signers.
    pub verified: Verified,
}

/// Verifies with the image's policy, and with the operator's demands if there are any.
pub fn verify(candidate: &Candidate<'_>, demand: Option<&Demand>) -> Result<Sealed> {
    let refused = |why: String| Error::Refused { reference: candidate.reference.to_owned(), why };
    let signature = sealed_signature(candidate).map_err(refused)?;
    let check = |policy: &Policy, who: &str| {
        let checked = signature::verify(&signature, &candidate.digest, Role::HostBootable, policy);
        checked.map_err(|refusal| refused(format!("{who} refuses it: {refusal}")))
    };
    let own = check(candidate.policy, "the policy of its own UKI, as every boot would,")?;
    let verified = match demand {
        Some(demand) => {
            let policy = demand.applied_to(candidate.policy);
            if policy.enforces() && !candidate.policy.enforces() {
                return Err(refused("its UKI is permissive, and your policy enforces".into()));
            }
            check(&policy, "your policy")?
        }
        None => own,
    };
    Ok(Sealed { signature, verified })
}

impl Demand {
    /// A policy file: the people, product and limits in it.
    pub fn from_policy(file: &Path) -> Result<Self> {
        Ok(Self { policy: LoadedPolicy::load(file)?, db: None })
    }

    /// A key directory: its policy, and its db key for what firmware starts.
    pub fn from_keys(directory: &Path) -> Result<Self> {
        let keys = KeyDir::new(directory);
        let db = Certificate::load(&keys.secure_boot(Variable::Db, "crt"))?;
        Ok(Self { policy: LoadedPolicy::load(&keys.policy())?, db: Some(db) })
    }

    /// Checks that a PE file of the image is signed by the key directory's db key.
    pub fn verify_signed(&self, reference: &str, path: &str, pe: &[u8]) -> Result<()> {
        let Some(db) = &self.db else { return Ok(()) };
        let signer = authenticode::signer(pe, &[db.der().to_vec()]);
        signer.map(drop).map_err(|error| {
            let why = format!("its /{path} is not signed by the db key {}: {error}", db.name());
            Error::Refused { reference: reference.to_owned(), why }
        })
    }

    /// The operator's policy as the image's UKI would obey it.
    fn applied_to(&self, policy: &Policy) -> Policy {
        self.policy.complete(policy.uki_id, &policy.cmdline, policy.files.clone())
    }
}

/// The signature that the image carries for exactly this digest.
fn sealed_signature(candidate: &Candidate<'_>) -> std::result::Result<Vec<u8>, String> {
    let annotations = candidate.annotations;
    let claimed = annotations
        .get(BOOTABLE)
        .ok_or("it is not sealed (no image digest in its manifest); run cfs-host seal on it")?;
    let signature =
        annotations.get(&format!("{BOOTABLE}.sig")).ok_or("its image digest is not signed; run cfs-host seal on it")?;
    if *claimed != candidate.digest.to_hex() {
        let stale = annotations.get(SEALED_LAYERS).is_some_and(|sealed| *sealed != layers_digest(candidate.diff_ids));
        return Err(match stale {
            true => "its seal is that of the image it was built from; run cfs-host seal on it".into(),
            false => format!("its manifest says image digest {claimed}, but its layers give {}: it was changed after sealing, or sealed by a program that computes another digest", candidate.digest),
        });
    }
    BASE64_STANDARD.decode(signature).map_err(|error| format!("its signature is not base64: {error}"))
}

/// `sha256:` and the SHA-256 over the diff IDs, one a line.
pub fn layers_digest(diff_ids: &[String]) -> String {
    let text: String = diff_ids.iter().map(|id| format!("{id}\n")).collect();
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(annotations: &[(&str, String)]) -> String {
        let annotations = annotations.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        let diff_ids = ["sha256:aa".to_owned(), "sha256:bb".to_owned()];
        let digest = Digest::new([7; 32]);
        let policy = Policy {
            version: 1,
            mode: cfs_init::policy::Mode::Enforce,
            product: "example".into(),
            uki_id: Digest::new([2; 32]),
            security_version: 1,
            minimum_security_version: 1,
            signers: vec![],
            threshold: 1,
            revoked_images: vec![],
            cmdline: "ostree=latest panic=10".into(),
            allowed_arguments: vec![],
            secure_boot: cfs_init::policy::SecureBoot::Require,
            objects: cfs_init::policy::ObjectCheck::All,
            on_failure: cfs_init::policy::OnFailure::Reboot,
            pause_seconds: 5,
            root_fs: "ext4".into(),
            files: vec![],
        };
        let reference = "oci:x";
        let candidate =
            Candidate { reference, annotations: &annotations, diff_ids: &diff_ids, digest, policy: &policy };
        verify(&candidate, None).unwrap_err().to_string()
    }

    #[test]
    fn each_broken_seal_is_named() {
        let own = Digest::new([7; 32]).to_hex();
        let other = Digest::new([8; 32]).to_hex();
        let sig = format!("{BOOTABLE}.sig");
        let layers = layers_digest(&["sha256:aa".to_owned(), "sha256:bb".to_owned()]);
        assert!(refusal(&[]).contains("not sealed"));
        assert!(refusal(&[(BOOTABLE, own.clone())]).contains("not signed"));
        let stale = refusal(&[(BOOTABLE, other.clone()), (&sig, "".into()), (SEALED_LAYERS, "00".into())]);
        assert!(stale.contains("built from"), "{stale}");
        let changed = refusal(&[(BOOTABLE, other.clone()), (&sig, "".into()), (SEALED_LAYERS, layers)]);
        assert!(changed.contains(&other) && changed.contains(&own), "{changed}");
        assert!(refusal(&[(BOOTABLE, own.clone()), (&sig, "***".into())]).contains("base64"));
        assert!(refusal(&[(BOOTABLE, own), (&sig, "AAAA".into())]).contains("own UKI"));
    }

    #[test]
    fn the_sealed_layers_are_told_by_one_digest() {
        // printf 'sha256:aa\nsha256:bb\n' | sha256sum
        assert_eq!(
            layers_digest(&["sha256:aa".into(), "sha256:bb".into()]),
            "sha256:bf5a373751df09537bc2414c1155c388f48d28eb9e9a46a086e719234c999b43"
        );
    }
}
