//! pull: fetch ► import ► EROFS images ► fs-verity, and a tag that keeps all of it.
//!
//! An image that is there costs its manifest: no blob is asked for, nothing is written.

use std::path::PathBuf;

use crate::fetch::{self, ImageMeta, Options};
use crate::flow::import::{
    growth, import, keep_images, known_config, manifest_stream, stored_image, Imported, Keep, TAGS,
};
use crate::model::image::Pulled;
use crate::model::progress::Event;
use crate::model::reference::Reference;
use crate::store::Store;
use crate::sys::Sys;

/// The file system is full.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is full: what is not there yet of {reference} needs about {needed} bytes and its EROFS images, {free} are free; make room (`cfs-host prune`) \
     and pull it again, what is there already is not fetched again", store.display()
)]
pub struct NoRoom {
    reference: String,
    store: PathBuf,
    needed: u64,
    free: u64,
}

/// Brings an image into a store.
pub fn pull(
    reference: &Reference,
    options: &Options,
    store: &Store,
    sys: &Sys,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<Pulled> {
    watch(Event::Step(format!("Looking at {reference}")));
    let known = |digest: &oci_spec::image::Digest| known_config(store, digest.as_ref());
    let source = fetch::open_knowing(reference, options, &known)?;
    let meta = source.image().clone();
    let work = || {
        let imported = match stored_image(store, meta.manifest_digest.as_ref(), reference) {
            Ok(known) => {
                watch(Event::Step("The image is there already".to_owned()));
                tag(&meta, store, sys)?;
                known
            }
            // Not there, or not whole: what is sound of it is not read again.
            Err(_) => import(source.as_ref(), store, sys, Keep::Tagged, watch)?,
        };
        finish(imported, store, sys, watch)
    };
    let pulled = work().map_err(|error| explain(error, &meta, store))?;
    Ok(Pulled { bytes_fetched: pulled.bytes_fetched + source.bytes_again(), ..pulled })
}

/// The tag, if it is not there; durable on return.
fn tag(meta: &ImageMeta, store: &Store, sys: &Sys) -> anyhow::Result<()> {
    let (tag, name) = (meta.reference.to_string(), manifest_stream(meta.manifest_digest.as_ref()));
    if store.is_tagged(TAGS, &tag, &name) {
        return Ok(());
    }
    store.tag_stream(sys, TAGS, &tag, &name)?;
    Ok(store.sync(sys)?)
}

fn finish(imported: Imported, store: &Store, sys: &Sys, watch: &(dyn Fn(Event) + Sync)) -> anyhow::Result<Pulled> {
    watch(Event::Step("Making the EROFS images".to_owned()));
    let made = keep_images(&imported, store, sys)?;
    watch(Event::Step("Protecting the objects".to_owned()));
    for image in [Some(&made.plain), made.bootable.as_ref().ok()].into_iter().flatten() {
        store.protect(sys, image)?;
    }
    let Imported { meta, stats, .. } = imported;
    Ok(Pulled {
        reference: meta.reference.to_string(),
        manifest_digest: meta.manifest_digest.to_string(),
        image_digest: made.plain,
        bootable_digest: made.bootable.as_ref().ok().copied(),
        not_bootable: made.bootable.err(),
        bytes_fetched: stats.bytes_fetched,
        bytes_written: stats.bytes_written + made.new_bytes,
        objects_new: stats.objects_new + made.new,
        objects_total: stats.objects_total,
        shared: stats.shared,
    })
}

/// Says how much room was needed if that is what failed.
fn explain(error: anyhow::Error, meta: &ImageMeta, store: &Store) -> anyhow::Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let full = error.chain().any(|cause| {
        let error = cause.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| matches!(error.kind(), StorageFull | QuotaExceeded))
    });
    let needed = growth(meta, store).unwrap_or_default();
    match rustix::fs::statvfs(store.path()) {
        Ok(stat) if full => error.context(NoRoom {
            reference: meta.reference.to_string(),
            store: store.path().to_owned(),
            needed,
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        }),
        _ => error,
    }
}
