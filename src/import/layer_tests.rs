use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::fetch::Compression;
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
    let stream = LayerStream { compression: Compression::None, reader: Box::new(bytes) };
    import(stream, &Sha256::digest(bytes).into(), store, sys, &Budget::default())
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
    let stream = LayerStream { compression: Compression::None, reader: Box::new(bytes.as_slice()) };
    let error = import(stream, &[7; 32], &store, &sys, &Budget::default()).unwrap_err().to_string();
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
    let bytes = sample();
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
