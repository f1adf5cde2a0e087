//! The merge: for each path, whose content and whose metadata. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::{self, Blocked};
use super::{parent, same, Item, Kind, Listing, LABEL};

/// Whose version it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The machine's.
    Machine,
    /// The new image's.
    Image,
}

/// Where a path's two aspects come from: a changed mode must not freeze a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Type and content.
    pub content: Side,
    /// Owner, mode and extended attributes.
    pub metadata: Side,
}

impl Source {
    const MACHINE: Self = Self { content: Side::Machine, metadata: Side::Machine };
    const IMAGE: Self = Self { content: Side::Image, metadata: Side::Image };
}

/// The merged `/etc`: valid, that is, what a path lies in is a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Every path but those of `kept`, and whose version it is.
    pub paths: BTreeMap<Vec<u8>, Source>,
    /// Paths that both sides changed, differently; sorted.
    pub conflicts: Vec<Vec<u8>>,
    /// The image's version of conflicts: where it is kept, and which path it is of.
    pub kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// One path of the result.
pub(super) struct Output<'a> {
    /// Which path of the sources it is.
    pub(super) origin: &'a [u8],
    /// Whose.
    pub(super) source: Source,
}

impl Merged {
    /// Every path of the result, parents first.
    pub(super) fn outputs(&self) -> BTreeMap<&[u8], Output<'_>> {
        let kept = self.kept.iter().map(|(path, origin)| (&path[..], Output { origin, source: Source::IMAGE }));
        let paths = self.paths.iter().map(|(path, source)| (&path[..], Output { origin: path, source: *source }));
        paths.chain(kept).collect()
    }

    /// The result as a listing, from the listings that were merged.
    pub fn listing(&self, machine: &Listing, image: &Listing) -> Listing {
        let of = |side, path: &[u8]| match side {
            Side::Machine => machine.get(path),
            Side::Image => image.get(path),
        };
        let item = |(path, output): (&[u8], Output<'_>)| {
            let content = of(output.source.content, output.origin)?;
            let metadata = of(output.source.metadata, output.origin)?;
            let mut item = Item { kind: content.kind.clone(), ..metadata.clone() };
            relabel(&mut item, machine.get(output.origin));
            Some((path.to_vec(), item))
        };
        self.outputs().into_iter().filter_map(item).collect()
    }
}

/// The label is always the one that the machine's inode of that name and type has.
fn relabel(item: &mut Item, machine: Option<&Item>) {
    let label = machine.filter(|machine| machine.kind.is_like(&item.kind));
    let label = label.and_then(|machine| machine.xattrs.iter().find(|(name, _)| name == LABEL));
    item.xattrs.retain(|(name, _)| name != LABEL);
    item.xattrs.extend(label.cloned());
    item.xattrs.sort();
}

/// Pure: old image, machine, new image.
pub fn merge(base: &Listing, machine: &Listing, image: &Listing) -> Merged {
    let mut merge = Merge {
        base,
        machine,
        image,
        holding: holding(base, machine),
        directories: BTreeSet::new(),
        blocked: Blocked::default(),
        conflicts: BTreeSet::new(),
        paths: BTreeMap::new(),
    };
    let all: BTreeSet<&[u8]> = machine.keys().chain(image.keys()).map(|path| &path[..]).collect();
    // In this order what a path lies in comes before it.
    for path in all {
        merge.decide(path);
    }
    let Merge { mut paths, conflicts, blocked, .. } = merge;
    let kept = kept::place(blocked, base, machine, image, &mut paths);
    Merged { paths, conflicts: conflicts.into_iter().map(<[u8]>::to_vec).collect(), kept }
}

/// Paths where the machine has something of its own, there or below.
fn holding<'a>(base: &Listing, machine: &'a Listing) -> BTreeSet<&'a [u8]> {
    let mut holding = BTreeSet::new();
    for (path, item) in machine {
        let mut next = (!same(Some(item), base.get(path))).then_some(&path[..]);
        while let Some(path) = next.filter(|path| holding.insert(*path)) {
            next = parent(path);
        }
    }
    holding
}

