use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::image::Tree;
use crate::import::{Entry, Item, Metadata};
use crate::store::refs::list;
use crate::store::stream::Writer;
use crate::sys::{Fault, FaultPlan};

const KIND: &[u8; 8] = b"ocilayer";
const SIZE: usize = 100;

/// The bytes of an image whose files are these objects of 100 bytes.
pub fn image_of(objects: &[Digest]) -> Vec<u8> {
    let meta = || Metadata { mode: 0o755, ..Metadata::default() };
    let usr = Entry { path: b"usr".to_vec(), meta: meta(), item: Item::Directory };
    let file = |(number, digest): (usize, &Digest)| Entry {
        path: format!("usr/{number}").into_bytes(),
        meta: meta(),
        item: Item::Object { digest: *digest, size: SIZE as u64 },
    };
    let files = objects.iter().enumerate().map(file);
    Tree::from_layers(vec![[usr].into_iter().chain(files).collect()]).unwrap().plain_image().unwrap().bytes
}

/// Who refers to what, by number.
#[derive(Clone, Debug)]
struct Graph {
    files: usize,
    images: Vec<BTreeSet<usize>>,
    layers: Vec<BTreeSet<usize>>,
    manifests: Vec<BTreeSet<usize>>,
    tagged: BTreeSet<usize>,
    root_images: BTreeSet<usize>,
    root_manifests: BTreeSet<usize>,
}

/// A store made of it, with the digests by number.
struct Made {
    dir: tempfile::TempDir,
    store: Store,
    files: Vec<Digest>,
    images: Vec<Digest>,
    layers: Vec<Digest>,
    manifests: Vec<Digest>,
    roots: Roots,
}

impl Graph {
    fn make(&self) -> Made {
        let dir = tempfile::tempdir().unwrap();
        let sys = Sys::real();
        let store = Store::open_or_create(dir.path(), &sys).unwrap();
        let files: Vec<Digest> = (0..self.files).map(|n| store.put(&sys, &[n as u8; SIZE]).unwrap()).collect();
        let some = |numbers: &BTreeSet<usize>| numbers.iter().map(|n| files[*n]).collect::<Vec<_>>();
        let images: Vec<Digest> =
            self.images.iter().map(|numbers| store.put_image(&sys, &image_of(&some(numbers))).unwrap()).collect();
        let stream = |name: String, objects: &[Digest], names: &[(String, Digest)]| {
            let mut writer = Writer::new(KIND).unwrap();
            // Streams of the same references differ, as those of different layers do.
            writer.inline(name.as_bytes());
            objects.iter().for_each(|digest| writer.object(*digest, SIZE as u64).unwrap());
            names.iter().for_each(|(name, digest)| writer.name(name, *digest));
            let digest = store.put(&sys, &writer.finish().unwrap()).unwrap();
            store.name_stream(&sys, &name, &digest).unwrap();
            digest
        };
        let layers: Vec<Digest> = self
            .layers
            .iter()
            .enumerate()
            .map(|(n, numbers)| stream(format!("layer-{n}"), &some(numbers), &[]))
            .collect();
        let manifest = |(n, numbers): (usize, &BTreeSet<usize>)| {
            let names: Vec<_> = numbers.iter().map(|n| (format!("sha256:{n}"), layers[*n])).collect();
            stream(format!("manifest-{n}"), &[], &names)
        };
        let manifests: Vec<Digest> = self.manifests.iter().enumerate().map(manifest).collect();
        for n in &self.tagged {
            store.tag_stream(&sys, "oci", &format!("tag/{n}"), &format!("manifest-{n}")).unwrap();
        }
        let roots = Roots {
            images: self.root_images.iter().map(|n| images[*n]).collect(),
            streams: self.root_manifests.iter().map(|n| format!("manifest-{n}")).collect(),
        };
        Made { dir, store, files, images, layers, manifests, roots }
    }

    /// What must be left: objects and names.
    fn expected(&self, made: &Made) -> (BTreeSet<String>, BTreeSet<String>) {
        let manifests = &self.tagged | &self.root_manifests;
        let layers: BTreeSet<usize> = manifests.iter().flat_map(|n| self.manifests[*n].clone()).collect();
        let mut files: BTreeSet<usize> = layers.iter().flat_map(|n| self.layers[*n].clone()).collect();
        // Images of the same files are one image.
        let images: BTreeSet<Digest> = self.root_images.iter().map(|n| made.images[*n]).collect();
        files.extend(self.root_images.iter().flat_map(|n| self.images[*n].clone()));
        let mut objects: BTreeSet<Digest> = files.iter().map(|n| made.files[*n]).collect();
        objects.extend(manifests.iter().map(|n| made.manifests[*n]).chain(layers.iter().map(|n| made.layers[*n])));
        objects.extend(&images);
        let names = manifests.iter().map(|n| format!("streams/manifest-{n}"));
        let names = names.chain(layers.iter().map(|n| format!("streams/layer-{n}")));
        let names = names.chain(images.iter().map(|digest| format!("images/{digest}"))).collect();
        (objects.iter().map(Digest::object_path).collect(), names)
    }
}

