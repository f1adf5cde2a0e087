//! The EROFS images of an imported image: made, stored under `images/`, and kept by the configuration's stream, as composefs-rs keeps
//! its own, so they stay as long as the image does.
//!
//! On disk: objects ► their names ► the configuration's and the manifest's stream anew. Nothing is written if all that is there.

use std::io::{self, BufWriter, Write};

use anyhow::ensure;

use super::stored::Documents;
use super::{config_stream, manifest_stream, Document, Imported, CONFIG_STREAM, MANIFEST_STREAM};
use crate::image;
use crate::model::Digest;
use crate::store::{Store, Stored};
use crate::sys::Sys;

/// By these words composefs-rs refers to images of format 1.
const PLAIN: &str = "composefs.image.v1";
const BOOTABLE: &str = "composefs.image.boot.v1";
const BUFFER: usize = 256 << 10;

/// Images that a store has of one OCI image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// The plain one.
    pub plain: Option<Digest>,
    /// The bootable one.
    pub bootable: Option<Digest>,
}

/// Images that were made, or were there.
#[derive(Clone, Debug)]
pub struct MadeImages {
    /// The plain one's digest.
    pub plain: Digest,
    /// The bootable one's, or why there is none.
    pub bootable: Result<Digest, String>,
    /// How many are new.
    pub new: u64,
    /// Their bytes.
    pub new_bytes: u64,
}

/// The images that the streams of a manifest refer to; they may be gone.
pub fn images_of(store: &Store, manifest_digest: &str) -> anyhow::Result<Images> {
    Ok(named(&Documents::read(store, manifest_digest)?))
}

fn named(documents: &Documents) -> Images {
    let name = |key| documents.config.reader.names.get(key).copied();
    Images { plain: name(PLAIN), bootable: name(BOOTABLE) }
}

/// Makes both images of an image that is in the store, and keeps them there with it.
pub fn keep_images(imported: &Imported, store: &Store, sys: &Sys) -> anyhow::Result<MadeImages> {
    let manifest_digest = imported.meta.manifest_digest.as_ref();
    let documents = Documents::read(store, manifest_digest)?;
    let known = named(&documents);
    let contents = |digest: &Digest| store.read(digest).map_err(io::Error::other);
    let tree = &imported.tree;
    let (plain, first) = one(store, sys, known.plain, &|mut out| tree.write_plain(&mut out))?;
    let bootable = match one(store, sys, known.bootable, &|mut out| tree.write_bootable(&contents, &mut out)) {
        Ok(made) => Ok(made),
        Err(error) => Err(not_bootable(error)?),
    };
    let second = bootable.as_ref().ok().and_then(|(_, stored)| *stored);
    let bootable = bootable.map(|(digest, _)| digest);
    let made = Images { plain: Some(plain), bootable: bootable.as_ref().ok().copied() };
    let digests: Vec<Digest> = made.plain.into_iter().chain(made.bootable).collect();
    if !digests.iter().all(|digest| store.has_image(digest)) {
        store.name_images(sys, &digests)?;
    }
    if made != known {
        refer(&documents, manifest_digest, &made, store, sys)?;
    }
    let stored: Vec<Stored> = first.into_iter().chain(second).filter(|stored| stored.new).collect();
    let (new, new_bytes) = (stored.len() as u64, stored.iter().map(|stored| stored.size).sum());
    Ok(MadeImages { plain, bootable, new, new_bytes })
}

/// Why an image is not bootable, if that is what the error says; every other error is one.
pub fn not_bootable(error: anyhow::Error) -> anyhow::Result<String> {
    match error.downcast_ref::<image::Error>() {
        Some(why @ (image::Error::MissingDirectory { .. } | image::Error::Policy { .. })) => Ok(why.to_string()),
        _ => Err(error),
    }
}

type WriteImage<'a> = dyn Fn(&mut dyn Write) -> image::Result<Digest> + 'a;

/// Makes one image: its digest, and what was stored if it was not there.
fn one(
    store: &Store,
    sys: &Sys,
    known: Option<Digest>,
    write: &WriteImage<'_>,
) -> anyhow::Result<(Digest, Option<Stored>)> {
    if let Some(known) = known.filter(|known| store.has_image(known)) {
        if write(&mut io::sink())? == known {
            return Ok((known, None));
        }
    }
    let mut incoming = BufWriter::with_capacity(BUFFER, store.incoming(sys)?);
    let digest = write(&mut incoming)?;
    let stored = incoming.into_inner().map_err(io::IntoInnerError::into_error)?.finish(store, sys)?;
    ensure!(stored.digest == digest, "an image was written as {} and is {digest}", stored.digest);
    Ok((digest, Some(stored)))
}

/// The configuration's stream refers to the images, and the manifest's to that stream.
fn refer(documents: &Documents, manifest_digest: &str, made: &Images, store: &Store, sys: &Sys) -> anyhow::Result<()> {
    let digest = &documents.config_digest;
    let mut names = documents.config.reader.names.clone();
    for (key, image) in [(PLAIN, made.plain), (BOOTABLE, made.bootable)] {
        names.remove(key);
        names.extend(image.map(|image| (key.to_owned(), image)));
    }
    let bytes = &documents.config.bytes;
    let config = Document { name: config_stream(digest), kind: CONFIG_STREAM, bytes };
    let config_at = config.put(store, sys, &names.into_iter().collect::<Vec<_>>())?;
    let mut names = documents.manifest.reader.names.clone();
    names.insert(format!("config:{digest}"), config_at);
    let bytes = &documents.manifest.bytes;
    let manifest = Document { name: manifest_stream(manifest_digest), kind: MANIFEST_STREAM, bytes };
    let manifest_at = manifest.put(store, sys, &names.into_iter().collect::<Vec<_>>())?;
    store.sync(sys)?;
    store.name_stream(sys, &config.name, &config_at)?;
    store.name_stream(sys, &manifest.name, &manifest_at)?;
    Ok(store.sync(sys)?)
}
