//! What an examination saw: the links of the chain, in order.

use cfs_init::policy::{Mode, ObjectCheck, Policy, SecureBoot};
use serde::Serialize;

use crate::image::ErofsImage;
use crate::model::{Claims, Digest, UkiId};

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Ok,
    /// It does not hold: such an image does not boot, or not as the caller wants.
    Failed,
    /// The caller gave nothing to compare with.
    Unchecked,
}

/// One link of the chain.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
}

/// The whole chain.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The image.
    pub reference: String,
    /// Its manifest's digest.
    pub manifest_digest: String,
    /// Its configuration's digest.
    pub config_digest: String,
    /// OCI architecture name.
    pub architecture: String,
    /// The bootable image's digest, computed here.
    pub image: Option<Digest>,
    /// The image itself, if its digest is the annotated one.
    #[serde(skip)]
    pub bootable: Option<ErofsImage>,
    /// The links, in order.
    pub checks: Vec<Check>,
    /// Who signed, once the signature is verified.
    pub signers: Vec<String>,
    /// What they claim, once the signature is verified.
    pub claims: Option<Claims>,
    /// The policy inside the image's UKI.
    pub policy: Option<PolicySummary>,
}

/// A policy without its certificates and digests.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySummary {
    /// Enforce or permissive.
    pub mode: Mode,
    /// What it boots.
    pub product: String,
    /// The UKI's identity.
    pub uki_id: UkiId,
    /// Of the UKI.
    pub security_version: u32,
    /// Of the images that it boots.
    pub minimum_security_version: u32,
    /// Names of the certificates.
    pub signers: Vec<String>,
    /// How many of them must sign.
    pub threshold: u8,
    /// What Secure Boot being off means.
    pub secure_boot: SecureBoot,
    /// Which objects are checked before the hand-over.
    pub objects: ObjectCheck,
    /// The root file system's type.
    pub root_fs: String,
    /// The command line.
    pub cmdline: String,
    /// What may be appended to it.
    pub allowed_arguments: Vec<String>,
    /// Files of the initrd besides `/init`.
    pub files: Vec<String>,
}

/// What an image is once every link holds.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<'a> {
    /// The bootable image's digest.
    pub image: Digest,
    /// The policy inside its UKI.
    pub policy: &'a PolicySummary,
}

/// A link does not hold.
#[derive(Debug, thiserror::Error)]
#[error("{reference} is not trusted: {why}")]
pub struct Untrusted {
    /// The image.
    pub reference: String,
    /// The checks that failed.
    pub why: String,
}

impl Report {
    /// Fails if a check failed.
    pub fn require(&self) -> Result<Trusted<'_>, Untrusted> {
        let failed = self.checks.iter().filter(|check| check.verdict == Verdict::Failed);
        let why: Vec<_> = failed.map(|check| format!("{}: {}", check.name, check.detail)).collect();
        match (self.image, &self.policy) {
            (Some(image), Some(policy)) if why.is_empty() => Ok(Trusted { image, policy }),
            _ => Err(Untrusted { reference: self.reference.clone(), why: why.join("; ") }),
        }
    }

    pub(super) fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, verdict: Verdict::Ok, detail: detail.into() });
    }

    pub(super) fn failed(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, verdict: Verdict::Failed, detail: detail.into() });
    }

    pub(super) fn unchecked(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, verdict: Verdict::Unchecked, detail: detail.into() });
    }

    /// Records a result; gives its value on.
    pub(super) fn result<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        result: Result<(T, String), E>,
    ) -> Option<T> {
        match result {
            Ok((value, detail)) => {
                self.ok(name, detail);
                Some(value)
            }
            Err(error) => {
                self.failed(name, error.to_string());
                None
            }
        }
    }
}

impl PolicySummary {
    /// What people want to know of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            mode: policy.mode,
            product: policy.product.clone(),
            uki_id: policy.uki_id,
            security_version: policy.security_version,
            minimum_security_version: policy.minimum_security_version,
            signers: policy.signers.iter().map(|signer| signer.name.clone()).collect(),
            threshold: policy.threshold,
            secure_boot: policy.secure_boot,
            objects: policy.objects,
            root_fs: policy.root_fs.clone(),
            cmdline: policy.cmdline.clone(),
            allowed_arguments: policy.allowed_arguments.clone(),
            files: policy.files.iter().map(|file| file.path.clone()).collect(),
        }
    }
}
