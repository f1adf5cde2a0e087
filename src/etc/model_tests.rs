//! The merge against a second one, written as a recursion over trees instead of a pass over paths, on random trees; and what
//! must hold whatever the rules are.

use std::collections::{BTreeMap, BTreeSet};

use super::merge::{Side, Source};
use super::*;
use crate::model::Digest;

/// How many trees are tried.
const TREES: u64 = 10_000;

/// A file system tree as it is: a directory has children.
#[derive(Clone, PartialEq, Debug)]
struct Tree {
    item: Item,
    children: BTreeMap<Vec<u8>, Tree>,
}

impl Tree {
    fn is_directory(&self) -> bool {
        self.item.kind == Kind::Directory
    }
}

type Side3<'a> = Option<&'a Tree>;

/// What the model finds out besides the result.
#[derive(Default)]
struct Findings {
    conflicts: BTreeSet<Vec<u8>>,
    /// What of the image is kept, by the path where it could not be.
    kept: BTreeMap<Vec<u8>, Tree>,
}

/// The model.
fn combine(at: &[u8], base: Side3<'_>, machine: Side3<'_>, image: Side3<'_>, found: &mut Findings) -> Option<Tree> {
    if machine == base {
        return image.cloned();
    }
    if image == base || machine == image {
        return machine.cloned();
    }
    let folder = |side: Side3<'_>| side.is_some_and(Tree::is_directory);
    match (folder(machine), folder(image)) {
        (true, true) => Some(both_directories(at, base, machine?, image?, found)),
        (true, false) => {
            // Of a path that the image replaces, the rule below speaks; of one that it removed, the machine's change does.
            let own = own(at, base, machine?, image.is_none(), &mut |path| {
                found.conflicts.insert(path);
            });
            let there = image.map(|image| &image.item);
            if own.is_none() {
                return image.cloned();
            }
            if base.map(|base| &base.item) != there && there.is_some() {
                found.conflicts.insert(at.to_vec());
                found.kept.insert(at.to_vec(), image?.clone());
            }
            own
        }
        (false, true) => {
            if machine.map(|machine| &machine.item) == base.map(|base| &base.item) {
                return image.cloned();
            }
            if let Some(theirs) = own(at, base, image?, false, &mut |_| ()) {
                found.conflicts.insert(at.to_vec());
                found.kept.insert(at.to_vec(), theirs);
            }
            machine.cloned()
        }
        (false, false) => no_directory(at, base, machine, image, found),
    }
}

fn both_directories(at: &[u8], base: Side3<'_>, machine: &Tree, image: &Tree, found: &mut Findings) -> Tree {
    let old = base.filter(|base| base.is_directory());
    let (item, clash) = metadata(old.map(|old| &old.item), &machine.item, &image.item);
    if clash {
        found.conflicts.insert(at.to_vec());
    }
    let names: BTreeSet<&Vec<u8>> = machine.children.keys().chain(image.children.keys()).collect();
    let mut children = BTreeMap::new();
    for name in names {
        let old = old.and_then(|old| old.children.get(name));
        let path = child(at, name);
        let merged = combine(&path, old, machine.children.get(name), image.children.get(name), found);
        children.extend(merged.map(|tree| (name.clone(), tree)));
    }
    Tree { item, children }
}

