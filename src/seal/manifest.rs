//! The sealed image's configuration and manifest: the base's, with one more layer and the seal's annotations.
//!
//! Both are edited as JSON, so that fields unknown to us survive.

use serde_json::{json, Map, Value};
use sha2::{Digest as _, Sha256};

use super::annotations::{replace, Seal};
use super::{Error, Result};

/// Media type of an OCI manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

/// A blob of an image: its media type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// OCI media type.
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// In bytes.
    pub size: u64,
}

impl Blob {
    /// The blob with these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        Self { media_type: media_type.to_owned(), digest, size: bytes.len() as u64 }
    }

    fn descriptor(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("mediaType".into(), self.media_type.clone().into());
        map.insert("digest".into(), self.digest.clone().into());
        map.insert("size".into(), self.size.into());
        map
    }
}

/// The base's configuration with one more layer.
pub fn config(base: &[u8], diff_id: &str, created: &str) -> Result<Vec<u8>> {
    let mut config = object("the image's configuration", base)?;
    let diff_ids = config.get_mut("rootfs").and_then(|rootfs| rootfs.get_mut("diff_ids")).and_then(Value::as_array_mut);
    let diff_ids =
        diff_ids.ok_or_else(|| Error::Malformed("the image's configuration".into(), "no diff_ids".into()))?;
    diff_ids.push(diff_id.into());
    let layer = json!({"created": created, "created_by": "cfs-host seal", "comment": "UKI and signed loader"});
    match config.entry("history").or_insert_with(|| json!([])) {
        Value::Array(history) => history.push(layer),
        other => *other = json!([layer]),
    }
    encode("the configuration", &config)
}

/// The OCI manifest of the sealed image. `layers` are all of them, in order; annotations that the base's manifest and
/// layers carry are kept, but for those of an older seal. Without a seal it is what the digests are computed from.
pub fn manifest(base: &[u8], config: &[u8], layers: &[Blob], seal: Option<&Seal>) -> Result<Vec<u8>> {
    let base = object("the image's manifest", base)?;
    let mut config_descriptor = Blob::of(CONFIG_TYPE, config).descriptor();
    copy_annotations(base.get("config"), &mut config_descriptor);
    replace(&mut config_descriptor, seal.map(Seal::on_config).unwrap_or_default());
    let layers = layers.iter().enumerate().map(|(index, layer)| {
        let mut descriptor = layer.descriptor();
        copy_annotations(base.get("layers").and_then(|layers| layers.get(index)), &mut descriptor);
        replace(&mut descriptor, Default::default());
        Value::Object(descriptor)
    });
    let mut manifest = Map::new();
    manifest.insert("schemaVersion".into(), 2.into());
    manifest.insert("mediaType".into(), MANIFEST_TYPE.into());
    manifest.insert("config".into(), Value::Object(config_descriptor));
    manifest.insert("layers".into(), layers.collect());
    if let Some(annotations) = base.get("annotations") {
        manifest.insert("annotations".into(), annotations.clone());
    }
    replace(&mut manifest, seal.map(Seal::on_manifest).unwrap_or_default());
    encode("the manifest", &manifest)
}

/// The same manifest with other signatures.
pub fn with_seal(manifest: &[u8], seal: &Seal) -> Result<Vec<u8>> {
    let mut manifest = object("the image's manifest", manifest)?;
    if let Some(Value::Object(config)) = manifest.get_mut("config") {
        replace(config, seal.on_config());
    }
    replace(&mut manifest, seal.on_manifest());
    encode("the manifest", &manifest)
}

fn copy_annotations(from: Option<&Value>, to: &mut Map<String, Value>) {
    if let Some(annotations) = from.and_then(|descriptor| descriptor.get("annotations")) {
        to.insert("annotations".into(), annotations.clone());
    }
}

fn object(what: &str, json: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(json).map_err(|error| Error::Malformed(what.to_owned(), error.to_string()))
}

fn encode(what: &str, object: &Map<String, Value>) -> Result<Vec<u8>> {
    serde_json::to_vec(object).map_err(|error| Error::Malformed(what.to_owned(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;
    use crate::seal::annotations::UkiHint;
    use oci_spec::image::ImageManifest;

    fn seal() -> Seal {
        Seal {
            plain: Digest::new([1; 32]),
            bootable: Digest::new([2; 32]),
            signature: b"signature".to_vec(),
            config: Digest::new([3; 32]),
            config_signature: b"config signature".to_vec(),
            sealed_layers: "sha256:00".into(),
            uki: Some(UkiHint { sha256: Digest::new([4; 32]), size: 5 }),
        }
    }

    #[test]
    fn a_seal_is_read_back_and_an_older_one_is_gone() {
        let layer = Blob::of("application/vnd.oci.image.layer.v1.tar+gzip", b"layer");
        let base = json!({"schemaVersion": 2, "annotations": {"composefs.stale": "x", "title": "kept"},
            "config": {"annotations": {"composefs.config.fsverity-sha512-12": "x"}},
            "layers": [{"annotations": {"composefs.layer.erofs.v1.fsverity-sha256-12": "x", "note": "kept"}}]});
        let bytes = manifest(base.to_string().as_bytes(), b"{}", &[layer.clone(), layer], Some(&seal())).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(!text.contains("stale") && !text.contains("sha512") && !text.contains("composefs.layer"), "{text}");
        assert!(text.contains("title") && text.contains("note"), "{text}");
        let parsed: ImageManifest = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(Seal::read(&parsed).unwrap(), Some(seal()));
        let signed_again = Seal { signature: b"two".to_vec(), ..seal() };
        let parsed: ImageManifest = serde_json::from_slice(&with_seal(&bytes, &signed_again).unwrap()).unwrap();
        assert_eq!(Seal::read(&parsed).unwrap(), Some(signed_again));
    }

    #[test]
    fn the_configuration_keeps_what_we_do_not_know() {
        let base = json!({"x-unknown": 1, "rootfs": {"type": "layers", "diff_ids": ["sha256:aa"]}});
        let bytes = config(base.to_string().as_bytes(), "sha256:bb", "2026-01-01T00:00:00Z").unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["x-unknown"], 1);
        assert_eq!(value["rootfs"]["diff_ids"], json!(["sha256:aa", "sha256:bb"]));
        assert_eq!(value["history"][0]["created_by"], "cfs-host seal");
        assert!(config(b"[]", "x", "y").is_err() && config(b"{}", "x", "y").is_err());
    }
}
