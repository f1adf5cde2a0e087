//! share: images of the store become visible to podman, which can only read them; and what is published follows what the host runs.
//!
//! Observe, decide, apply. The store's tags are the truth, the directory follows them: a tag comes before its image is shown and
//! goes after it is hidden, so whatever podman sees, `prune` keeps. An image that something of podman's builds on is not hidden.

mod load;
mod names;
mod status;
mod user;
mod wanted;

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::host::Host;
use super::images::{require, Found};
use super::import::stored_pieces;
use super::Refused;
use crate::fetch::Stores;
use crate::model::share::{Because, Form, Shared};
use crate::share::published::{self, ASKED, KEPT};
use crate::share::{consider, Damaged, Directory, Own};
use crate::store::Store;
use crate::sys::{parent, Sys};
use load::Known;
pub use status::status;
pub use user::User;
use wanted::{OfHost, Wanted, Wish};

/// Where a host shows its images.
pub const DIRECTORY: &str = "run/cfs-host/containers";
/// Where it shows users theirs.
pub const USERS: &str = "run/cfs-host/users";
/// A user's folders of tags have the name behind those of root's.
const OF_USER: &str = "share@";
const KEPT_OF_USER: &str = "share-kept@";
/// A user's additional image store, and what leads podman there, in the user's directory.
const STORE: &str = "containers";
const CONFIG: &str = "storage.conf";

/// A store, and where podman sees it.
#[derive(Debug)]
pub struct Place<'a> {
    store: &'a Store,
    /// The additional image store.
    directory: Directory,
    /// The host whose store it is, if it is one's.
    host: Option<&'a Host>,
    /// Whose podman it is, if not root's.
    user: Option<User>,
    /// The folders of tags.
    asked: String,
    kept: String,
}

impl<'a> Place<'a> {
    /// A store that podman sees in this directory.
    pub fn new(store: &'a Store, directory: &Path, host: Option<&'a Host>) -> Self {
        let (asked, kept) = (ASKED.to_owned(), KEPT.to_owned());
        Self { store, directory: Directory::at(directory), host, user: None, asked, kept }
    }

    /// A store of which this user's podman sees, in this directory, what is published for it. Not what the host runs: in its own podman
    /// a user may read all files of an image.
    pub fn of_user(store: &'a Store, directory: &Path, user: User) -> Self {
        let path = directory.join(STORE);
        let directory = match user.ids() {
            Ok(whose) => Directory::of_user(&path, whose),
            // The planner says why nothing can be shown there.
            Err(_) => Directory::at(&path),
        };
        let (asked, kept) = (folder_of(&user.name), format!("{KEPT_OF_USER}{}", user.name));
        Self { store, directory, host: None, user: Some(user), asked, kept }
    }

    /// The directory, ready for podman.
    fn create(&self, sys: &Sys) -> anyhow::Result<()> {
        if let (Some(_), Some(own)) = (&self.user, self.directory.path().parent()) {
            sys.create_dir(parent(own), 0o711)?;
        }
        self.directory.create(sys)?;
        match self.config() {
            // After the store: podman refuses every command where one that is named is missing.
            Some((path, text)) if std::fs::read_to_string(&path).ok().as_deref() != Some(&text) => {
                Ok(sys.write_file(&path, text.as_bytes(), 0o644)?)
            }
            _ => Ok(()),
        }
    }

    /// What the user's podman reads where the user has no settings.
    fn config(&self) -> Option<(PathBuf, String)> {
        let user = self.user.as_ref()?;
        let store = self.directory.path();
        let text = format!(
            "# Made by cfs-host at each start: podman of {} sees images of the host's store. Who takes away the link that leads here,\n\
             # or puts a file of his own in its place, has podman's defaults, or those; with the last line images are seen there too.\n\
             [storage]\ndriver = \"overlay\"\n[storage.options]\nadditionalimagestores = [\"{}\"]\n",
            user.name,
            store.display()
        );
        Some((store.with_file_name(CONFIG), text))
    }
}

/// Users for whom something is, or was, published.
pub fn users(store: &Store) -> anyhow::Result<Vec<String>> {
    Ok(store.tag_folders(OF_USER)?)
}

/// The folder of tags of what is published for a user.
pub fn folder_of(user: &str) -> String {
    format!("{OF_USER}{user}")
}

