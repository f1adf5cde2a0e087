//! The policy as people write it (`policy.json` of a key directory), and its completion for one UKI.
//!
//! What a person decides is here; what `seal` finds out (command line, module list, uki-id) is filled in.

use std::path::Path;

use cfs_init::policy::{InitrdFile, Mode, ObjectCheck, OnFailure, Policy, SecureBoot};
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::{read, Error, Result};
use crate::model::{Digest, UkiId};

/// The file's contents. Unknown fields are refused: a misspelt one must not be ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFile {
    /// 1.
    pub version: u32,
    /// `enforce`, or `permissive` for development.
    pub mode: Mode,
    /// Images and UKIs of other products are refused.
    pub product: String,
    /// Of what is sealed with this policy.
    pub security_version: u32,
    /// Images below it are refused.
    pub minimum_security_version: u32,
    /// Certificate files, relative to the policy's directory.
    pub signers: Vec<String>,
    /// How many distinct signers an image needs.
    pub threshold: u8,
    /// Images that no longer boot.
    pub revoked_images: Vec<Digest>,
    /// Kernel arguments that may be appended to the UKI's line, by their beginning.
    pub allowed_arguments: Vec<String>,
    /// What Secure Boot being off means.
    pub secure_boot: SecureBoot,
    /// Which objects are checked before the hand-over.
    pub objects: ObjectCheck,
    /// How a refused boot ends.
    pub on_failure: OnFailure,
    /// How long the reason stays on the screen.
    pub pause_seconds: u8,
    /// The root file system's type.
    pub root_fs: String,
}

/// A policy file with the certificates that it names.
#[derive(Clone, Debug)]
pub struct LoadedPolicy {
    /// What the file says.
    pub file: PolicyFile,
    /// Its signers.
    pub signers: Vec<Certificate>,
}

impl PolicyFile {
    /// The strict policy that `keys generate` writes.
    pub fn strict(product: &str, signers: Vec<String>) -> Self {
        Self {
            version: 1,
            mode: Mode::Enforce,
            product: product.to_owned(),
            security_version: 1,
            minimum_security_version: 0,
            signers,
            threshold: 1,
            revoked_images: vec![],
            allowed_arguments: vec!["console=".to_owned()],
            secure_boot: SecureBoot::Require,
            objects: ObjectCheck::All,
            on_failure: OnFailure::Reboot,
            pause_seconds: 5,
            root_fs: "ext4".to_owned(),
        }
    }
}

impl LoadedPolicy {
    /// Reads a policy file and its signers' certificates.
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |why: String| Error::File { path: path.to_owned(), why };
        let file: PolicyFile = serde_json::from_slice(&read(path)?)
            .map_err(|error| bad(format!("not a policy: {error}; docs/keys.md lists the fields")))?;
        if file.version != 1 {
            return Err(bad(format!("it has version {}, this program reads version 1", file.version)));
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        let signers =
            file.signers.iter().map(|name| Certificate::load(&directory.join(name))).collect::<Result<_>>()?;
        Ok(Self { file, signers })
    }

    /// The policy for one UKI, as its `/init` will obey it.
    pub fn complete(&self, uki_id: UkiId, cmdline: &str, files: Vec<InitrdFile>) -> Policy {
        let file = &self.file;
        let signer = |certificate: &Certificate| cfs_init::policy::Signer {
            name: certificate.name().to_owned(),
            certificate: certificate.der().to_vec(),
        };
        Policy {
            version: 1,
            mode: file.mode,
            product: file.product.clone(),
            uki_id,
            security_version: file.security_version,
            minimum_security_version: file.minimum_security_version,
            signers: self.signers.iter().map(signer).collect(),
            threshold: file.threshold,
            revoked_images: file.revoked_images.clone(),
            cmdline: cmdline.to_owned(),
            allowed_arguments: file.allowed_arguments.clone(),
            secure_boot: file.secure_boot,
            objects: file.objects,
            on_failure: file.on_failure,
            pause_seconds: file.pause_seconds,
            root_fs: file.root_fs.clone(),
            files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_never_changes() {
        let json = serde_json::to_string(&PolicyFile::strict("example", vec!["image/image.crt".into()])).unwrap();
        assert_eq!(
            json,
            r#"{"version":1,"mode":"enforce","product":"example","securityVersion":1,"minimumSecurityVersion":0,"signers":["image/image.crt"],"threshold":1,"revokedImages":[],"allowedArguments":["console="],"secureBoot":"require","objects":"all","onFailure":"reboot","pauseSeconds":5,"rootFs":"ext4"}"#
        );
    }

    #[test]
    fn a_misspelt_or_missing_field_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.json");
        let good = serde_json::to_string(&PolicyFile::strict("example", vec![])).unwrap();
        for (bad, word) in [
            (good.replacen("securityVersion", "secruityVersion", 1), "secruityVersion"),
            (good.replacen("\"threshold\":1,", "", 1), "threshold"),
            (good.replacen("\"version\":1", "\"version\":2", 1), "version 2"),
            (good.replacen("enforce", "audit", 1), "audit"),
        ] {
            std::fs::write(&path, bad).unwrap();
            let message = LoadedPolicy::load(&path).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("policy.json"), "{message}");
        }
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.json");
        let file = PolicyFile::strict("example", vec!["image/image.crt".into()]);
        std::fs::write(&path, serde_json::to_string(&file).unwrap()).unwrap();
        let message = LoadedPolicy::load(&path).unwrap_err().to_string();
        assert!(message.contains("image/image.crt"), "{message}");
    }
}
