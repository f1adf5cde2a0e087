//! fsck: the store as such, the OCI images in it, and what deployments need of it. Reads only.

use std::path::Path;

use crate::deploy::layout::{self, REPOSITORY};
use crate::flow::import::{check_layer, check_manifest, manifest_of, manifest_stream};
use crate::flow::prune::deployments;
use crate::model::fsck::{Checked, Finding};
use crate::store::Store;

const AGAIN: &str = "pull the image again, or update: what is sound of it is kept";
const START_ANOTHER: &str =
    "start another deployment (`cfs-host rollback`), then remove this one with `cfs-host prune`, or install again";

/// Something is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{store} is not clean: {findings} findings")]
pub struct Unclean {
    store: String,
    findings: usize,
}

/// Checks a store, and the deployments beside it. `contents`: objects with fs-verity are read as well.
pub fn fsck(sysroot: &Path, contents: bool) -> anyhow::Result<Checked> {
    let store = Store::open(&sysroot.join(REPOSITORY))?;
    let mut checked = store.check(contents)?;
    check_images(&store, &mut checked)?;
    check_deployments(sysroot, &store, &mut checked)?;
    Ok(checked)
}

/// Fails if something was found.
pub fn require(sysroot: &Path, checked: &Checked) -> Result<(), Unclean> {
    match checked.findings.len() {
        0 => Ok(()),
        findings => Err(Unclean { store: sysroot.join(REPOSITORY).display().to_string(), findings }),
    }
}

/// Layers are tar streams, manifests and configurations are those of their digests. What was found already is not told twice.
fn check_images(store: &Store, checked: &mut Checked) -> anyhow::Result<()> {
    let folder = store.path().join("streams");
    let told = |checked: &Checked, path: &str| checked.findings.iter().any(|finding| finding.path == path);
    // Names that lead nowhere are findings already, and stop a plain listing.
    let Ok(names) = store.stream_names() else { return Ok(()) };
    for (name, stream) in names {
        let path = folder.join(&name).display().to_string();
        if told(checked, &path) {
            continue;
        }
        let sound = match manifest_of(&name) {
            Some(digest) => check_manifest(store, digest),
            None => check_layer(store, &name, &stream),
        };
        if let Err(error) = sound {
            checked.findings.push(Finding { path, what: format!("{error:#}"), advice: AGAIN.to_owned() });
        }
    }
    Ok(())
}

/// Each deployment has its origin, its signature, its image and its manifest.
fn check_deployments(sysroot: &Path, store: &Store, checked: &mut Checked) -> anyhow::Result<()> {
    for (id, directory) in deployments(sysroot)? {
        checked.deployments += 1;
        let place = layout::deployment(sysroot, &id);
        let mut wrong = Vec::new();
        if !place.join(layout::SIGNATURE).is_file() {
            wrong.push(format!("it has no {}", layout::SIGNATURE));
        }
        match directory.origin {
            Err(why) => wrong.push(why),
            Ok(origin) => {
                if !store.has_image(&origin.image) {
                    wrong.push(format!("the store does not have its image {}", origin.image));
                }
                if !store.stream(&manifest_stream(&origin.manifest_digest)).is_ok_and(|stream| stream.is_some()) {
                    wrong.push(format!("the store does not have its manifest {}", origin.manifest_digest));
                }
            }
        }
        let finding = |what| Finding { path: place.display().to_string(), what, advice: START_ANOTHER.to_owned() };
        checked.findings.extend(wrong.into_iter().map(finding));
    }
    Ok(())
}
