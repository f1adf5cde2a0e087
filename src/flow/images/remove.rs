//! rm: tags go. What they kept goes with the next prune, unless another tag or a deployment keeps it.

use super::find::{require, Found};
use crate::flow::import::{manifest_stream, TAGS};
use crate::flow::Refused;
use crate::model::reference::Reference;
use crate::store::{Store, Tag};
use crate::sys::Sys;

/// Removes the tags that these names mean, all or none; gives them. A digest means all tags of that image.
pub fn remove(store: &Store, sys: &Sys, names: &[String]) -> anyhow::Result<Vec<String>> {
    let tags = store.tags(TAGS)?;
    let mut going: Vec<String> = Vec::new();
    for name in names {
        going.extend(meant(store, &tags, name)?);
    }
    going.sort();
    going.dedup();
    going.iter().try_for_each(|tag| store.untag(sys, TAGS, tag))?;
    Ok(going)
}

fn meant(store: &Store, tags: &[Tag], name: &str) -> anyhow::Result<Vec<String>> {
    let reference = name.parse::<Reference>().map(|reference| reference.to_string()).ok();
    for text in [Some(name), reference.as_deref()].into_iter().flatten() {
        if tags.iter().any(|tag| tag.text == text) {
            return Ok(vec![text.to_owned()]);
        }
    }
    let stream = match require(store, name)? {
        Found::Manifest(digest) => manifest_stream(&digest),
        Found::Image(digest) => return Err(Refused(format!("no tag keeps the EROFS image {digest} alone")).into()),
    };
    let texts: Vec<String> = tags.iter().filter(|tag| tag.stream == stream).map(|tag| tag.text.clone()).collect();
    match texts.is_empty() {
        true => Err(Refused(format!("no tag keeps {name}: `cfs-host image list` says who does")).into()),
        false => Ok(texts),
    }
}
