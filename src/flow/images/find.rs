//! Which image a name means: one of the store, by tag or digest, or one to fetch.

use anyhow::Context;
use tempfile::TempDir;

use super::NotThere;
use crate::fetch::{self, Options};
use crate::flow::import::{
    images_of, import, manifest_of, manifest_stream, not_bootable, stored_image, Imported, Keep, TAGS,
};
use crate::flow::workshop::scratch_store;
use crate::image::Tree;
use crate::model::image::Digests;
use crate::model::reference::Reference;
use crate::model::Digest;
use crate::store::Store;
use crate::sys::Sys;

/// Fewer digits of a digest are rather a name.
const DIGITS_MIN: usize = 12;

/// What a name means in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An OCI image: the digest of its manifest.
    Manifest(String),
    /// An EROFS image alone.
    Image(Digest),
}

/// Looks names up, in the store first, if there is one.
pub struct Finder<'a> {
    /// The store.
    pub store: Option<&'a Store>,
    /// How to fetch what is not in it.
    pub options: &'a Options,
    /// Where fetched images are taken apart.
    pub sys: &'a Sys,
}

/// A tree, and the objects that it names.
pub(super) struct Opened {
    pub tree: Tree,
    scratch: Option<(Store, TempDir)>,
}

impl Opened {
    /// Reads an object of it.
    fn read(&self, store: Option<&Store>, digest: &Digest) -> std::io::Result<Vec<u8>> {
        let store = self.scratch.as_ref().map(|(store, _)| store).or(store);
        let store = store.ok_or_else(|| std::io::Error::other("there is no store"))?;
        store.read(digest).map_err(std::io::Error::other)
    }
}

impl Finder<'_> {
    /// The image of this name in the store.
    pub fn stored(&self, name: &str) -> anyhow::Result<Option<Found>> {
        self.store.map_or(Ok(None), |store| find(store, name))
    }

    /// The tree of this image.
    pub(super) fn open(&self, name: &str) -> anyhow::Result<Opened> {
        let tree = match (self.stored(name)?, self.store) {
            (Some(found), Some(store)) => found.tree(store)?,
            _ => return self.fetch(&name.parse()?),
        };
        Ok(Opened { tree, scratch: None })
    }

    fn fetch(&self, reference: &Reference) -> anyhow::Result<Opened> {
        let source = fetch::open(reference, self.options)?;
        let (store, scratch) = scratch_store(self.sys)?;
        let tree = import(source.as_ref(), &store, self.sys, Keep::Tagged, &|_| ())?.tree;
        Ok(Opened { tree, scratch: Some((store, scratch)) })
    }
}

impl Found {
    fn tree(&self, store: &Store) -> anyhow::Result<Tree> {
        match self {
            Self::Manifest(digest) => Ok(whole(store, digest)?.tree),
            Self::Image(digest) => Ok(Tree::from_erofs(&store.read(digest)?)?),
        }
    }
}

/// An image of the store, by its manifest's digest.
pub fn whole(store: &Store, manifest_digest: &str) -> anyhow::Result<Imported> {
    let stream = manifest_stream(manifest_digest);
    let tag = store.tags(TAGS)?.into_iter().find(|tag| tag.stream == stream);
    // What no tag keeps has no reference but its digest.
    let reference = tag.and_then(|tag| tag.text.parse().ok());
    let reference = reference.unwrap_or_else(|| Reference::Registry(manifest_digest.to_owned()));
    stored_image(store, manifest_digest, &reference).context("an image of the store is not whole: pull it again")
}

/// Looks for a tag as it is written, the tag of a reference, a manifest's digest or its beginning, an EROFS image's digest.
pub(super) fn find(store: &Store, name: &str) -> anyhow::Result<Option<Found>> {
    let reference = name.parse::<Reference>().map(|reference| reference.to_string()).ok();
    let tags = store.tags(TAGS)?;
    let tag = tags.iter().find(|tag| tag.text == name);
    let tag = tag.or_else(|| tags.iter().find(|tag| Some(&tag.text) == reference.as_ref()));
    if let Some(digest) = tag.and_then(|tag| manifest_of(&tag.stream)) {
        return Ok(Some(Found::Manifest(digest.to_owned())));
    }
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    if digits.len() < DIGITS_MIN || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(None);
    }
    let manifests: Vec<String> = store.stream_names()?.into_keys().collect();
    let begins = manifest_stream(&format!("sha256:{digits}"));
    let mut same = manifests.iter().filter(|name| name.starts_with(&begins)).filter_map(|name| manifest_of(name));
    if let (Some(digest), None) = (same.next(), same.next()) {
        return Ok(Some(Found::Manifest(digest.to_owned())));
    }
    let image = digits.parse::<Digest>().ok().filter(|digest| store.has_image(digest));
    Ok(image.map(|image| {
        let of = manifests
            .iter()
            .filter_map(|name| manifest_of(name))
            .find(|manifest| images_of(store, manifest).is_ok_and(|known| known.plain == Some(image)));
        // A bootable image has labels that no manifest's tree has: it is looked at as it is.
        of.map_or(Found::Image(image), |manifest| Found::Manifest(manifest.to_owned()))
    }))
}

/// Both digests of an image.
pub fn digests(finder: &Finder<'_>, name: &str) -> anyhow::Result<Digests> {
    let stored = finder.stored(name)?;
    if let Some(Found::Image(digest)) = &stored {
        anyhow::bail!(crate::flow::Refused(format!("{digest} is the digest of an image already")));
    }
    let opened = finder.open(name)?;
    let image_digest = opened.tree.write_plain(&mut std::io::sink())?;
    let contents = |digest: &Digest| opened.read(finder.store, digest);
    let bootable = opened.tree.write_bootable(&contents, &mut std::io::sink());
    let (bootable_digest, not_bootable) = match bootable {
        Ok(digest) => (Some(digest), None),
        Err(error) => (None, Some(not_bootable(error.into())?)),
    };
    Ok(Digests { image: name.to_owned(), stored: stored.is_some(), image_digest, bootable_digest, not_bootable })
}

/// The image of this name, which must be in the store.
pub fn require(store: &Store, name: &str) -> anyhow::Result<Found> {
    let not_there = || NotThere { name: name.to_owned(), store: store.path().to_owned() };
    Ok(find(store, name)?.ok_or_else(not_there)?)
}
