//! `origin.json`: where a deployment came from. For people and for `cfs-host`; `/init` never reads it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::model::bound::BoundImage;
use crate::model::Digest;

/// The largest `origin.json` that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The file's content. Fields that this program does not know are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// 1.
    pub version: u32,
    /// The image reference that updates follow.
    pub reference: String,
    /// OCI digest of the manifest.
    pub manifest_digest: String,
    /// OCI digest of the configuration.
    pub config_digest: String,
    /// The image digest.
    pub image: Digest,
    /// SHA-256 of the UKI.
    pub uki: Digest,
    /// Where the UKI lies in the image.
    pub uki_path: String,
    /// `org.opencontainers.image.version`, if the image says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_version: Option<String>,
    /// When the image was built, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_created: Option<String>,
    /// Container images that the store keeps for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound_images: Vec<BoundImage>,
    /// RFC 3339, UTC.
    pub deployed_at: String,
    /// Program and version.
    pub deployed_by: String,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

impl Origin {
    /// Reads the file of a deployment.
    pub fn read(path: &Path) -> Result<Self> {
        let fail = |why: String| Error::Origin { path: path.to_owned(), why };
        let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(fail(format!("not a regular file of at most {MAX_BYTES} bytes")));
        }
        let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        Self::parse(&bytes).map_err(fail)
    }

    /// Parses untrusted bytes.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let origin: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match origin.version {
            1 => Ok(origin),
            other => Err(format!("it has version {other}, this program reads version 1: update cfs-host")),
        }
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // A map with text keys and plain values always has a JSON form.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Now, as `deployedAt` has it.
pub fn now() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let date = der::DateTime::from_unix_duration(seconds).unwrap_or(der::DateTime::INFINITY);
    date.to_string()
}

/// This program, as `deployedBy` has it.
pub fn this_program() -> String {
    format!("cfs-host {}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn example() -> Origin {
        Origin {
            version: 1,
            reference: "docker://example.org/host:v1".into(),
            manifest_digest: "sha256:00".into(),
            config_digest: "sha256:01".into(),
            image: Digest::new([7; 32]),
            uki: Digest::new([8; 32]),
            uki_path: "usr/lib/modules/6.12/cfs-host.efi".into(),
            image_version: None,
            image_created: Some("2025-12-31T00:00:00Z".into()),
            bound_images: Vec::new(),
            deployed_at: "2026-01-01T00:00:00Z".into(),
            deployed_by: "cfs-host 0.1.0".into(),
            unknown: serde_json::Map::new(),
        }
    }

    #[test]
    fn what_a_newer_program_wrote_is_kept() {
        let mut value = serde_json::to_value(example()).unwrap();
        value["pinned"] = serde_json::json!({"by": "operator"});
        let read = Origin::parse(value.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&read.to_json()).unwrap(), value);
    }

    #[test]
    fn the_fields_are_those_of_the_format() {
        let text = String::from_utf8(example().to_json()).unwrap();
        for key in [
            "version",
            "reference",
            "manifestDigest",
            "configDigest",
            "image",
            "uki",
            "ukiPath",
            "imageCreated",
            "deployedAt",
            "deployedBy",
        ] {
            assert!(text.contains(&format!("\"{key}\":")), "{key} in {text}");
        }
    }

    #[test]
    fn bound_images_are_written_only_if_there_are_some() {
        let bound = BoundImage {
            reference: "docker://example.org/app:v1".into(),
            manifest_digest: "sha256:02".into(),
            read_from: None,
        };
        let some = Origin { bound_images: vec![bound], ..example() };
        assert_eq!(Origin::parse(&some.to_json()).unwrap(), some);
        assert!(!String::from_utf8(example().to_json()).unwrap().contains("boundImages"));
    }

    #[test]
    fn later_versions_and_missing_fields_are_refused() {
        let later = String::from_utf8(example().to_json()).unwrap().replace("\"version\": 1", "\"version\": 2");
        assert!(Origin::parse(later.as_bytes()).unwrap_err().contains("version 2"));
        assert!(Origin::parse(b"{\"version\":1}").unwrap_err().contains("reference"));
    }

    #[test]
    fn now_is_written_as_rfc_3339() {
        let text = now();
        assert!(text.len() == 20 && text.ends_with('Z') && text.contains('T'), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Origin::parse(&bytes);
        }
    }
}
