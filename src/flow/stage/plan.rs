//! What an update will take, before anything but the manifest is fetched.

use cfs_init::names::uki_file_name;

use super::image_version;
use crate::boot::running_esp::RunningEsp;
use crate::fetch::ImageMeta;
use crate::flow::bound;
use crate::flow::host::Host;
use crate::flow::import::{growth, known_layers, stored_tree, unknown_layers};
use crate::flow::prune;
use crate::model::update::UpdatePlan;
use crate::seal::annotations::Seal;
use crate::seal::files::ImageFiles;
use crate::store::Store;

/// Metadata of a deployment: EROFS image, `/etc`, records.
pub(super) const DEPLOYMENT: u64 = 32 << 20;
/// Entries and rounding on the ESP.
const ESP_SLACK: u64 = 64 << 10;

/// Reads only.
pub fn plan(host: &Host, esp: &RunningEsp, meta: &ImageMeta, store: &Store) -> anyhow::Result<UpdatePlan> {
    let unknown = unknown_layers(meta, store)?;
    let bytes_to_fetch: u64 = unknown.iter().map(|(_, size)| size).sum();
    let store_growth = growth(meta, store)?.saturating_add(DEPLOYMENT);
    let esp_peak = esp_peak(esp, meta)?;
    let stat = rustix::fs::statvfs(host.sysroot()).map_err(std::io::Error::from)?;
    let need = prune::Need {
        esp: esp_peak,
        store: store_growth,
        keep: prune::Also { streams: known_layers(meta, store)?, ..prune::Also::default() },
    };
    let remove = prune::room_for(host, esp, &need)?;
    Ok(UpdatePlan {
        api_version: "cfs-host/v1",
        kind: "Update",
        reference: meta.reference.to_string(),
        manifest_digest: meta.manifest_digest.to_string(),
        image_version: image_version(meta),
        layers: meta.manifest.layers().len(),
        new_layers: unknown.len(),
        bytes_to_fetch,
        store_growth,
        store_free: stat.f_bavail.saturating_mul(stat.f_frsize),
        esp_peak,
        esp_free: esp.free()?,
        bound_images: bound_images(meta, store),
        remove: remove.iter().map(ToString::to_string).collect(),
    })
}

/// What it binds, if the image is in the store and can say so.
fn bound_images(meta: &ImageMeta, store: &Store) -> Option<Vec<String>> {
    let tree = stored_tree(store, meta.manifest_digest.as_ref()).ok()?;
    let named = bound::named(&ImageFiles { tree: &tree, store }).ok()?;
    Some(named.into_iter().map(|named| named.reference.to_string()).collect())
}

/// The UKI, unless it is there already: many versions of an image share one.
fn esp_peak(esp: &RunningEsp, meta: &ImageMeta) -> anyhow::Result<u64> {
    let Some(hint) = Seal::read(&meta.manifest)?.and_then(|seal| seal.uki) else {
        // An older seal does not say; the layer that it adds holds little else.
        let last = meta.manifest.layers().last().map_or(0, |layer| layer.size());
        return Ok(last.saturating_mul(2).saturating_add(ESP_SLACK));
    };
    let known = esp.ukis()?.contains(&uki_file_name(hint.sha256.as_bytes()));
    Ok(if known { ESP_SLACK } else { hint.size.saturating_add(ESP_SLACK) })
}