fn no_directory(
    at: &[u8],
    base: Side3<'_>,
    machine: Side3<'_>,
    image: Side3<'_>,
    found: &mut Findings,
) -> Option<Tree> {
    let item = |side: Side3<'_>| side.map(|tree| tree.item.clone());
    let (old, here, there) = (item(base), item(machine), item(image));
    if here == old {
        return image.cloned();
    }
    if there == old || here == there {
        return machine.cloned();
    }
    found.conflicts.insert(at.to_vec());
    let (Some(here), Some(there)) = (here, there) else {
        found.kept.extend(image.map(|image| (at.to_vec(), image.clone())));
        return machine.cloned();
    };
    if type_of(&here) != type_of(&there) {
        found.kept.insert(at.to_vec(), image?.clone());
        return machine.cloned();
    }
    let old = old.filter(|old| type_of(old) == type_of(&here));
    let (mut result, clash) = metadata(old.as_ref(), &here, &there);
    result.kind = match old.map(|old| old.kind) {
        _ if here.kind == there.kind => here.kind,
        Some(kind) if kind == there.kind => here.kind,
        Some(kind) if kind == here.kind => there.kind,
        _ => {
            found.kept.insert(at.to_vec(), image?.clone());
            return Some(Tree { item: Item { kind: here.kind, ..result }, children: BTreeMap::new() });
        }
    };
    if !clash {
        found.conflicts.remove(at);
    }
    Some(Tree { item: result, children: BTreeMap::new() })
}

/// The machine's item with the metadata of whoever changed it; whether both did.
fn metadata(base: Option<&Item>, machine: &Item, image: &Item) -> (Item, bool) {
    let of = |item: &Item| (item.mode, item.owner, item.xattrs.clone());
    let theirs = Item { kind: machine.kind.clone(), ..image.clone() };
    match base.map(of) {
        _ if of(machine) == of(image) => (machine.clone(), false),
        Some(old) if old == of(machine) => (theirs, false),
        Some(old) if old == of(image) => (machine.clone(), false),
        _ => (machine.clone(), true),
    }
}

fn type_of(item: &Item) -> u32 {
    match item.kind {
        Kind::Directory => 1,
        Kind::File(_) => 2,
        Kind::Symlink(_) => 3,
        Kind::Special(kind, _) => kind,
    }
}

/// The part of `tree` that `base` does not have like this, with the directories that lead there. `changed` hears of each
/// path that both have, but differently; of the topmost only if it is to `tell`.
fn own(at: &[u8], base: Side3<'_>, tree: &Tree, tell: bool, changed: &mut dyn FnMut(Vec<u8>)) -> Option<Tree> {
    let old = base.filter(|old| old.is_directory());
    let mut children = BTreeMap::new();
    for (name, child_tree) in &tree.children {
        let old = old.and_then(|old| old.children.get(name));
        let part = own(&child(at, name), old, child_tree, true, changed);
        children.extend(part.map(|part| (name.clone(), part)));
    }
    let differs = base.is_none_or(|base| base.item != tree.item);
    if differs && base.is_some() && tell {
        changed(at.to_vec());
    }
    (differs || !children.is_empty()).then(|| Tree { item: tree.item.clone(), children })
}

fn child(at: &[u8], name: &[u8]) -> Vec<u8> {
    if at.is_empty() {
        name.to_vec()
    } else {
        [at, b"/", name].concat()
    }
}

/// The whole model: the tree with kept versions in it, and the conflicts.
fn model(base: &Tree, machine: &Tree, image: &Tree) -> (Listing, BTreeSet<Vec<u8>>) {
    let mut found = Findings::default();
    let merged = combine(b"", Some(base), Some(machine), Some(image), &mut found).unwrap();
    let mut result = flat(&merged);
    let (old, here, there) = (flat(base), flat(machine), flat(image));
    for (top, tree) in found.kept {
        let wanted = below(&top, &flat(&tree));
        for number in 0.. {
            let ending = if number == 0 { ".cfs-new".to_owned() } else { format!(".cfs-new.{number}") };
            let name = [&top[..], ending.as_bytes()].concat();
            let has = |listing: &Listing| listing.keys().any(|path| is_at_or_below(path, &name));
            let lies: Vec<_> = result.keys().filter(|path| is_at_or_below(path, &name)).cloned().collect();
            let stale = lies.iter().all(|path| {
                let origin = [&top[..], &path[name.len()..]].concat();
                here.get(path) == result.get(path)
                    && (result.get(path) == old.get(&origin) || result.get(path) == there.get(&origin))
            });
            if has(&old) || has(&there) || !stale {
                continue;
            }
            lies.iter().for_each(|path| drop(result.remove(path)));
            for (path, item) in wanted {
                result.insert([&name[..], &path[top.len()..]].concat(), item);
            }
            break;
        }
    }
    (result, found.conflicts)
}

