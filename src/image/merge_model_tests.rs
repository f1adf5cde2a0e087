//! The merge compared with a model that is as plain as it is slow: a list of paths.

use std::collections::BTreeMap;

use super::*;

/// What lies at a path: `None` is a directory, else the number of the file that it names.
type Model = BTreeMap<String, Option<u32>>;

#[derive(Clone, Debug)]
enum Change {
    Directory(String),
    /// A file of this number.
    File(String, u32),
    HardLink(String, String),
    Whiteout(String),
    Opaque(String),
}

impl Change {
    fn entry(&self) -> Entry {
        let (path, item) = match self {
            Self::Directory(path) => (path.clone(), Item::Directory),
            Self::File(path, number) => (path.clone(), Item::Inline(number.to_string().into())),
            Self::HardLink(path, target) => (path.clone(), Item::HardLink(target.clone().into())),
            Self::Whiteout(path) => match path.rsplit_once('/') {
                Some((folder, name)) => (format!("{folder}/.wh.{name}"), Item::Inline(Vec::new())),
                None => (format!(".wh.{path}"), Item::Inline(Vec::new())),
            },
            Self::Opaque(path) => (format!("{path}/.wh..wh..opq"), Item::Inline(Vec::new())),
        };
        Entry { path: path.into(), meta: Metadata::default(), item }
    }
}

/// Applies a change; false if it is refused. `own` are the paths that the layer has brought.
fn apply_slowly(model: &mut Model, own: &mut Vec<String>, change: &Change) -> bool {
    let below = |folder: &str, path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let path = match change {
        Change::Directory(path) | Change::File(path, _) | Change::HardLink(path, _) => path,
        Change::Whiteout(path) | Change::Opaque(path) => path,
    };
    let opaque = matches!(change, Change::Opaque(_));
    let parent = path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
    let folder = if opaque { Some(path.clone()) } else { parent };
    if folder.is_some_and(|folder| model.get(&folder) != Some(&None)) {
        return false;
    }
    if opaque || matches!(change, Change::Whiteout(_)) {
        if own.iter().any(|known| below(path, known) || (!opaque && known == path)) {
            return false;
        }
        model.retain(|known, _| !below(path, known) && (opaque || known != path));
        return true;
    }
    let node = match change {
        Change::Directory(_) => None,
        Change::HardLink(_, target) => match model.get(target) {
            Some(Some(number)) => Some(*number),
            _ => return false,
        },
        Change::File(_, number) => Some(*number),
        _ => unreachable!("whiteouts are done"),
    };
    if node.is_some() {
        model.retain(|known, _| !below(path, known));
    }
    model.insert(path.clone(), node);
    own.push(path.clone());
    true
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }

    fn path(&mut self) -> String {
        let depth = 1 + self.roll(3);
        let parts: Vec<_> = (0..depth).map(|_| ["a", "b", "c"][self.roll(3) as usize]).collect();
        parts.join("/")
    }

    fn change(&mut self, number: u32) -> Change {
        match self.roll(10) {
            0..3 => Change::Directory(self.path()),
            3..6 => Change::File(self.path(), number),
            6..8 => Change::HardLink(self.path(), self.path()),
            8 => Change::Whiteout(self.path()),
            _ => Change::Opaque(self.path()),
        }
    }
}

/// Three layers; a change that the model refuses is kept in few of them, and ends the stack.
fn stack(dice: &mut Dice) -> (Vec<Vec<Change>>, Option<Model>) {
    let (mut layers, mut model) = (Vec::new(), Model::new());
    for layer in 0..3 {
        let (mut changes, mut own) = (Vec::new(), Vec::new());
        for at in 0..12 {
            let change = dice.change(layer * 100 + at);
            let (mut next, mut brought) = (model.clone(), own.clone());
            if apply_slowly(&mut next, &mut brought, &change) {
                (model, own) = (next, brought);
                changes.push(change);
            } else if dice.roll(60) == 0 {
                changes.push(change);
                layers.push(changes);
                return (layers, None);
            }
        }
        layers.push(changes);
    }
    (layers, Some(model))
}

/// The merged tree as the model has it. Files are told apart by identity, not by content.
fn modelled(tree: &FileSystem<Sha256HashValue>) -> Model {
    fn visit(tree: &FileSystem<Sha256HashValue>, folder: &Directory<Sha256HashValue>, below: &str, found: &mut Model) {
        for (name, inode) in folder.sorted_entries() {
            let path = format!("{below}{}", name.to_string_lossy());
            match inode {
                Inode::Directory(folder) => {
                    visit(tree, folder, &format!("{path}/"), found);
                    found.insert(path, None);
                }
                Inode::Leaf(id, _) => {
                    let LeafContent::Regular(RegularFile::Inline(text)) = &tree.leaf(*id).content else {
                        panic!("{path} is no file of the model")
                    };
                    found.insert(path, Some(std::str::from_utf8(text).unwrap().parse().unwrap()));
                }
            }
        }
    }
    let mut found = Model::new();
    visit(tree, &tree.root, "", &mut found);
    found
}

/// Names of the same number are one inode.
fn linked_as_in(tree: &FileSystem<Sha256HashValue>, model: &Model) -> bool {
    let mut ids = BTreeMap::new();
    model.iter().filter_map(|(path, node)| node.map(|number| (path, number))).all(|(path, number)| {
        let (folder, name) = tree.root.split(OsStr::new(path)).unwrap();
        let id = folder.leaf_id(name).unwrap();
        *ids.entry(number).or_insert(id) == id
    })
}

#[test]
fn two_thousand_random_stacks_merge_as_a_slow_model_says() {
    let (mut merged, mut refused) = (0, 0);
    for seed in 0..2000 {
        let (layers, expected) = stack(&mut Dice(seed));
        let entries = layers.iter().map(|layer| layer.iter().map(Change::entry).collect()).collect();
        match (merge(entries), expected) {
            (Ok(tree), Some(model)) => {
                assert_eq!(modelled(&tree), model, "seed {seed}: {layers:?}");
                assert!(linked_as_in(&tree, &model), "seed {seed}: {layers:?}");
                merged += 1;
            }
            (Err(_), None) => refused += 1,
            (found, _) => panic!("seed {seed}: {:?} for {layers:?}", found.map(|tree| modelled(&tree))),
        }
    }
    println!("stacks merged: {merged} refused: {refused}");
    assert!(merged > 1000 && refused > 300, "{merged} merged, {refused} refused");
}
