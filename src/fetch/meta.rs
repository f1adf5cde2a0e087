//! Manifest and configuration: parsed once, and checked to belong together.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use oci_spec::image::{Descriptor, Digest as OciDigest, DigestAlgorithm, ImageConfiguration, ImageManifest, MediaType};
use sha2::{Digest as _, Sha256};

use super::{Compression, Error, ImageMeta, Result};
use crate::model::reference::Reference;

/// Manifests and indexes: the limit that registries have.
pub(super) const MANIFEST_MAX: u64 = 4 << 20;
/// Configurations.
pub(super) const CONFIG_MAX: u64 = 16 << 20;

impl ImageMeta {
    /// Parses both; the configuration must be the manifest's, with one diff ID for each layer.
    pub fn new(reference: &Reference, manifest_bytes: Vec<u8>, config_bytes: Vec<u8>) -> Result<Self> {
        let manifest = parse_manifest(reference, &manifest_bytes)?;
        let invalid = |what: &str, why: String| Error::Invalid { reference: reference.clone(), what: what.into(), why };
        let digest = digest_of(&config_bytes);
        if digest != *manifest.config().digest() {
            let why = format!("it has the digest {digest}, the manifest names {}", manifest.config().digest());
            return Err(invalid("the configuration", why));
        }
        let config: ImageConfiguration = serde_json::from_slice(&config_bytes)
            .map_err(|error| invalid("the configuration", format!("it is no image configuration ({error})")))?;
        let manifest_digest = digest_of(&manifest_bytes);
        let meta =
            Self { reference: reference.clone(), manifest_digest, manifest_bytes, manifest, config_bytes, config };
        meta.diff_ids()?;
        Ok(meta)
    }

    /// SHA-256 of each layer's tar stream, from the base up.
    pub fn diff_ids(&self) -> Result<Vec<[u8; 32]>> {
        let invalid = |why| Error::Invalid { reference: self.reference.clone(), what: "the configuration".into(), why };
        let ids = self.config.rootfs().diff_ids();
        if ids.len() != self.manifest.layers().len() {
            let layers = self.manifest.layers().len();
            return Err(invalid(format!("it names {} layers, the manifest {layers}", ids.len())));
        }
        let parse = |id: &String| {
            let digest = id.parse::<OciDigest>().ok()?;
            sha256(&digest)
        };
        ids.iter().map(|id| parse(id).ok_or_else(|| invalid(format!("{id:?} is no SHA-256 diff ID")))).collect()
    }
}

/// Parses a manifest and refuses what is none, such as an artifact.
pub(super) fn parse_manifest(reference: &Reference, bytes: &[u8]) -> Result<ImageManifest> {
    let invalid = |why| Error::Invalid { reference: reference.clone(), what: "the manifest".into(), why };
    let manifest: ImageManifest =
        serde_json::from_slice(bytes).map_err(|error| invalid(format!("it is no image manifest ({error})")))?;
    match manifest.config().media_type() {
        MediaType::ImageConfig => Ok(manifest),
        MediaType::Other(kind) if kind == "application/vnd.docker.container.image.v1+json" => Ok(manifest),
        other => Err(invalid(format!("its configuration is {other}, so it is no container image"))),
    }
}