fn below(top: &[u8], listing: &Listing) -> Listing {
    listing
        .iter()
        .map(|(path, item)| (if path.is_empty() { top.to_vec() } else { child(top, path) }, item.clone()))
        .collect()
}

fn flat(tree: &Tree) -> Listing {
    let mut listing = Listing::from([(Vec::new(), tree.item.clone())]);
    for (name, subtree) in &tree.children {
        listing.extend(below(name, &flat(subtree)));
    }
    listing
}

/// xorshift: the same trees everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    fn item(&mut self) -> Item {
        let kind = match self.below(8) {
            0..=2 => Kind::Directory,
            3..=5 => Kind::File(Digest::new([self.below(3) as u8; 32])),
            6 => Kind::Symlink(vec![b'a' + self.below(2) as u8]),
            _ => Kind::Special(0o010000 + 0o010000 * self.below(2) as u32, 0),
        };
        let mode = if matches!(kind, Kind::Symlink(_)) { 0 } else { [0o644, 0o600][self.below(2) as usize] };
        let xattrs = if self.below(6) == 0 { vec![(b"user.a".to_vec(), b"1".to_vec())] } else { Xattrs::new() };
        Item { kind, mode, owner: (self.below(8) as u32 / 7, 0), xattrs }
    }

    fn name(&mut self) -> Vec<u8> {
        let names = ["a", "b", "a-", "a.cfs-new", "a.cfs-new.1", "b.cfs-new"];
        names[self.below(8) as usize % names.len()].into()
    }

    fn tree(&mut self, depth: u64) -> Tree {
        let mut tree = Tree { item: self.item(), children: BTreeMap::new() };
        if tree.is_directory() && depth > 0 {
            for _ in 0..self.below(4) {
                let name = self.name();
                tree.children.insert(name, self.tree(depth - 1));
            }
        }
        tree
    }

    fn root(&mut self) -> Tree {
        let children = (0..self.below(5)).map(|_| (self.name(), self.tree(2))).collect();
        Tree { item: Item { kind: Kind::Directory, mode: 0o755, owner: (0, 0), xattrs: Xattrs::new() }, children }
    }

    /// Changes a few things somewhere.
    fn edit(&mut self, tree: &mut Tree, depth: u64) {
        for _ in 0..self.below(3) {
            let name = self.name();
            match (self.below(6), tree.children.get_mut(&name)) {
                (0, _) => drop(tree.children.remove(&name)),
                (1, _) | (_, None) => drop(tree.children.insert(name, self.tree(depth))),
                (2, Some(old)) => old.item.mode = if old.item.mode == 0 { 0 } else { 0o640 },
                (3, Some(old)) if !old.is_directory() => old.item.kind = Kind::File(Digest::new([7; 32])),
                (_, Some(old)) if old.is_directory() && depth > 0 => self.edit(old, depth - 1),
                (_, Some(old)) => old.item.owner = (3, 3),
            }
        }
    }

    /// Base, machine, image.
    fn three(&mut self) -> [Tree; 3] {
        let base = self.root();
        let (mut machine, mut image) = (base.clone(), base.clone());
        match self.below(8) {
            0 => machine = self.root(),
            1 => image = self.root(),
            _ => {}
        }
        for _ in 0..1 + self.below(2) {
            self.edit(&mut machine, 2);
            self.edit(&mut image, 2);
        }
        [base, machine, image]
    }
}

fn merged(base: &Listing, machine: &Listing, image: &Listing) -> (Merged, Listing) {
    let merged = merge(base, machine, image);
    let listing = merged.listing(machine, image);
    (merged, listing)
}