fn graphs() -> impl Strategy<Value = Graph> {
    let sets = |of: usize, count| prop::collection::vec(prop::collection::btree_set(0..of, 0..=of.min(4)), count);
    (1usize..12, 1usize..4, 1usize..6, 1usize..5).prop_flat_map(move |(files, images, layers, manifests)| {
        let some = |of: usize| prop::collection::btree_set(0..of, 0..=of);
        (
            (sets(files, images), sets(files, layers), sets(layers, manifests)),
            (some(manifests), some(images), some(manifests)),
        )
            .prop_map(move |((images, layers, manifests), (tagged, root_images, root_manifests))| Graph {
                files,
                images,
                layers,
                manifests,
                tagged,
                root_images,
                root_manifests,
            })
    })
}

/// Files below the folders, by kind, and no link that leads nowhere.
fn left(store: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let below = |folder: &str| -> BTreeSet<String> {
        let entries = list(&store.join(folder)).unwrap();
        entries
            .into_iter()
            .filter(|(_, name, _)| name != "refs")
            .map(|(_, name, _)| format!("{folder}/{name}"))
            .collect()
    };
    let objects = below("objects").iter().flat_map(|folder| below(folder)).collect();
    let names = &below(IMAGES) | &below(STREAMS);
    (objects, names)
}

fn every_name_resolves(store: &Path) {
    for name in left(store).1 {
        assert!(store.join(&name).exists(), "{name} leads to nothing");
    }
    for (path, name, _) in list(&store.join("streams/refs/oci")).unwrap() {
        assert!(path.exists(), "the tag {name} leads to nothing");
    }
}

fn example() -> Graph {
    let set = |numbers: &[usize]| numbers.iter().copied().collect::<BTreeSet<_>>();
    Graph {
        files: 6,
        images: vec![set(&[0, 1]), set(&[2])],
        layers: vec![set(&[0]), set(&[1, 3]), set(&[4])],
        manifests: vec![set(&[0, 1]), set(&[0, 2])],
        tagged: set(&[]),
        root_images: set(&[0]),
        root_manifests: set(&[0]),
    }
}

