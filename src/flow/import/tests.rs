use std::sync::Mutex;

use super::*;
use crate::flow::testing::stored::InMemory;
use crate::model::progress::LayerState;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(dir.path(), &Sys::real()).unwrap();
    (dir, store)
}

fn image() -> InMemory {
    InMemory::new(&[&[("usr/base", 5000), ("etc/small", 3)], &[("usr/more", 2_000_000), ("etc/own", 70)]])
}

fn reasons(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

#[test]
fn an_imported_image_gives_the_same_tree_from_the_store() {
    let (_dir, store) = store();
    let mut image = image();
    let imported = image.import(&store, &|_| ()).unwrap();
    let stored = stored_tree(&store, &image.digest()).unwrap();
    assert_eq!(stored.walk(""), imported.tree.walk(""));
    assert_eq!(stored.plain_image().unwrap().digest, imported.tree.plain_image().unwrap().digest);
}

#[test]
fn an_image_that_is_not_whole_is_named_and_so_is_what_to_do() {
    let (dir, store) = store();
    let mut image = image();
    let nothing = stored_tree(&store, &image.digest()).unwrap_err();
    let expected = [image.digest(), "cfs-host rollback".into(), "no stream oci-manifest-".into()];
    expected.iter().for_each(|text| assert!(reasons(&nothing).contains(text), "{}", reasons(&nothing)));
    assert_eq!(crate::fault::Fault::from(nothing).exit_code(), 6);
    let imported = image.import(&store, &|_| ()).unwrap();
    let Some((Node::Object { digest, .. }, _)) = imported.tree.get("usr/base") else {
        panic!("a large file is an object")
    };
    std::fs::remove_file(dir.path().join(digest.object_path())).unwrap();
    let lost = stored_tree(&store, &image.digest()).unwrap_err();
    assert!(reasons(&lost).contains("an object of the layer sha256:"), "{}", reasons(&lost));
}

#[test]
fn another_manifest_under_the_name_is_not_believed() {
    let (_dir, store) = store();
    let (mut one, mut two) = (image(), InMemory::new(&[&[("usr/x", 1)]]));
    one.import(&store, &|_| ()).unwrap();
    two.import(&store, &|_| ()).unwrap();
    let other = store.stream(&manifest_stream(&two.digest())).unwrap().unwrap();
    store.name_stream(&Sys::real(), &manifest_stream(&one.digest()), &other).unwrap();
    let error = stored_tree(&store, &one.digest()).unwrap_err();
    assert!(reasons(&error).contains(&format!("holds {}", two.digest())), "{}", reasons(&error));
}

#[test]
fn layers_are_known_by_their_diff_id_until_their_stream_is_gone() {
    let (dir, store) = store();
    let mut image = image();
    let sizes: Vec<u64> = image.image().manifest.layers().iter().map(|layer| layer.size()).collect();
    assert_eq!(unknown_layers(image.image(), &store).unwrap(), [(0, sizes[0]), (1, sizes[1])]);
    image.import(&store, &|_| ()).unwrap();
    assert_eq!(unknown_layers(image.image(), &store).unwrap(), []);
    let names = known_layers(image.image(), &store).unwrap();
    assert_eq!(names.len(), 2);
    let stream = store.stream(&names[1]).unwrap().unwrap();
    std::fs::write(dir.path().join(stream.object_path()), b"").unwrap();
    assert_eq!(unknown_layers(image.image(), &store).unwrap(), [(1, sizes[1])], "a cut-off stream is no stream");
    assert_eq!(known_layers(image.image(), &store).unwrap(), names[..1]);
}

#[test]
fn each_layer_tells_that_it_begins_and_ends_or_that_it_is_known() {
    let (_dir, store) = store();
    let mut image = image();
    let events = Mutex::new(Vec::new());
    let watch = |event| events.lock().unwrap().push(event);
    let layers = |events: &Mutex<Vec<Event>>| -> Vec<(usize, LayerState, u64, u64)> {
        let layers = |event: Event| match event {
            Event::Layer(layer) => Some((layer.index, layer.state, layer.bytes, layer.total)),
            Event::Step(_) => None,
        };
        std::mem::take(&mut *events.lock().unwrap()).into_iter().filter_map(layers).collect()
    };
    image.import(&store, &watch).unwrap();
    let told = layers(&events);
    for (index, size) in image.image().manifest.layers().iter().map(|layer| layer.size()).enumerate() {
        let own: Vec<_> = told.iter().filter(|told| told.0 == index).collect();
        assert_eq!(*own[0], (index, LayerState::Waiting, 0, size));
        assert_eq!(*own[1], (index, LayerState::Reading, 0, size));
        assert_eq!(**own.last().unwrap(), (index, LayerState::Done, size, size));
        assert!(own.is_sorted_by_key(|told| told.2));
    }
    assert!(told[1].1 == LayerState::Waiting, "all are told before the first is read");
    image.import(&store, &watch).unwrap();
    assert!(layers(&events).iter().all(|told| told.1 == LayerState::Known && told.2 == 0));
}

#[test]
fn a_container_that_is_there_is_not_read_again_unless_an_object_is_lost() {
    let (dir, store) = store();
    let image = image();
    let import = || import_container(&image, &store, &Sys::real(), &|_| ()).unwrap();
    assert!(import().bytes_fetched > 0);
    let again = import();
    assert_eq!((again.bytes_fetched, again.bytes_written, again.objects_new), (0, 0, 0));
    let tree = stored_tree(&store, &image.digest()).unwrap();
    let Some((Node::Object { digest, .. }, _)) = tree.get("usr/base") else { panic!("a large file is an object") };
    std::fs::remove_file(dir.path().join(digest.object_path())).unwrap();
    assert!(import().bytes_fetched > 0, "the layer that lost it is read");
    stored_tree(&store, &image.digest()).unwrap();
}
