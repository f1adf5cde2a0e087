//! share: images of the store become visible to podman, which can only read them; and what is published follows what the host runs.
//!
//! Observe, decide, apply. The store's tags are the truth, the directory follows them: a tag comes before its image is shown and
//! goes after it is hidden, so whatever podman sees, `prune` keeps. An image that something of podman's builds on is not hidden.

mod load;
mod names;
mod status;
mod wanted;

use std::path::Path;

use anyhow::Context;

use super::host::Host;
use super::images::{require, Found};
use super::import::stored_pieces;
use super::Refused;
use crate::fetch::Stores;
use crate::model::share::{Because, Form, Shared};
use crate::share::published::{self, ASKED, KEPT};
use crate::share::{consider, Directory, Own};
use crate::store::Store;
use crate::sys::Sys;
use load::Known;
pub use status::status;
use wanted::{OfHost, Wanted, Wish};

/// Where a host shows its images.
pub const DIRECTORY: &str = "run/cfs-host/containers";

/// A store, and where podman sees it.
#[derive(Debug)]
pub struct Place<'a> {
    store: &'a Store,
    /// The additional image store.
    directory: Directory,
    /// The host whose store it is, if it is one's.
    host: Option<&'a Host>,
}

impl<'a> Place<'a> {
    /// A store that podman sees in this directory.
    pub fn new(store: &'a Store, directory: &Path, host: Option<&'a Host>) -> Self {
        Self { store, directory: Directory::at(directory), host }
    }
}

/// Publishes an image of the store, by podman's name if one is given; gives the name.
pub fn share(place: &Place<'_>, sys: &Sys, image: &str, name: Option<&str>) -> anyhow::Result<String> {
    require_form(place, sys)?;
    let manifest = match require(place.store, image)? {
        Found::Manifest(digest) => digest,
        Found::Image(digest) => {
            return Err(Refused(format!("{digest} is an EROFS image alone: give the OCI image")).into())
        }
    };
    let name = names::chosen(place.store, image, &manifest, name)?;
    keep_former(place.store, sys, &name, &manifest)?;
    keep(place.store, sys, &manifest, (ASKED, &name))?;
    apply(place, sys, &[])?;
    Ok(name)
}

/// Hides these images, by podman's names or as the store has them; all or none. Gives the names that are gone.
pub fn unshare(place: &Place<'_>, sys: &Sys, images: &[String]) -> anyhow::Result<Vec<String>> {
    let named = |image: &String| names::published(place.store, image);
    let mut leaving: Vec<String> = images.iter().map(named).collect::<anyhow::Result<Vec<_>>>()?.concat();
    leaving.sort();
    leaving.dedup();
    apply(place, sys, &leaving)?;
    Ok(leaving)
}

/// Publishes what should be: after a restart, after an update, or after podman has changed.
pub fn sync(place: &Place<'_>, sys: &Sys) -> anyhow::Result<Shared> {
    place.directory.create(sys)?;
    require_form(place, sys)?;
    apply(place, sys, &[])?;
    status(place, sys)
}

/// Only root mounts, and sees what is mounted.
pub fn require_root() -> Result<(), Refused> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err(Refused("only root can show images to podman, to root's podman: run it as root".to_owned())),
    }
}

/// Fails with the reason if no form is safe here.
pub fn require_form(place: &Place<'_>, sys: &Sys) -> anyhow::Result<()> {
    let considered = consider(&status::ground(place, sys));
    if considered.iter().any(|form| form.chosen) {
        return Ok(());
    }
    let why = considered.into_iter().find(|form| form.form == Form::Mounts).map(|form| form.why).unwrap_or_default();
    Err(Refused(format!("images cannot be shown to podman here: {why}; no other form would be safe")).into())
}

/// Makes the directory what the tags and the host say, but for the names that leave.
fn apply(place: &Place<'_>, sys: &Sys, leaving: &[String]) -> anyhow::Result<()> {
    place.directory.create(sys)?;
    let _locked = place.directory.lock(sys, place.store)?;
    let host = of_host(place.host)?;
    let kept = |image: &OfHost| keep(place.store, sys, &image.manifest, (KEPT, &image.manifest));
    let failed = host.iter().filter_map(|image| kept(image).err()).next();
    let wanted = decide(place.store, host, leaving)?;
    place.directory.publish(sys, place.store, &wanted.images)?;
    for name in leaving {
        place.store.untag(sys, ASKED, name)?;
    }
    for manifest in &wanted.dropped {
        place.store.untag(sys, KEPT, manifest)?;
    }
    // What else there is, podman sees by now.
    failed.map_or(Ok(()), Err)
}

/// What is to be seen, and what podman has itself.
fn decide(store: &Store, host: Vec<OfHost>, leaving: &[String]) -> anyhow::Result<Wanted> {
    let own = Own::read(&Stores::read()?.own)?;
    let manifest = |stream: &str| published::manifest_of(stream).map(str::to_owned);
    let asked = store.tags(ASKED)?.into_iter().filter_map(|tag| Some((tag.text, manifest(&tag.stream)?))).collect();
    let kept = store.tags(KEPT)?.into_iter().filter_map(|tag| manifest(&tag.stream)).collect();
    let wish = Wish { asked, kept, host, leaving: leaving.to_vec() };
    Ok(wish.decide(&Known::load(store, wish.manifests()), &own)?)
}

/// A name moves on to another image: the one that had it stays until it is sure that nothing of podman's builds on it.
fn keep_former(store: &Store, sys: &Sys, name: &str, manifest: &str) -> anyhow::Result<()> {
    let tags = store.tags(ASKED)?;
    let former = tags.iter().find(|tag| tag.text == name).and_then(|tag| published::manifest_of(&tag.stream));
    match former.filter(|former| *former != manifest) {
        Some(former) => Ok(published::tag_as(store, sys, former, (KEPT, former))?),
        None => Ok(()),
    }
}

/// Everything that podman will see of an image, under a tag; durable on return.
fn keep(store: &Store, sys: &Sys, manifest: &str, tag: (&str, &str)) -> anyhow::Result<()> {
    let pieces = stored_pieces(store, manifest)?;
    let layers: Vec<_> = pieces.layers.iter().map(|(id, stream, _)| (*id, *stream)).collect();
    let kept = published::keep(store, sys, (manifest, &pieces.manifest_stream), &layers, tag);
    kept.with_context(|| format!("cannot publish {manifest}"))
}

/// What the host runs, what waits for the shutdown, and what both bind.
fn of_host(host: Option<&Host>) -> anyhow::Result<Vec<OfHost>> {
    let Some(host) = host else { return Ok(Vec::new()) };
    let booted = host.origin(&host.deployment)?;
    let mut found = vec![OfHost::new(&booted.manifest_digest, &booted.reference, Because::Booted)];
    let mut bound = booted.bound_images;
    if let Some(staged) = host.staged()? {
        found.push(OfHost::new(&staged.manifest_digest, &staged.reference, Because::Staged));
        // What runs has a name first: a tag that has moved on means the new image once that is booted.
        bound.extend(host.origin(&staged.deployment)?.bound_images);
    }
    found.extend(bound.iter().map(|one| OfHost::new(&one.manifest_digest, &one.reference, Because::Bound)));
    Ok(found)
}
