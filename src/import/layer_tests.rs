use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::fetch::Compression;
use crate::import::{read_back, Item};
use crate::store::stream::Reader;
use crate::sys::{Fault as SysFault, FaultPlan};

fn tar_of(files: &[(&str, usize)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, size) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(*size as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, vec![*size as u8; *size].as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn sample() -> Vec<u8> {
    tar_of(&[("empty", 0), ("small", 64), ("large", 65), ("same", 65), ("huge", 5_000_001)])
}

fn run(bytes: &[u8], store: &Store, sys: &Sys) -> Result<Layer, Error> {
    let stream = LayerStream::new(Compression::None, bytes);
    Importer::new(store, sys, Limits::default()).layer(stream, &Sha256::digest(bytes).into())
}

fn objects(store: &Path) -> Vec<String> {
    let folders = fs::read_dir(store.join("objects")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_was_imported_is_read_back_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
    let bytes = sample();
    let layer = run(&bytes, &store, &sys).unwrap();
    assert_eq!(layer.entries.len(), 5);
    // Two different contents and the splitstream.
    assert_eq!(layer.counts.objects, 3);
    let diff_id = Sha256::digest(&bytes).into();
    assert_eq!(read_back(&store, &layer.stream, &diff_id).unwrap().unwrap(), layer.entries);
    let reader = store.read_stream(&layer.stream, LAYER_STREAM).unwrap();
    assert_eq!(reader.size, bytes.len() as u64);
    assert_eq!(run(&bytes, &store, &sys).unwrap().counts, Counts::default());
}

/// A hole, a packed size, a hole.
fn sparse(files: &[(u64, usize)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (index, (hole, packed)) in files.iter().enumerate() {
        let (map, size) = (format!("{hole},{packed}"), (hole * 2 + *packed as u64).to_string());
        let records = [("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", size.as_bytes())];
        builder.append_pax_extensions(records).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(*packed as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("f{index}"), vec![7; *packed].as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn sparse_files_are_stored_with_their_holes_and_the_stream_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
    let sizes = [(1, 2), (100, 0), (10_000, 64), (5, 65), (4096, 100_000), (7, 3_000_000), (0, 80)];
    let bytes = sparse(&sizes);
    let layer = run(&bytes, &store, &sys).unwrap();
    for (entry, (hole, packed)) in layer.entries.iter().zip(sizes) {
        let zeros = vec![0; hole as usize];
        let whole = [&zeros[..], &vec![7; packed], &zeros].concat();
        match &entry.item {
            Item::Inline(found) => assert_eq!(*found, whole),
            Item::Object { digest, size } => {
                assert_eq!((store.read(digest).unwrap(), *size), (whole, hole * 2 + packed as u64))
            }
            other => panic!("{other:?}"),
        }
    }
    let diff_id = Sha256::digest(&bytes).into();
    assert_eq!(read_back(&store, &layer.stream, &diff_id).unwrap().unwrap(), layer.entries);
    let reader = store.read_stream(&layer.stream, LAYER_STREAM).unwrap();
    assert_eq!(reader.size, bytes.len() as u64);
    assert_eq!(rebuilt(&store, &reader), bytes);
    // Without the list of their contents the layer is to be imported again.
    let list = reader.names.values().next().unwrap();
    fs::remove_file(dir.path().join(list.object_path())).unwrap();
    assert!(read_back(&store, &layer.stream, &diff_id).is_err());
    assert_eq!(run(&bytes, &store, &sys).unwrap().entries, layer.entries);
    assert_eq!(read_back(&store, &layer.stream, &diff_id).unwrap().unwrap(), layer.entries);
}

/// The tar stream out of a splitstream.
fn rebuilt(store: &Store, reader: &Reader) -> Vec<u8> {
    let (mut body, mut bytes, mut byte) = (reader.body().unwrap(), Vec::new(), [0]);
    while bytes.len() as u64 != reader.size {
        match body.object().unwrap() {
            Some(digest) => bytes.extend(store.read(&digest).unwrap()),
            None if body.inline(&mut byte).unwrap() => bytes.extend(byte),
            None => break,
        }
    }
    bytes
}

#[test]
fn a_layer_whose_objects_were_lost_is_not_taken_as_known() {
    let dir = tempfile::tempdir().unwrap();
    let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
    let layer = run(&sample(), &store, &sys).unwrap();
    let Item::Object { digest, .. } = layer.entries[2].item else { panic!("large files are objects") };
    fs::remove_file(dir.path().join(digest.object_path())).unwrap();
    assert!(read_back(&store, &layer.stream, &[0; 32]).unwrap().is_none());
}

#[test]
fn wrong_diff_ids_are_refused_by_both_digests() {
    let dir = tempfile::tempdir().unwrap();
    let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
    let bytes = sample();
    let stream = LayerStream::new(Compression::None, bytes.as_slice());
    let error = Importer::new(&store, &sys, Limits::default()).layer(stream, &[7; 32]).unwrap_err().to_string();
    assert!(error.contains(&"07".repeat(32)) && error.contains(&hex::encode(Sha256::digest(&bytes))), "{error}");
}

#[test]
fn a_layer_cut_anywhere_is_refused_and_leaves_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
    let bytes = sample();
    for cut in [1, 511, 600, 1200, 2100, 100_000, 5_000_000] {
        let error = run(&bytes[..cut], &store, &sys).unwrap_err().to_string();
        assert!(error.contains("sha256:"), "{error}");
        assert!(objects(dir.path()).iter().all(|name| name.len() == 2), "cut at {cut}");
    }
}

#[test]
fn whatever_step_fails_the_next_import_succeeds() {
    let bytes = [&sample()[..sample().len() - 1024], &sparse(&[(9, 100), (9, 2_000_000)])].concat();
    let steps = {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path(), &Sys::real()).unwrap();
        let sys = Sys::real();
        run(&bytes, &store, &sys).unwrap();
        sys.steps()
    };
    for at in 1..=steps {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path(), &Sys::real()).unwrap();
        let full = Sys::with_fault(FaultPlan { at, fault: SysFault::Errno(28) });
        let error = run(&bytes, &store, &full).unwrap_err().to_string();
        assert!(error.contains("os error 28"), "{error}");
        assert!(objects(dir.path()).iter().all(|name| name.len() == 2), "step {at} left a temporary file");
        run(&bytes, &store, &Sys::real()).unwrap();
    }
}
