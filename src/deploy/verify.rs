//! May this image be deployed? The same check as at boot, by the same code, before anything is staged (rule 17).

use std::collections::HashMap;

use base64::prelude::{Engine, BASE64_STANDARD};
use cfs_init::policy::{Policy, Signer};
use cfs_init::signature::{self, Verified};
use sha2::{Digest as _, Sha256};

use super::{Error, Result};
use crate::model::{Digest, Role};

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
    /// The product it must be.
    pub product: String,
    /// Who must have signed.
    pub signers: Vec<Signer>,
    /// How many of them.
    pub threshold: u8,
    /// Lower ones are refused.
    pub minimum_security_version: u32,
    /// Never these.
    pub revoked_images: Vec<Digest>,
    /// Whether a permissive UKI is refused.
    pub enforce: bool,
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
        Some(demand) if demand.enforce && !candidate.policy.enforces() => {
            return Err(refused("its UKI is permissive, and your policy enforces".into()));
        }
        Some(demand) => check(&demand.applied_to(candidate.policy), "your policy")?,
        None => own,
    };
    Ok(Sealed { signature, verified })
}

impl Demand {
    /// The image's policy with the operator's people, product and limits in it.
    fn applied_to(&self, policy: &Policy) -> Policy {
        Policy {
            product: self.product.clone(),
            signers: self.signers.clone(),
            threshold: self.threshold,
            minimum_security_version: self.minimum_security_version,
            revoked_images: self.revoked_images.clone(),
            ..policy.clone()
        }
    }
}

/// The signature that the image carries for exactly this digest.
fn sealed_signature(candidate: &Candidate<'_>) -> std::result::Result<Vec<u8>, String> {
    let annotations = candidate.annotations;
    let claimed = annotations.get(BOOTABLE).ok_or("it is not sealed (no image digest in its manifest); run cfs-host seal on it")?;
    let signature = annotations.get(&format!("{BOOTABLE}.sig")).ok_or("its image digest is not signed; run cfs-host seal on it")?;
    if *claimed != candidate.digest.to_hex() {
        let stale = annotations.get(SEALED_LAYERS).is_some_and(|sealed| *sealed != layers_digest(candidate.diff_ids));
        return Err(match stale {
            true => "its seal is that of the image it was built from; run cfs-host seal on it".into(),
            false => format!("its manifest says image digest {claimed}, but its layers give {}: it was changed after sealing, or sealed by a program that computes another digest", candidate.digest),
        });
    }
    BASE64_STANDARD.decode(signature).map_err(|error| format!("its signature is not base64: {error}"))
}

/// SHA-256 over the diff IDs, one a line.
pub fn layers_digest(diff_ids: &[String]) -> String {
    let text: String = diff_ids.iter().map(|id| format!("{id}\n")).collect();
    hex::encode(Sha256::digest(text))
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
        let candidate = Candidate { reference, annotations: &annotations, diff_ids: &diff_ids, digest, policy: &policy };
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
    fn the_layers_digest_is_over_lines() {
        assert_eq!(layers_digest(&["sha256:aa".to_owned()]), hex::encode(Sha256::digest("sha256:aa\n")));
    }
}
