//! Images of the store as podman's records of them.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::MediaType;

use crate::flow::import::{stored_pieces, Pieces};
use crate::share::published::{self, StoredLayer};
use crate::share::{chain_ids, Image, ImageRecord, Layer, LayerRecord};
use crate::store::Store;

/// When nobody says.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Images by their manifests.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// All listed, and without names.
    pub images: BTreeMap<String, Image>,
    /// Those that the store does not have whole, and why.
    pub broken: BTreeMap<String, String>,
}

impl Known {
    /// Reads all of them; one that is broken does not stand in the way of the others.
    pub fn load(store: &Store, manifests: BTreeSet<String>) -> Self {
        let mut known = Self::default();
        for manifest in manifests {
            match image(store, &manifest) {
                Ok(image) => drop(known.images.insert(manifest, image)),
                Err(error) => drop(known.broken.insert(manifest, format!("{error:#}"))),
            }
        }
        known
    }
}

fn image(store: &Store, manifest: &str) -> anyhow::Result<Image> {
    let Pieces { meta, layers, .. } = stored_pieces(store, manifest)?;
    let stored: Vec<StoredLayer> = layers.iter().map(|(id, stream, _)| (*id, *stream)).collect();
    let parts = published::parts(store, &stored)?;
    let ids = chain_ids(&layers.iter().map(|(id, ..)| *id).collect::<Vec<_>>());
    let created = meta.config.created().clone().unwrap_or(EPOCH.to_owned());
    let mut found = Vec::new();
    for (at, ((diff_id, _, size), blob)) in layers.iter().zip(meta.manifest.layers()).enumerate() {
        let record = LayerRecord {
            id: ids[at].clone(),
            parent: at.checked_sub(1).map(|below| ids[below].clone()),
            created: created.clone(),
            compressed_diff_digest: blob.digest().to_string(),
            compressed_size: blob.size(),
            diff_digest: format!("sha256:{}", hex::encode(diff_id)),
            diff_size: *size,
            compression: compression(blob.media_type()),
        };
        found.push(Layer { record, below: ids[..at].iter().rev().cloned().collect(), parts: parts[at] });
    }
    let config_digest = meta.manifest.config().digest().to_string();
    let top = ids.last().cloned().unwrap_or_default();
    let documents = ((manifest, &meta.manifest_bytes[..]), (&*config_digest, &meta.config_bytes[..]));
    let record = ImageRecord::new(documents.0, documents.1, &top, &created);
    Ok(Image { record, layers: found, listed: true })
}

/// containers/storage's number.
fn compression(media_type: &MediaType) -> u8 {
    match media_type.to_string().rsplit(['.', '+']).next() {
        Some("gzip") => 2,
        Some("zstd") => 4,
        _ => 0,
    }
}
