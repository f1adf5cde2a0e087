//! For tests: images in memory, and a host in a directory.

use oci_spec::image::Digest as OciDigest;
use sha2::{Digest as _, Sha256};

use super::import::{import, Imported, Keep};
use crate::fetch::{self, Compression, ImageMeta, LayerStream, Source};
use crate::model::progress::Event;
use crate::store::Store;
use crate::sys::Sys;

/// Files of one layer: path and size; the bytes follow from both.
pub type Files<'a> = &'a [(&'a str, usize)];

/// An image in memory.
pub struct InMemory {
    meta: ImageMeta,
    layers: Vec<Vec<u8>>,
}

impl InMemory {
    /// An image of these layers; each has the directories that a bootable image needs.
    pub fn new(layers: &[Files<'_>]) -> Self {
        let layers: Vec<Vec<u8>> = layers.iter().map(|files| layer(files)).collect();
        let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let ids: Vec<String> = layers.iter().map(|bytes| digest(bytes)).collect();
        let config =
            serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = config.to_string().into_bytes();
        let blob = |kind: &str, bytes: &[u8]| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "config": blob("config.v1+json", &config),
            "layers": layers.iter().map(|bytes| blob("layer.v1.tar", bytes)).collect::<Vec<_>>(),
        });
        let reference = "oci:/in-memory".parse().unwrap();
        Self { meta: ImageMeta::new(&reference, manifest.to_string().into_bytes(), config).unwrap(), layers }
    }

    /// The manifest's digest.
    pub fn digest(&self) -> String {
        let digest: &OciDigest = &self.meta.manifest_digest;
        digest.to_string()
    }

    /// Imports it as an update does.
    pub fn import(&mut self, store: &Store, watch: &(dyn Fn(Event) + Sync)) -> anyhow::Result<Imported> {
        import(self, store, &Sys::real(), Keep::Untagged, watch)
    }
}

impl Source for InMemory {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn layer(&mut self, index: usize) -> fetch::Result<LayerStream<'_>> {
        Ok(LayerStream { compression: Compression::None, reader: Box::new(self.layers[index].as_slice()) })
    }
}

fn layer(files: Files<'_>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let header = |kind, size: usize, mode| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(mode);
        header
    };
    for directory in ["usr", "etc", "boot", "sysroot", "run", "var"] {
        builder.append_data(&mut header(tar::EntryType::Directory, 0, 0o755), directory, &b""[..]).unwrap();
    }
    for (path, size) in files {
        let bytes: Vec<u8> = path.bytes().cycle().take(*size).collect();
        builder.append_data(&mut header(tar::EntryType::Regular, *size, 0o644), path, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}
