//! The images that a new image binds: told, given room, brought. The image itself is verified by then, so nobody else chooses what is fetched.

use super::plan::DEPLOYMENT;
use super::{Offer, Request};
use crate::flow::admit::Admitted;
use crate::flow::bound::{self, Opened};
use crate::flow::import::{known_layers, manifest_stream};
use crate::flow::prune::{Also, Need};
use crate::model::progress::Event;
use crate::model::update::UpdatePlan;
use crate::seal::files::ImageFiles;
use crate::store::Store;

/// Their manifests, each told.
pub fn open(
    admitted: &Admitted,
    store: &Store,
    request: &Request,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<Vec<Opened>> {
    let imported = &admitted.imported;
    let named = bound::named(&ImageFiles { tree: &imported.tree, store })?;
    let architecture = imported.meta.config.architecture().to_string();
    let opened = bound::open(named, bound::From::References, &request.fetch, &architecture, store)?;
    opened.iter().for_each(|one| watch(Event::Step(one.plan.text())));
    Ok(opened)
}

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