/// Has a user's podman look where images are shown, unless the user has settings.
pub fn configure(place: &Place<'_>, sys: &Sys) -> anyhow::Result<()> {
    match (&place.user, place.config()) {
        (Some(user), Some((config, _))) => user.configure(sys, &config),
        _ => Ok(()),
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
    keep_former(place, sys, &name, &manifest)?;
    keep(place.store, sys, &manifest, (&place.asked, &name))?;
    match apply(place, sys, &[])?.remove(&manifest) {
        Some(why) => Err(Refused(format!("{name} is not shown to podman: {why}")).into()),
        None => Ok(name),
    }
}

/// Hides these images, by podman's names or as the store has them; all or none. Gives the names that are gone.
pub fn unshare(place: &Place<'_>, sys: &Sys, images: &[String]) -> anyhow::Result<Vec<String>> {
    let named = |image: &String| names::published(place.store, &place.asked, image);
    let mut leaving: Vec<String> = images.iter().map(named).collect::<anyhow::Result<Vec<_>>>()?.concat();
    leaving.sort();
    leaving.dedup();
    apply(place, sys, &leaving)?;
    Ok(leaving)
}

/// Publishes what should be: after a restart, after an update, or after podman has changed.
pub fn sync(place: &Place<'_>, sys: &Sys) -> anyhow::Result<Shared> {
    if place.user.is_none() {
        // Whatever follows, root's podman works.
        place.create(sys)?;
        require_form(place, sys)?;
    }
    let damaged = apply(place, sys, &[])?;
    let mut shared = status(place, sys)?;
    shared.images.retain(|image| !damaged.contains_key(&image.manifest_digest));
    shared.broken.extend(damaged);
    Ok(shared)
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
    let considered = consider(&status::ground(place, sys)?);
    if considered.iter().any(|form| form.chosen) {
        return Ok(());
    }
    let why = considered.into_iter().find(|form| form.form == Form::Mounts).map(|form| form.why).unwrap_or_default();
    Err(Refused(format!("images cannot be shown to podman here: {why}; no other form would be safe")).into())
}

/// Makes the directory what the tags and the host say, but for the names that leave, and for images that are damaged, which it gives.
fn apply(place: &Place<'_>, sys: &Sys, leaving: &[String]) -> anyhow::Result<Damaged> {
    if place.user.is_some() {
        require_form(place, sys)?;
    }
    place.create(sys)?;
    let _locked = place.directory.lock(sys, place.store)?;
    let host = of_host(place.host)?;
    let kept = |image: &OfHost| keep(place.store, sys, &image.manifest, (&place.kept, &image.manifest));
    let failed = host.iter().filter_map(|image| kept(image).err()).next();
    let wanted = decide(place, sys, host, leaving)?;
    let damaged = place.directory.publish(sys, place.store, &wanted.images)?;
    for name in leaving {
        place.store.untag(sys, &place.asked, name)?;
    }
    for manifest in &wanted.dropped {
        place.store.untag(sys, &place.kept, manifest)?;
    }
    // What else there is, podman sees by now.
    failed.map_or(Ok(damaged), Err)
}

/// What is to be seen, and what podman has itself.
fn decide(place: &Place<'_>, sys: &Sys, host: Vec<OfHost>, leaving: &[String]) -> anyhow::Result<Wanted> {
    let store = place.store;
    let own = match &place.user {
        Some(user) => user.own(sys)?,
        None => Own::read(&Stores::read()?.own)?,
    };
    let manifest = |stream: &str| published::manifest_of(stream).map(str::to_owned);
    let asked =
        store.tags(&place.asked)?.into_iter().filter_map(|tag| Some((tag.text, manifest(&tag.stream)?))).collect();
    let kept = store.tags(&place.kept)?.into_iter().filter_map(|tag| manifest(&tag.stream)).collect();
    let wish = Wish { asked, kept, host, leaving: leaving.to_vec() };
    Ok(wish.decide(&Known::load(store, wish.manifests()), &own)?)
}

/// A name moves on to another image: the one that had it stays until it is sure that nothing of podman's builds on it.
fn keep_former(place: &Place<'_>, sys: &Sys, name: &str, manifest: &str) -> anyhow::Result<()> {
    let tags = place.store.tags(&place.asked)?;
    let former = tags.iter().find(|tag| tag.text == name).and_then(|tag| published::manifest_of(&tag.stream));
    match former.filter(|former| *former != manifest) {
        Some(former) => Ok(published::tag_as(place.store, sys, former, (&place.kept, former))?),
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