/// Runs for every tree and names the seed of the one that fails.
fn for_every_tree(check: impl Fn([Tree; 3])) {
    for seed in 1..=TREES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).three());
        }));
        if let Err(panic) = outcome {
            eprintln!("this was the tree of seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_merge_is_that_of_the_model() {
    let conflicts = std::cell::Cell::new(0);
    for_every_tree(|[base, machine, image]| {
        let (result, listing) = merged(&flat(&base), &flat(&machine), &flat(&image));
        let (wanted, wanted_conflicts) = model(&base, &machine, &image);
        assert_eq!(listing, wanted);
        assert_eq!(result.conflicts, wanted_conflicts.into_iter().collect::<Vec<_>>());
        conflicts.set(conflicts.get() + usize::from(!result.conflicts.is_empty()));
    });
    assert!(conflicts.get() > TREES as usize / 10, "only {} trees had conflicts", conflicts.get());
}

#[test]
fn nothing_that_the_machine_changed_is_lost_and_nothing_lies_in_what_is_no_directory() {
    for_every_tree(|trees| {
        let [base, machine, image] = trees.each_ref().map(flat);
        let (result, listing) = merged(&base, &machine, &image);
        for path in listing.keys() {
            assert!(parent(path).is_none_or(|above| listing[above].kind == Kind::Directory), "{path:?}");
        }
        for (path, new) in &machine {
            let old = base.get(path);
            let Some(there) = listing.get(path) else {
                let stale = |origin: &[u8]| {
                    let origin = [origin, &path[path.len()..]].concat();
                    [base.get(&origin), image.get(&origin)].contains(&Some(new))
                };
                let is_kept_name = ancestors(path)
                    .any(|above| kept_of(above).is_some_and(|of| stale(&[of, &path[above.len()..]].concat())));
                assert!(old == Some(new) || is_kept_name, "{path:?} is lost");
                continue;
            };
            if result.kept.contains_key(path) {
                continue;
            }
            if old.is_none_or(|old| old.kind != new.kind) {
                assert_eq!(there.kind, new.kind, "{path:?}");
            }
            if old.is_none_or(|old| !old.same_metadata(new)) {
                assert!(there.same_metadata(new), "{path:?}");
            }
        }
        for path in base.keys().filter(|path| !machine.contains_key(*path)) {
            assert!(!listing.contains_key(path) || result.kept.contains_key(path), "{path:?} came back");
        }
    });
}

fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| parent(path))
}

#[test]
fn without_changes_on_one_side_the_other_is_the_result() {
    for_every_tree(|trees| {
        let [base, machine, image] = trees.each_ref().map(flat);
        for (sides, wanted) in [([&base, &base, &image], &image), ([&base, &machine, &base], &machine)] {
            let (result, listing) = merged(sides[0], sides[1], sides[2]);
            assert_eq!((&listing, result.conflicts.len(), result.kept.len()), (wanted, 0, 0));
        }
    });
}

#[test]
fn merging_the_result_again_changes_nothing() {
    for_every_tree(|trees| {
        let [base, machine, image] = trees.each_ref().map(flat);
        let (_, listing) = merged(&base, &machine, &image);
        assert_eq!(merged(&image, &listing, &image).1, listing, "as the next update's machine");
        let (again, twice) = merged(&base, &listing, &image);
        assert_eq!(twice, listing, "as this update's machine: {:?}", again.conflicts);
    });
}

#[test]
fn what_is_kept_is_the_images() {
    for_every_tree(|trees| {
        let [base, machine, image] = trees.each_ref().map(flat);
        let (result, listing) = merged(&base, &machine, &image);
        for (path, origin) in &result.kept {
            assert_eq!(listing[path], image[origin]);
            assert!(!result.paths.contains_key(path));
        }
        for (path, source) in &result.paths {
            let needed = [(source.content, "content"), (source.metadata, "metadata")];
            for (side, what) in needed {
                let listing = if side == Side::Machine { &machine } else { &image };
                assert!(listing.contains_key(path), "{what} of {path:?}");
            }
            let Source { content, metadata } = *source;
            assert!(content == metadata || base.contains_key(path), "a mixture without a base: {path:?}");
        }
    });
}
