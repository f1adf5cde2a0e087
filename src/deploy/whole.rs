//! Whether a deployment has all that `/init` opens, as far as names tell. Reads no content.

use std::io::ErrorKind;
use std::path::Path;

use super::layout::{self, ETC, REPOSITORY, SIGNATURE};
use super::origin::Origin;
use crate::model::bound::BoundImage;
use crate::model::DeploymentId;

/// Bound images of which the store has no name any more; none if this user may not look.
pub fn missing_bound(root: &Path, origin: &Origin) -> Vec<String> {
    let streams = root.join(REPOSITORY).join("streams");
    let gone = |bound: &&BoundImage| is_gone(&streams.join(format!("oci-manifest-{}", bound.manifest_digest)));
    origin.bound_images.iter().filter(gone).map(|bound| bound.reference.clone()).collect()
}

fn is_gone(path: &Path) -> bool {
    let found = std::fs::symlink_metadata(path);
    found.is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

/// What is missing, in words for people; empty if nothing is, or if this user may not look.
pub fn missing(root: &Path, id: &DeploymentId, origin: &Origin) -> Vec<String> {
    let directory = layout::deployment(root, id);
    let object = root.join(REPOSITORY).join(origin.image.object_path());
    let mut missing = Vec::new();
    for (path, name) in [
        (directory.join(SIGNATURE), SIGNATURE.to_owned()),
        (directory.join(ETC), format!("{ETC}/")),
        (object, format!("its image in the store ({})", origin.image.short())),
    ] {
        if is_gone(&path) {
            missing.push(name);
        }
    }
    if id.short() != origin.image.short() {
        missing.push(format!("an {} of its own: it speaks of image {}", layout::ORIGIN, origin.image.short()));
    }
    missing
}
