//! The merge on the disk: planned and written at staging, brought up to date at shutdown.

use std::path::Path;

use super::listing::{defaults, now, of_defaults, scan, Defaults, Scan};
use super::record::{self, Record};
use super::write::{fill, Sources};
use super::{merge, of_image, same, shown, Listing, Merged, Result};
use crate::image::Tree;
use crate::store::Store;
use crate::sys::{parent, Sys};

/// The `/etc` that a refresh builds, beside the one that it replaces.
const NEW: &str = ".tmp-etc";

/// At staging: fills the empty directory `target` with the merge of the machine's `/etc` into the new image's, and leaves in
/// `<root>/run/cfs-host/staged-etc.json` what [`refresh`] needs. Not synced. Gives the conflicts' names.
pub fn stage(
    sys: &Sys,
    store: &Store,
    base: &Tree,
    image: &Tree,
    machine: &Path,
    root: &Path,
    target: &Path,
) -> Result<Vec<String>> {
    let (base, image, began) = (of_image(base), defaults(image), now());
    let mut found = scan(machine, &Scan::default())?;
    let (merged, wanted) = merge_all(&base, &found, &image);
    let sources = Sources { store, directory: machine, machine: &found, image: &image, earlier: None };
    fill(sys, &sources, &merged, &wanted, target)?;
    found.marks.retain(|_, mark| mark.is_settled(began));
    // Read, and not what was wanted: a file may have changed between its listing and its copy.
    let target = scan(target, &Scan::default())?;
    record::write(sys, root, &Record { base, image, machine: found, target })?;
    Ok(names(&merged))
}

/// At shutdown: brings the staged `/etc` at `target` up to date with what the machine changed since [`stage`]. Bounded by the size of `/etc`, nothing
/// at all is written if nothing changed. Durable on return; a stop on the way leaves `target` whole, old or new. Nothing may
/// boot `target` meanwhile: files that stay the same are for a moment in the old and in the new one.
pub fn refresh(sys: &Sys, store: &Store, machine: &Path, root: &Path, target: &Path) -> Result<Vec<String>> {
    let record = record::read(root)?;
    let found = scan(machine, &record.machine)?;
    let (merged, wanted) = merge_all(&record.base, &found, &record.image);
    // Both are compared with what is there now, so it does not matter what an earlier refresh did or began.
    let written = scan(target, &record.target)?;
    let new = parent(target).join(NEW);
    if !is_same(&written.listing, &wanted) {
        sys.remove_dir_all(&new)?;
        sys.create_dir(&new, 0o700)?;
        let earlier = Some((target, &written.listing));
        let sources = Sources { store, directory: machine, machine: &found, image: &record.image, earlier };
        fill(sys, &sources, &merged, &wanted, &new)?;
        sys.sync_fs(&new)?;
        sys.exchange(&new, target)?;
    }
    if new.exists() {
        sys.remove_dir_all(&new)?;
    }
    Ok(names(&merged))
}

fn merge_all(base: &Listing, machine: &Scan, image: &Defaults) -> (Merged, Listing) {
    let image = of_defaults(image);
    let merged = merge(base, &machine.listing, &image);
    let wanted = merged.listing(&machine.listing, &image);
    (merged, wanted)
}

fn is_same(one: &Listing, two: &Listing) -> bool {
    one.len() == two.len() && one.iter().all(|(path, item)| same(Some(item), two.get(path)))
}

fn names(merged: &Merged) -> Vec<String> {
    merged.conflicts.iter().map(|path| shown(path)).collect()
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
