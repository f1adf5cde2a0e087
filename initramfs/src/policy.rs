//! The policy: what this UKI boots. It comes from the signed `/init` alone (security rule 1).
//!
//! `cfs-host seal` writes it into the section that [`crate::section`] reserves; `/init` parses it once
//! and passes it down. There is no setter, no default and no other source: nothing on the disk, the
//! command line or in a variable can loosen it. Format: `docs/formats.md`, "Policy".

use base64::prelude::{Engine, BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::claims::{UkiId, MAX_PRODUCT};
use crate::digest::Digest;

/// The most signers, revoked digests, files and allowed arguments in one policy.
const MAX_LIST: usize = 1024;

/// What to do when a check fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every failed check is a dead end.
    Enforce,
    /// For development: signature, command line and Secure Boot failures are reported loudly and
    /// the boot goes on. Content is still checked by fs-verity. Signed by keys that no production db has (rule 4).
    Permissive,
}

/// What a state of the firmware that proves nothing is worth (rule 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecureBoot {
    /// Dead end unless Secure Boot is on.
    Require,
    /// `status` says it.
    Report,
}

/// Which objects are checked before the hand-over (rule 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectCheck {
    /// Every object that the image names exists and has fs-verity on; missing verity is enabled (rule 14).
    All,
    /// None: a missing object is found when it is opened. fs-verity is still required by the mount.
    Off,
}

/// The end of a dead end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Into the fallback, a bounded number of times.
    Reboot,
    /// Off.
    PowerOff,
}

/// Somebody who may sign images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// For messages.
    pub name: String,
    /// The X.509 certificate, DER in base64; it is pinned by its public key.
    #[serde(with = "base64_bytes")]
    pub certificate: Vec<u8>,
}

/// A file of the initrd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitrdFile {
    /// Absolute, without `..`.
    pub path: String,
    /// Plain SHA-256 of its bytes.
    pub sha256: Digest,
    /// A kernel module, loaded in the order of the list.
    pub module: bool,
}

/// The whole policy, as it lies in the section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// 1.
    pub version: u32,
    /// Enforce, or permissive for development.
    pub mode: Mode,
    /// Claims must name the same product.
    pub product: String,
    /// The identity of the UKI that holds this policy; claims must list it (rule 12).
    pub uki_id: UkiId,
    /// The security version of this UKI.
    pub security_version: u32,
    /// Claims below it are refused.
    pub minimum_security_version: u32,
    /// Who may sign.
    pub signers: Vec<Signer>,
    /// How many distinct public keys of `signers` must have signed.
    pub threshold: u8,
    /// Images that no longer boot.
    pub revoked_images: Vec<Digest>,
    /// The UKI's own command line; `/proc/cmdline` must equal it … (rule 2)
    pub cmdline: String,
    /// … but for arguments that begin with one of these, `console=` for one.
    pub allowed_arguments: Vec<String>,
    /// What Secure Boot being off means.
    pub secure_boot: SecureBoot,
    /// Which objects are checked before the hand-over.
    pub objects: ObjectCheck,
    /// How a dead end ends.
    pub on_failure: OnFailure,
    /// How long the message of a dead end stays.
    pub pause_seconds: u8,
    /// The root file system's type, `ext4` for one.
    pub root_fs: String,
    /// Everything in the initrd but `/init` itself.
    pub files: Vec<InitrdFile>,
}

/// Why a policy is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadPolicy {
    /// Not JSON of this shape.
    #[error("the policy is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// A later format.
    #[error("the policy has version {0}, this program reads version 1")]
    Version(u32),
    /// A field makes no sense.
    #[error("the policy's {0}")]
    Field(&'static str),
}

impl Policy {
    /// Parses the section's JSON.
    pub fn parse(json: &[u8]) -> Result<Self, BadPolicy> {
        let policy: Self = serde_json::from_slice(json)?;
        policy.check()?;
        Ok(policy)
    }

