//! diff: two images path by path.

use super::find::Finder;
use crate::image::Tree;
use crate::model::image::{Change, Compared, Difference};
use crate::model::Digest;
use crate::store::Store;

/// So many paths are told where nobody asked for all.
const TOLD: usize = 10;

/// Compares two images, each of the store or fetched.
pub fn diff(finder: &Finder<'_>, from: &str, to: &str) -> anyhow::Result<Compared> {
    let (one, two) = (finder.open(from)?, finder.open(to)?);
    let differences = one.tree.differences(&two.tree);
    Ok(Compared { from: from.to_owned(), to: to.to_owned(), differences })
}

/// Why an image is not the one of its annotation, if the store has that one: the first paths that differ. Else what would tell.
pub fn against_annotated(store: &Store, annotated: &Digest, computed: &[u8]) -> String {
    let advice = "`cfs-host image diff` of it and the image that was sealed shows which files differ";
    if !store.has_image(annotated) {
        return advice.to_owned();
    }
    let old = store.read(annotated).ok().and_then(|old| Tree::from_erofs(&old).ok());
    let trees = old.zip(Tree::from_erofs(computed).ok());
    match trees.map(|(old, new)| old.differences(&new)) {
        Some(differences) if !differences.is_empty() => told(&differences),
        _ => advice.to_owned(),
    }
}

fn told(differences: &[Difference]) -> String {
    let one = |difference: &Difference| match difference.change {
        Change::Added => format!("{} is new", difference.path),
        Change::Removed => format!("{} is missing", difference.path),
        Change::Changed => {
            let aspects: Vec<&str> = difference.differs.iter().map(|aspect| aspect.what.as_str()).collect();
            format!("{} has another {}", difference.path, aspects.join(", "))
        }
    };
    let mut text: Vec<String> = differences.iter().take(TOLD).map(one).collect();
    if differences.len() > TOLD {
        text.push(format!("and {} more", differences.len() - TOLD));
    }
    text.join("; ")
}
