//! podman's names of what the store has.

use std::path::Path;

use crate::flow::images::{require, Found};
use crate::flow::import::{manifest_stream, TAGS};
use crate::flow::Refused;
use crate::model::reference::Reference;
use crate::share::podman_name;
use crate::share::published;
use crate::store::Store;

/// The name under which podman shall see this image: the given one, else that of a reference under which the store has it.
pub(super) fn chosen(store: &Store, image: &str, manifest: &str, name: Option<&str>) -> anyhow::Result<String> {
    if let Some(name) = name {
        let full = podman_name(name);
        return Ok(full.ok_or_else(|| Refused(format!("podman would not take the name {name:?}")))?);
    }
    let asked = image.parse::<Reference>().map(|reference| reference.to_string()).unwrap_or_default();
    let stream = manifest_stream(manifest);
    let tags = store.tags(TAGS)?;
    let same = || tags.iter().filter(|tag| tag.stream == stream);
    let tag = same().find(|tag| tag.text == asked).or_else(|| same().next());
    let full = tag.and_then(|tag| of_reference(&tag.text));
    Ok(full.ok_or_else(|| Refused(format!("podman would take no name of {image}: give it one with --name")))?)
}

/// The names under which somebody published this image, by the tags in this folder: one of podman's, or all that it has.
pub(super) fn published(store: &Store, folder: &str, image: &str) -> anyhow::Result<Vec<String>> {
    let tags = store.tags(folder)?;
    let candidates = [podman_name(image), of_reference(image)];
    if let Some(tag) = tags.iter().find(|tag| candidates.contains(&Some(tag.text.clone()))) {
        return Ok(vec![tag.text.clone()]);
    }
    let stream = match require(store, image) {
        Ok(Found::Manifest(digest)) => Some(published::stream_name(&digest)),
        _ => None,
    };
    let found: Vec<String> =
        tags.into_iter().filter(|tag| Some(&tag.stream) == stream.as_ref()).map(|tag| tag.text).collect();
    match found.is_empty() {
        true => Err(Refused(format!("nobody published {image}: `cfs-host image shared` lists what is")).into()),
        false => Ok(found),
    }
}

/// The name that a reference has for podman.
fn of_reference(reference: &str) -> Option<String> {
    let of_path = |path: &Path, tag: Option<String>| {
        let name = path.file_name()?.to_str()?.trim_end_matches(".tar").to_owned();
        podman_name(&format!("localhost/{name}:{}", tag.unwrap_or("latest".to_owned())))
    };
    match reference.parse::<Reference>().ok()? {
        Reference::Registry(name) | Reference::ContainersStorage(name) => {
            podman_name(name.split_once('@').map_or(&*name, |(name, _)| name))
        }
        Reference::OciDir { path, tag } | Reference::OciArchive { path, tag } => of_path(&path, tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_has_a_name_for_what_a_reference_names() {
        for (reference, name) in [
            ("docker://example.org/host:v1", Some("example.org/host:v1")),
            ("example.org/host@sha256:00", Some("example.org/host:latest")),
            ("oci:/srv/images/app:v1", Some("localhost/app:v1")),
            ("oci:/srv/images/app", Some("localhost/app:latest")),
            ("oci-archive:/srv/app.tar:v1", Some("localhost/app:v1")),
            ("oci:/srv/.tmpAbC:v1", None),
        ] {
            assert_eq!(of_reference(reference).as_deref(), name, "{reference}");
        }
    }
}
