//! What stays in the store for a new image and for those that it binds.

use super::plan::DEPLOYMENT;
use super::Offer;
use crate::flow::admit::Admitted;
use crate::flow::bound::{self, Opened};
use crate::flow::import::{known_layers, manifest_stream};
use crate::flow::prune::{Also, Need};
use crate::model::update::UpdatePlan;
use crate::store::Store;

/// Room for them, beside what is there already of the new deployment.
pub fn need(admitted: &Admitted, opened: &[Opened], plan: &UpdatePlan, store: &Store) -> anyhow::Result<Need> {
    let (growth, mut streams) = bound::need(opened, store)?;
    streams.push(manifest_stream(&plan.manifest_digest));
    let keep = Also { images: vec![admitted.image], streams };
    Ok(Need { esp: plan.esp_peak, store: growth.saturating_add(DEPLOYMENT), keep })
}

/// Streams that need not be fetched again. If this image is here already, a former run failed later on, at an image that it binds: what
/// there is of those is not known yet, so all stays, if there is room for that.
pub fn builds_on(offer: &Offer, store: &Store) -> anyhow::Result<Vec<String>> {
    let has_room = offer.plan.store_free >= offer.plan.store_growth;
    if has_room && store.stream(&manifest_stream(&offer.plan.manifest_digest))?.is_some() {
        return Ok(store.stream_names()?.into_keys().filter(|name| name.starts_with("oci-")).collect());
    }
    known_layers(offer.source.image(), store)
}
