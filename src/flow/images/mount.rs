//! mount: an image of the store at a directory, each byte checked by the kernel as it is read.
//!
//! Without fs-verity nothing would be checked: that is refused unless the caller says so.

use std::path::Path;

use super::find::{require, Found};
use crate::flow::import::images_of;
use crate::flow::Refused;
use crate::model::Digest;
use crate::store::Store;
use crate::sys::{Composefs, Sys, Verity};

/// Whether contents are checked as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checking {
    /// By fs-verity, or it is refused.
    Required,
    /// Not at all, where the store has no fs-verity: the caller said that this is fine.
    Waived,
}

/// Mounts the image of this name; its bootable image if that is asked for. Gives its digest, and whether contents are checked.
pub fn mount(
    store: &Store,
    sys: &Sys,
    name: &str,
    bootable: bool,
    checking: Checking,
    at: &Path,
) -> anyhow::Result<(Digest, Verity)> {
    let digest = image(store, name, bootable)?;
    let (file, verity) = store.open_protected(sys, &digest)?;
    if verity == Verity::Off && checking == Checking::Required {
        return Err(Refused(format!(
            "{} has no fs-verity, so nothing that is read would be checked: use a file system that has it \
             (ext4: `tune2fs -O verity`), or say --no-verity",
            store.path().display()
        ))
        .into());
    }
    let objects = store.objects();
    sys.mount_composefs(
        &Composefs { image: &file, name: &digest.to_hex(), objects: &objects, verity, owners: None },
        at,
    )?;
    Ok((digest, verity))
}

fn image(store: &Store, name: &str, bootable: bool) -> anyhow::Result<Digest> {
    let manifest = match require(store, name)? {
        Found::Image(digest) => return Ok(digest),
        Found::Manifest(manifest) => manifest,
    };
    let images = images_of(store, &manifest)?;
    let image = if bootable { images.bootable } else { images.plain };
    let missing = || {
        let kind = if bootable { "bootable " } else { "" };
        Refused(format!(
            "the store has no {kind}EROFS image of {name}: `cfs-host image pull` makes it, if there is one"
        ))
    };
    Ok(image.filter(|digest| store.has_image(digest)).ok_or_else(missing)?)
}