struct Merge<'a> {
    base: &'a Listing,
    machine: &'a Listing,
    image: &'a Listing,
    holding: BTreeSet<&'a [u8]>,
    /// Directories of the result so far.
    directories: BTreeSet<&'a [u8]>,
    /// What the image has where the machine's version stands.
    blocked: Blocked<'a>,
    conflicts: BTreeSet<&'a [u8]>,
    paths: BTreeMap<Vec<u8>, Source>,
}

impl<'a> Merge<'a> {
    fn decide(&mut self, path: &'a [u8]) {
        let (base, machine, image) = (self.base.get(path), self.machine.get(path), self.image.get(path));
        if !parent(path).is_none_or(|parent| self.directories.contains(parent)) {
            // The machine removed or replaced a directory above: it wins, and what the image changed there is kept.
            if image.is_some() && !same(image, base) {
                let top = self.top(path);
                self.conflict(top);
                self.blocked.add(top, path);
            }
            return;
        }
        if same(machine, image) {
            return self.take(path, Source::MACHINE, machine);
        }
        if same(machine, base) {
            let stays = is_directory(machine) && !is_directory(image) && self.holding.contains(path);
            return match stays {
                false => self.take(path, Source::IMAGE, image),
                // Removed or replaced by the image, but what the machine has of its own lies in it.
                true => {
                    if image.is_some() {
                        self.keep(path);
                    }
                    self.take(path, Source::MACHINE, machine)
                }
            };
        }
        if same(image, base) {
            return self.take(path, Source::MACHINE, machine);
        }
        match (machine, image) {
            (Some(ours), Some(theirs)) if ours.kind.is_like(&theirs.kind) => {
                let source = self.by_aspect(path, base, ours, theirs);
                self.take(path, source, Some(ours));
            }
            (_, Some(_)) => {
                self.keep(path);
                self.take(path, Source::MACHINE, machine);
            }
            // Changed here, removed there.
            (_, None) => {
                self.conflict(path);
                self.take(path, Source::MACHINE, machine);
            }
        }
    }

    /// Both have the same type of inode, and both changed it: content and metadata each for itself.
    fn by_aspect(&mut self, path: &'a [u8], base: Option<&Item>, machine: &Item, image: &Item) -> Source {
        let base = base.filter(|base| base.kind.is_like(&machine.kind));
        let content = aspect(base, machine, image, |one, two| one.kind == two.kind);
        let metadata = aspect(base, machine, image, Item::same_metadata);
        if content.is_none() {
            self.keep(path);
        }
        if metadata.is_none() {
            self.conflict(path);
        }
        Source { content: content.unwrap_or(Side::Machine), metadata: metadata.unwrap_or(Side::Machine) }
    }

    fn take(&mut self, path: &'a [u8], source: Source, item: Option<&Item>) {
        if item.is_some() {
            self.paths.insert(path.to_vec(), source);
        }
        if is_directory(item) {
            self.directories.insert(path);
        }
    }

    fn conflict(&mut self, path: &'a [u8]) {
        self.conflicts.insert(path);
    }

    /// A conflict whose image's version is kept beside.
    fn keep(&mut self, path: &'a [u8]) {
        self.conflict(path);
        self.blocked.add(path, path);
    }

    /// The highest path above this one that is no directory in the result.
    fn top(&self, path: &'a [u8]) -> &'a [u8] {
        let mut top = path;
        while let Some(above) = parent(top).filter(|above| !self.directories.contains(above)) {
            top = above;
        }
        top
    }
}

/// Who decides one aspect; `None`: both changed it, differently.
fn aspect(base: Option<&Item>, machine: &Item, image: &Item, same: impl Fn(&Item, &Item) -> bool) -> Option<Side> {
    if same(machine, image) || base.is_some_and(|base| same(base, image)) {
        Some(Side::Machine)
    } else {
        base.filter(|base| same(base, machine)).map(|_| Side::Image)
    }
}

fn is_directory(item: Option<&Item>) -> bool {
    item.is_some_and(|item| item.kind == Kind::Directory)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