    /// The section's JSON; refuses what [`Policy::parse`] would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, BadPolicy> {
        self.check()?;
        Ok(serde_json::to_vec(self)?)
    }

    /// Whether a failed check ends the boot.
    pub fn enforces(&self) -> bool {
        self.mode == Mode::Enforce
    }

    fn check(&self) -> Result<(), BadPolicy> {
        if self.version != 1 {
            return Err(BadPolicy::Version(self.version));
        }
        let lists = [self.signers.len(), self.revoked_images.len(), self.allowed_arguments.len(), self.files.len()];
        let rules = [
            (self.product.is_empty() || self.product.len() > MAX_PRODUCT, "product is empty or too long"),
            (self.threshold == 0, "threshold is 0"),
            (usize::from(self.threshold) > self.signers.len(), "threshold is higher than the number of signers"),
            (lists.iter().any(|&length| length > MAX_LIST), "lists are too long"),
            (
                self.allowed_arguments.iter().any(|argument| argument.is_empty()),
                "allowed arguments contain an empty one",
            ),
            (self.cmdline.trim().is_empty(), "command line is empty"),
            (
                !self.root_fs.bytes().all(|byte| byte.is_ascii_alphanumeric()) || self.root_fs.is_empty(),
                "root_fs is not a file system type",
            ),
            (
                !self.files.iter().all(|file| is_plain_absolute(&file.path)),
                "files contain a path that is not plain and absolute",
            ),
        ];
        match rules.iter().find(|(broken, _)| *broken) {
            Some((_, what)) => Err(BadPolicy::Field(what)),
            None => Ok(()),
        }
    }
}

fn is_plain_absolute(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

mod base64_bytes {
    use super::{Engine, BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn example() -> Policy {
        Policy {
            version: 1,
            mode: Mode::Enforce,
            product: "example".into(),
            uki_id: Digest::new([2; 32]),
            security_version: 1,
            minimum_security_version: 1,
            signers: vec![Signer { name: "one".into(), certificate: vec![1, 2, 3] }],
            threshold: 1,
            revoked_images: vec![],
            cmdline: "ostree=latest panic=10".into(),
            allowed_arguments: vec!["console=".into()],
            secure_boot: SecureBoot::Require,
            objects: ObjectCheck::All,
            on_failure: OnFailure::Reboot,
            pause_seconds: 5,
            root_fs: "ext4".into(),
            files: vec![InitrdFile { path: "/modules/ext4.ko".into(), sha256: Digest::new([3; 32]), module: true }],
        }
    }

    #[test]
    fn a_policy_round_trips_as_json() {
        assert_eq!(Policy::parse(&example().to_json().unwrap()).unwrap(), example());
    }

    #[test]
    fn unknown_missing_and_doubled_fields_are_refused() {
        let json = String::from_utf8(example().to_json().unwrap()).unwrap();
        assert!(Policy::parse(json.replacen('{', "{\"insecure\":true,", 1).as_bytes()).is_err());
        assert!(Policy::parse(json.replacen("\"threshold\":1,", "", 1).as_bytes()).is_err());
        assert!(Policy::parse(json.replacen('{', "{\"mode\":\"permissive\",", 1).as_bytes()).is_err());
        assert!(Policy::parse(json.replacen("\"enforce\"", "\"off\"", 1).as_bytes()).is_err());
    }

    #[test]
    fn every_broken_field_is_named() {
        type Break = fn(&mut Policy);
        let cases: [(Break, &str); 12] = [
            (|p| p.version = 2, "version 2"),
            (|p| p.product.clear(), "product"),
            (|p| p.product = "x".repeat(65), "product"),
            (|p| p.threshold = 0, "threshold is 0"),
            (|p| p.threshold = 2, "threshold is higher"),
            (|p| p.revoked_images = vec![Digest::new([0; 32]); 1025], "lists are too long"),
            (|p| p.allowed_arguments.push(String::new()), "empty"),
            (|p| p.cmdline = " ".into(), "command line"),
            (|p| p.root_fs.clear(), "root_fs"),
            (|p| p.root_fs = "ext4,ro".into(), "root_fs"),
            (|p| p.files[0].path = "modules/x".into(), "path"),
            (|p| p.files[0].path = "/a/../x".into(), "path"),
        ];
        for (change, word) in cases {
            let mut policy = example();
            change(&mut policy);
            let message = policy.to_json().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let mut full = example();
        full.product = "x".repeat(64);
        full.revoked_images = vec![Digest::new([0; 32]); 1024];
        assert!(full.to_json().is_ok());
    }

    #[test]
    fn only_enforce_enforces() {
        assert!(example().enforces());
        assert!(!Policy { mode: Mode::Permissive, ..example() }.enforces());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Policy::parse(&bytes);
        }
    }
}