/// Without the space of each object, which the file system settles when it writes it back, at a time of its own.
fn named(garbage: Garbage) -> (Vec<String>, Vec<String>, Vec<Digest>) {
    (garbage.images, garbage.streams, garbage.objects.iter().map(|object| object.digest).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_needed_stays_and_all_else_goes(graph in graphs()) {
        let made = graph.make();
        let planned = made.store.garbage(&made.roots).unwrap();
        let done = made.store.sweep(&Sys::real(), &made.roots).unwrap();
        prop_assert_eq!(named(planned), named(done));
        prop_assert_eq!(left(made.dir.path()), graph.expected(&made));
        every_name_resolves(made.dir.path());
        prop_assert_eq!(made.store.sweep(&Sys::real(), &made.roots).unwrap(), Garbage::default());
    }
}

#[test]
fn whatever_step_of_a_sweep_fails_names_lead_to_objects_and_a_second_one_finishes() {
    let counted = Sys::real();
    let whole = example().make();
    whole.store.sweep(&counted, &whole.roots).unwrap();
    assert!(counted.steps() > 8, "{}", counted.steps());
    for at in 1..=counted.steps() {
        let graph = example();
        let made = graph.make();
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
        assert!(made.store.sweep(&sys, &made.roots).is_err(), "step {at}");
        every_name_resolves(made.dir.path());
        made.store.sweep(&Sys::real(), &made.roots).unwrap();
        assert_eq!(left(made.dir.path()), graph.expected(&made), "step {at}");
    }
}

/// A store in which something that must stay is wrong: nothing is removed.
fn refuses(spoil: impl FnOnce(&Made)) -> Error {
    let made = example().make();
    spoil(&made);
    let before = left(made.dir.path());
    let error = made.store.sweep(&Sys::real(), &made.roots).unwrap_err();
    assert_eq!(left(made.dir.path()), before);
    error
}

#[test]
fn a_root_that_cannot_be_read_stops_all_of_it() {
    let link = |target: &str, name: &str| {
        let (target, name) = (target.to_owned(), name.to_owned());
        move |made: &Made| {
            let link = made.dir.path().join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&target, &link).unwrap();
        }
    };
    let damaged = |error| matches!(error, Error::Damaged { .. });
    let gone = |made: &Made, digest: &Digest| fs::remove_file(made.store.object_file(digest)).unwrap();
    let spoilt = |made: &Made, digest: &Digest| fs::write(made.store.object_file(digest), b"x").unwrap();

    let no_name = refuses(|made| fs::remove_file(made.dir.path().join("streams/manifest-0")).unwrap());
    assert!(no_name.to_string().contains("streams/manifest-0"), "{no_name}");
    let no_image =
        refuses(|made| fs::remove_file(made.dir.path().join("images").join(made.images[0].to_hex())).unwrap());
    assert!(matches!(no_image, Error::MissingRoot { .. }));
    assert!(matches!(refuses(|made| gone(made, &made.manifests[0])), Error::Missing { .. }));
    assert!(matches!(refuses(|made| gone(made, &made.layers[1])), Error::Missing { .. }));
    assert!(damaged(refuses(|made| spoilt(made, &made.layers[1]))));
    assert!(damaged(refuses(|made| spoilt(made, &made.images[0]))));
    // A link that leaves the repository, a tag that does, one that names nothing, one that names no stream.
    assert!(damaged(refuses(link("../../etc/passwd", "streams/odd"))));
    assert!(damaged(refuses(link("../../../../composefs/streams/manifest-0", "streams/refs/oci/odd"))));
    assert!(damaged(refuses(link("/etc/passwd", "streams/refs/odd"))));
    assert!(damaged(refuses(link("../../images/x", "streams/refs/oci/odd"))));
    assert!(matches!(refuses(link("../../nothing", "streams/refs/oci/odd")), Error::MissingRoot { .. }));
    let data = |made: &Made| link(&format!("../{}", made.files[0].object_path()), "streams/manifest-0")(made);
    assert!(damaged(refuses(data)), "a file is no stream");
    let data = |made: &Made| {
        let name = format!("images/{}", made.images[0]);
        link(&format!("../{}", made.files[0].object_path()), &name)(made);
    };
    assert!(damaged(refuses(data)), "a file is no image");
}

#[test]
fn a_dangling_name_that_nothing_needs_goes_and_temporary_files_too() {
    let made = example().make();
    let path = made.dir.path();
    fs::remove_file(made.store.object_file(&made.layers[2])).unwrap();
    fs::write(path.join("objects/.tmp-incoming-1-99"), b"half").unwrap();
    fs::write(path.join("streams/.tmp-link-99"), b"").unwrap();
    made.store.sweep(&Sys::real(), &made.roots).unwrap();
    assert_eq!(left(path), example().expected(&made));
}

#[test]
fn while_another_uses_the_repository_nothing_is_removed_and_it_stays_usable() {
    let made = example().make();
    let other = Store::open(made.dir.path()).unwrap();
    let before = left(made.dir.path());
    assert!(matches!(made.store.sweep(&Sys::real(), &made.roots), Err(Error::InUse { .. })));
    assert_eq!(left(made.dir.path()), before);
    // Shared again: the other one cannot have it alone either.
    assert!(matches!(other.sweep(&Sys::real(), &made.roots), Err(Error::InUse { .. })));
    drop(other);
    made.store.sweep(&Sys::real(), &made.roots).unwrap();
}

#[test]
fn what_a_stream_refers_to_by_name_stays_also_if_it_is_an_image() {
    let graph = Graph { root_images: BTreeSet::new(), root_manifests: BTreeSet::new(), ..example() };
    let made = graph.make();
    let sys = Sys::real();
    let mut writer = Writer::new(KIND).unwrap();
    writer.name("composefs.image.v1", made.images[1]);
    let stream = made.store.put(&sys, &writer.finish().unwrap()).unwrap();
    made.store.name_stream(&sys, "with-image", &stream).unwrap();
    made.store.sweep(&sys, Roots::default().stream("with-image")).unwrap();
    let (objects, names) = left(made.dir.path());
    let expected = [stream, made.images[1], made.files[2]].map(|digest| digest.object_path());
    assert_eq!(objects, BTreeSet::from(expected));
    assert_eq!(names, BTreeSet::from([format!("images/{}", made.images[1]), "streams/with-image".to_owned()]));
}