/// How a layer of this media type is packed.
pub(super) fn compression(media_type: &MediaType) -> Option<Compression> {
    match media_type.to_string().rsplit_once('.')?.1 {
        "tar" => Some(Compression::None),
        "tar+gzip" | "gzip" => Some(Compression::Gzip),
        "tar+zstd" | "zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

/// Whether registries need not have a layer of this type: its descriptor says where it lies.
pub(super) fn is_foreign(media_type: &MediaType) -> bool {
    let name = media_type.to_string();
    name.contains(".nondistributable.") || name.contains(".foreign.")
}

/// The content that a descriptor carries in itself (image-spec `descriptor.md`, `data`), if it does.
pub(super) fn embedded(descriptor: &Descriptor, limit: u64) -> std::result::Result<Option<Vec<u8>>, String> {
    let Some(text) = descriptor.data() else { return Ok(None) };
    if text.len() as u64 / 4 > limit / 3 {
        return Err("the content inside its descriptor is too large".to_owned());
    }
    let bytes = STANDARD.decode(text).map_err(|_| "the content inside its descriptor is no base64".to_owned())?;
    match bytes.len() as u64 == descriptor.size() && digest_of(&bytes) == *descriptor.digest() {
        true => Ok(Some(bytes)),
        false => Err("the content inside its descriptor is not the one that it describes".to_owned()),
    }
}

/// The bytes of a SHA-256 digest; no other algorithm is used by images.
pub(super) fn sha256(digest: &OciDigest) -> Option<[u8; 32]> {
    match digest.algorithm() {
        DigestAlgorithm::Sha256 => hex::decode(digest.digest()).ok()?.try_into().ok(),
        _ => None,
    }
}

/// The SHA-256 of bytes in OCI form.
// A SHA-256 in hex is always a digest of that algorithm, and oci-spec has no way to say so but parsing.
#[allow(clippy::expect_used)]
pub(super) fn digest_of(bytes: &[u8]) -> OciDigest {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes))).parse().expect("64 hex digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_tell_the_compression() {
        for (media_type, expected) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(Compression::None)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(Compression::Zstd)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", None),
            ("application/x", None),
        ] {
            assert_eq!(compression(&MediaType::from(media_type)), expected, "{media_type}");
        }
    }

    #[test]
    fn content_inside_a_descriptor_must_be_the_one_described() {
        let descriptor = |of: &[u8], size: u64, data: &str| -> Descriptor {
            let kind = "application/vnd.oci.image.config.v1+json";
            serde_json::from_value(
                serde_json::json!({"mediaType": kind, "digest": digest_of(of), "size": size, "data": data}),
            )
            .unwrap()
        };
        assert_eq!(embedded(&descriptor(b"hi", 2, "aGk="), 10).unwrap().unwrap(), b"hi");
        for bad in [descriptor(b"ho", 2, "aGk="), descriptor(b"hi", 3, "aGk="), descriptor(b"hi", 2, "*")] {
            assert!(embedded(&bad, 10).is_err());
        }
        assert!(embedded(&descriptor(b"hi", 2, "aGk="), 0).is_err());
    }

    #[test]
    fn layers_that_lie_elsewhere_are_known_by_their_type() {
        for (media_type, foreign) in [
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", true),
            ("application/vnd.oci.image.layer.v1.tar+gzip", false),
        ] {
            assert_eq!(is_foreign(&MediaType::from(media_type)), foreign, "{media_type}");
            assert_eq!(compression(&MediaType::from(media_type)), Some(Compression::Gzip));
        }
    }

    fn reference() -> Reference {
        "oci:test".parse().unwrap()
    }

    fn meta(config: &str, claimed: &OciDigest, layers: usize) -> Result<ImageMeta> {
        let layer = serde_json::json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(b"x"), "size": 1});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": claimed, "size": config.len()},
            "layers": vec![layer; layers],
        });
        ImageMeta::new(&reference(), manifest.to_string().into_bytes(), config.as_bytes().to_vec())
    }

    fn config(diff_id: &str) -> String {
        serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}})
            .to_string()
    }

    #[test]
    fn a_manifest_and_its_configuration_are_accepted_and_any_mismatch_is_not() {
        let good = config(&format!("sha256:{}", "07".repeat(32)));
        let digest = digest_of(good.as_bytes());
        assert_eq!(meta(&good, &digest, 1).unwrap().diff_ids().unwrap(), [[7; 32]]);
        assert!(meta(&good, &digest_of(b"other"), 1).unwrap_err().to_string().contains("the manifest names"));
        assert!(meta(&good, &digest, 2).unwrap_err().to_string().contains("1 layers, the manifest 2"));
        for bad in [config("sha256:07"), config("md5:x"), "{}".to_owned()] {
            assert!(meta(&bad, &digest_of(bad.as_bytes()), 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_artifact_is_no_image() {
        let manifest = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
        assert!(parse_manifest(&reference(), manifest).unwrap_err().to_string().contains("no container image"));
    }
}
