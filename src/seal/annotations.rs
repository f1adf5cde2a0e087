//! The annotations of a sealed image (`docs/formats.md`, "Annotations on the manifest").

use std::collections::BTreeMap;

use base64::prelude::{Engine, BASE64_STANDARD};
use oci_spec::image::ImageManifest;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Error, Result};
use crate::model::Digest;

/// Digest of the plain image.
pub const PLAIN: &str = "composefs.merged.erofs.v1.fsverity-sha256-12";
/// Digest of the bootable image: the image digest.
pub const BOOTABLE: &str = "composefs.merged.bootable.erofs.v1.fsverity-sha256-12";
/// fs-verity digest of the configuration's bytes, on the config descriptor.
pub const CONFIG: &str = "composefs.config.fsverity-sha256-12";
/// Which layers the seal was made for.
pub const SEALED_LAYERS: &str = "org.cfs-host.sealed-layers";
/// The UKI: SHA-256 and size in bytes, so that a host can plan before it fetches.
pub const UKI: &str = "org.cfs-host.uki";
/// The largest signature in an annotation, in base64.
const MAX_SIGNATURE: usize = 32 * 1024;

/// The key of the signature over what `key` names.
pub fn signature_key(key: &str) -> String {
    format!("{key}.sig")
}

/// A seal as the annotations tell it; nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Digest of the plain image.
    pub plain: Digest,
    /// The image digest.
    pub bootable: Digest,
    /// PKCS#7 over the image digest, role `host-bootable`.
    pub signature: Vec<u8>,
    /// fs-verity digest of the configuration.
    pub config: Digest,
    /// PKCS#7 over it, role `host-config`.
    pub config_signature: Vec<u8>,
    /// SHA-256 over the diff IDs that were sealed.
    pub sealed_layers: String,
    /// The UKI, for planning only.
    pub uki: Option<UkiHint>,
}

/// What a UKI will need on the ESP. Not signed: what is written is measured again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UkiHint {
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

impl std::fmt::Display for UkiHint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.sha256.to_hex(), self.size)
    }
}

impl std::str::FromStr for UkiHint {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (sha256, size) = text.split_once(' ').ok_or(())?;
        Ok(Self { sha256: sha256.parse().map_err(|_| ())?, size: size.parse().map_err(|_| ())? })
    }
}

impl Seal {
    /// Reads the annotations; `None` for an image that was never sealed.
    pub fn read(manifest: &ImageManifest) -> Result<Option<Self>> {
        let none = Default::default();
        let top = manifest.annotations().as_ref().unwrap_or(&none);
        let config = manifest.config().annotations().as_ref().unwrap_or(&none);
        if !top.contains_key(BOOTABLE) {
            return Ok(None);
        }
        let text = |map: &std::collections::HashMap<String, String>, key: &str| {
            map.get(key).cloned().ok_or_else(|| bad(key, "is missing"))
        };
        let digest = |map, key: &str| text(map, key)?.parse().map_err(|error| bad(key, &format!("is {error}")));
        let signature = |map, key: &str| {
            let key = signature_key(key);
            let text = text(map, &key)?;
            let decoded = BASE64_STANDARD.decode(&text).ok().filter(|_| text.len() <= MAX_SIGNATURE);
            decoded.ok_or_else(|| bad(&key, "is not a short text in base64"))
        };
        Ok(Some(Self {
            plain: digest(top, PLAIN)?,
            bootable: digest(top, BOOTABLE)?,
            signature: signature(top, BOOTABLE)?,
            config: digest(config, CONFIG)?,
            config_signature: signature(config, CONFIG)?,
            sealed_layers: text(top, SEALED_LAYERS)?,
            uki: top.get(UKI).and_then(|text| text.parse().ok()),
        }))
    }

    /// The annotations of the manifest.
    pub fn on_manifest(&self) -> BTreeMap<String, String> {
        let uki = self.uki.map(|uki| (UKI.to_owned(), uki.to_string()));
        let all = [
            (PLAIN.to_owned(), self.plain.to_hex()),
            (BOOTABLE.to_owned(), self.bootable.to_hex()),
            (signature_key(BOOTABLE), BASE64_STANDARD.encode(&self.signature)),
            (SEALED_LAYERS.to_owned(), self.sealed_layers.clone()),
        ];
        all.into_iter().chain(uki).collect()
    }

    /// The annotations of the config descriptor.
    pub fn on_config(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (CONFIG.to_owned(), self.config.to_hex()),
            (signature_key(CONFIG), BASE64_STANDARD.encode(&self.config_signature)),
        ])
    }
}

/// SHA-256 over the diff IDs, one a line.
pub fn sealed_layers(diff_ids: &[String]) -> String {
    let lines: String = diff_ids.iter().map(|id| format!("{id}\n")).collect();
    format!("sha256:{}", hex::encode(Sha256::digest(lines)))
}

/// Puts annotations on a manifest or descriptor in place of all that any seal has put there.
pub fn replace(object: &mut Map<String, Value>, new: BTreeMap<String, String>) {
    let mut all = match object.remove("annotations") {
        Some(Value::Object(all)) => all,
        _ => Map::new(),
    };
    all.retain(|key, _| !is_of_a_seal(key));
    all.extend(new.into_iter().map(|(key, value)| (key, Value::String(value))));
    if !all.is_empty() {
        object.insert("annotations".to_owned(), Value::Object(all));
    }
}

fn is_of_a_seal(key: &str) -> bool {
    key.starts_with("composefs.") || key.starts_with("org.cfs-host.")
}

fn bad(key: &str, why: &str) -> Error {
    Error::Malformed(format!("the annotation {key}"), format!("it {why}; seal the image again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_annotations_of_a_seal_go_and_others_stay() {
        let mut object = serde_json::json!({"annotations": {
            "composefs.layer.erofs.v1.fsverity-sha256-12": "old", "org.cfs-host.sealed-layers": "old",
            "org.opencontainers.image.title": "kept"}});
        let object = object.as_object_mut().unwrap();
        replace(object, BTreeMap::from([(PLAIN.to_owned(), "new".to_owned())]));
        let expected = serde_json::json!({PLAIN: "new", "org.opencontainers.image.title": "kept"});
        assert_eq!(object["annotations"], expected);
        replace(object, BTreeMap::new());
        object["annotations"].as_object_mut().unwrap().remove("org.opencontainers.image.title");
        replace(object, BTreeMap::new());
        assert!(!object.contains_key("annotations"));
    }

    #[test]
    fn the_sealed_layers_are_told_by_one_digest() {
        // printf 'sha256:aa\nsha256:bb\n' | sha256sum
        assert_eq!(
            sealed_layers(&["sha256:aa".into(), "sha256:bb".into()]),
            "sha256:bf5a373751df09537bc2414c1155c388f48d28eb9e9a46a086e719234c999b43"
        );
    }
}
