//! What podman's storage (containers/storage) writes down of images and layers, and the names that it derives.

use std::collections::BTreeMap;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A layer in `layers.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerRecord {
    /// Its chain id.
    pub id: String,
    /// The layer below; absent for a base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// RFC 3339.
    pub created: String,
    /// Digest of the blob, so that a pull of another image need not fetch it.
    pub compressed_diff_digest: String,
    /// The blob's size.
    pub compressed_size: u64,
    /// The diff ID.
    pub diff_digest: String,
    /// Size of the tar stream.
    pub diff_size: u64,
    /// containers/storage's number of the compression.
    pub compression: u8,
}

/// An image in `images.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageRecord {
    /// Digits of the configuration's digest.
    pub id: String,
    /// The manifest's digest.
    pub digest: String,
    /// By which podman finds it.
    pub names: Vec<String>,
    /// The topmost layer.
    pub layer: String,
    /// Always `{}`.
    pub metadata: String,
    /// Keys of [`ImageRecord::big_data`].
    pub big_data_names: Vec<String>,
    /// Their sizes.
    pub big_data_sizes: BTreeMap<String, u64>,
    /// Their digests.
    pub big_data_digests: BTreeMap<String, String>,
    /// RFC 3339.
    pub created: String,
    /// Documents that lie in the image's directory, by key.
    #[serde(skip)]
    pub big_data: BTreeMap<String, Vec<u8>>,
}

impl ImageRecord {
    /// The record of an image with these documents.
    pub fn new(manifest: (&str, &[u8]), config: (&str, &[u8]), layer: &str, created: &str) -> Self {
        let (manifest_digest, manifest) = manifest;
        let (config_digest, config) = config;
        let big_data = BTreeMap::from([
            (format!("manifest-{manifest_digest}"), manifest.to_vec()),
            ("manifest".to_owned(), manifest.to_vec()),
            (config_digest.to_owned(), config.to_vec()),
        ]);
        let digest = |bytes: &Vec<u8>| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        Self {
            id: config_digest.trim_start_matches("sha256:").to_owned(),
            digest: manifest_digest.to_owned(),
            names: Vec::new(),
            layer: layer.to_owned(),
            metadata: "{}".to_owned(),
            big_data_names: big_data.keys().cloned().collect(),
            big_data_sizes: big_data.iter().map(|(key, bytes)| (key.clone(), bytes.len() as u64)).collect(),
            big_data_digests: big_data.iter().map(|(key, bytes)| (key.clone(), digest(bytes))).collect(),
            created: created.to_owned(),
            big_data,
        }
    }
}

/// The ids of an image's layers from the base up: podman takes a layer that it finds under such an id for its own.
pub fn chain_ids(diff_ids: &[[u8; 32]]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for diff_id in diff_ids.iter().map(hex::encode) {
        let id = match ids.last() {
            None => diff_id,
            Some(parent) => hex::encode(Sha256::digest(format!("{parent}+{diff_id}"))),
        };
        ids.push(id);
    }
    ids
}

/// The short name of a layer for mount options; podman draws lots, we derive it.
pub fn link_name(layer: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(layer);
    hash.iter().take(26).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// The file of a document; only the plainest keys are file names.
pub fn big_data_file(key: &str) -> String {
    match key.bytes().all(|byte| matches!(byte, b'.' | b'0'..=b'9' | b'a'..=b'z')) {
        true => key.to_owned(),
        false => format!("={}", STANDARD.encode(key)),
    }
}

/// A name as podman writes it, made of a reference's name; `None` if podman would not have it. A digest stays, and no tag beside it.
pub fn podman_name(name: &str) -> Option<String> {
    if let Some((name, digest)) = name.split_once('@') {
        let digits = digest.strip_prefix("sha256:")?;
        let is_digest = digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let tagged = podman_name(name).filter(|_| is_digest)?;
        return Some(format!("{}@{digest}", tagged.rsplit_once(':')?.0));
    }
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    };
    let part = |part: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
        let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        part.chars().all(inner) && end(part.chars().next()) && end(part.chars().last())
    };
    let (first, rest) = name.split_once('/').unwrap_or(("", name));
    let is_host = first.contains(['.', ':']) || first == "localhost";
    let host = match (first, is_host) {
        ("", _) => "localhost".to_owned(),
        (first, true) => first.to_owned(),
        (_, false) => "docker.io".to_owned(),
    };
    let path = if is_host || first.is_empty() { rest } else { name };
    // What has no folder there lies in this one.
    let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
    let host_is_fine = host.split(':').next().is_some_and(part) && host.chars().filter(|c| *c == ':').count() < 2;
    let tag_is_fine = !tag.is_empty()
        && tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (host_is_fine && tag_is_fine && path.split('/').all(part)).then(|| format!("{host}/{path}:{tag}"))
}

/// An image of podman's own, as far as it matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnImage {
    /// Its id.
    pub id: String,
    /// Its names.
    pub names: Option<Vec<String>>,
    /// The topmost layer.
    pub layer: Option<String>,
}

/// A layer of podman's own: of an image or of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnLayer {
    /// Its id.
    pub id: String,
    /// The layer below.
    pub parent: Option<String>,
}

/// A container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnContainer {
    /// Its id.
    pub id: String,
    /// Its names.
    pub names: Option<Vec<String>>,
    /// Its writable layer.
    pub layer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_layers_are_those_of_podman() {
        let ids = chain_ids(&[[1; 32], [2; 32]]);
        assert_eq!(ids[0], "01".repeat(32));
        let expected = hex::encode(Sha256::digest(format!("{}+{}", "01".repeat(32), "02".repeat(32))));
        assert_eq!(ids[1], expected);
    }

    #[test]
    fn documents_have_the_files_that_podman_looks_for() {
        assert_eq!(big_data_file("manifest"), "manifest");
        assert_eq!(big_data_file("sha256:ab"), "=c2hhMjU2OmFi");
    }

    #[test]
    fn links_are_short_distinct_and_the_same_each_time() {
        assert_eq!(link_name("a").len(), 26);
        assert_eq!(link_name("a"), link_name("a"));
        assert_ne!(link_name("a"), link_name("b"));
    }

    #[test]
    fn names_are_completed_as_podman_does_or_refused() {
        for (name, full) in [
            ("example.org/host:v1", Some("example.org/host:v1")),
            ("example.org:5000/a/b", Some("example.org:5000/a/b:latest")),
            ("app", Some("localhost/app:latest")),
            ("library/app:1", Some("docker.io/library/app:1")),
            ("localhost/app:V1", Some("localhost/app:V1")),
            ("docker.io/app:1", Some("docker.io/library/app:1")),
            ("example.org/Host:v1", None),
            ("a b", None),
            ("", None),
            ("x:", None),
            ("example.org/../x", None),
        ] {
            assert_eq!(podman_name(name).as_deref(), full, "{name}");
        }
        let digest = format!("sha256:{}", "0a".repeat(32));
        for name in ["example.org/app", "example.org/app:v1"] {
            let full = Some(format!("example.org/app@{digest}"));
            assert_eq!(podman_name(&format!("{name}@{digest}")), full, "podman has no tag beside a digest");
        }
        assert_eq!(podman_name("example.org/app@sha256:00"), None);
    }
}
