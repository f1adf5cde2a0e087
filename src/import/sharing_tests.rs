use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use rustix::fs::{ioctl_getflags, ioctl_setflags, IFlags};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::fetch::{Compression, LayerStream, TarSplit};
use crate::import::{Error, Importer, Layer};
use crate::model::limits::Limits;
use crate::store::verity::Hasher;

const FILES: [(&str, usize); 4] = [("small", 64), ("large", 65), ("same", 65), ("huge", 3_000_001)];

/// A layer as podman keeps it, and a store beside it.
struct Bench {
    dir: tempfile::TempDir,
    lines: String,
    tar: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("diff")).unwrap();
        let (mut lines, mut tar) = (String::new(), Vec::new());
        for (name, size) in FILES {
            let bytes = vec![size as u8; size];
            fs::write(dir.path().join("diff").join(name), &bytes).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_path(name).unwrap();
            header.set_size(size as u64);
            header.set_mode(0o644);
            header.set_cksum();
            let padding = vec![0; size.next_multiple_of(512) - size];
            lines += &raw(header.as_bytes());
            lines += &format!("{{\"type\":1,\"name\":\"{name}\",\"size\":{size}}}\n");
            lines += &raw(&padding);
            tar = [&tar[..], header.as_bytes(), &bytes, &padding].concat();
        }
        Self { dir, lines: lines + &raw(&[0; 1024]), tar: [tar, vec![0; 1024]].concat() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("diff").join(name)
    }

    fn import(&self, store: &Path) -> Result<Layer, Error> {
        self.import_and(store, || ())
    }

    /// The same; when all was read, this happens.
    fn import_and(&self, store: &Path, then: impl FnMut() + Send) -> Result<Layer, Error> {
        let diff = File::open(self.dir.path().join("diff")).unwrap();
        let (reader, originals) = TarSplit::new(Cursor::new(self.lines.clone()), diff).with_originals();
        let stream = LayerStream::new(Compression::None, AtEnd { reader, then });
        let stream = LayerStream { originals: Some(originals), ..stream };
        let (sys, store) = (Sys::real(), Store::open_or_create(store, &Sys::real()).unwrap());
        Importer::new(&store, &sys, Limits::default()).layer(stream, &Sha256::digest(&self.tar).into())
    }

    /// Each object is the one that a copying import makes.
    fn check(&self, store: &Path, layer: &Layer) {
        let copied = tempfile::tempdir().unwrap();
        let (sys, other) = (Sys::real(), Store::open_or_create(copied.path(), &Sys::real()).unwrap());
        let stream = LayerStream::new(Compression::None, &self.tar[..]);
        let importer = Importer::new(&other, &sys, Limits::default());
        let expected = importer.layer(stream, &Sha256::digest(&self.tar).into()).unwrap();
        assert_eq!((layer.stream, &layer.entries), (expected.stream, &expected.entries));
        assert_eq!(layer.counts.bytes + layer.counts.shared.bytes_shared, expected.counts.bytes);
        let store = Store::open(store).unwrap();
        assert_eq!(store.check(true).unwrap().findings, []);
        assert_eq!(store.check(true).unwrap().objects, expected.counts.objects);
    }
}

fn raw(bytes: &[u8]) -> String {
    format!("{{\"type\":2,\"payload\":\"{}\"}}\n", STANDARD.encode(bytes))
}

struct AtEnd<R, F> {
    reader: R,
    then: F,
}

impl<R: Read, F: FnMut()> Read for AtEnd<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        if length == 0 {
            (self.then)();
        }
        Ok(length)
    }
}

#[test]
fn files_become_objects_without_being_written() {
    let bench = Bench::new();
    let store = bench.dir.path().join("store");
    let layer = bench.import(&store).unwrap();
    let shared = layer.counts.shared;
    assert_eq!((shared.objects_cloned + shared.objects_linked, shared.copied_because), (2, None));
    assert_eq!(shared.bytes_shared, 65 + 3_000_001);
    assert!(layer.counts.bytes < 3000, "only the stream is written: {}", layer.counts.bytes);
    bench.check(&store, &layer);
    let again = bench.import(&store).unwrap();
    assert_eq!((again.counts.objects, again.counts.shared), (0, Shared::default()));
}

#[test]
fn what_is_not_safe_to_link_is_copied_and_that_is_told() {
    type Change = fn(&Bench, &Path);
    let cases: [(Change, &str, u64); 3] = [
        (|bench, _| fs::set_permissions(bench.path("huge"), fs::Permissions::from_mode(0o666)).unwrap(), NOT_ROOTS, 1),
        (
            |bench, _| FILES.iter().for_each(|(name, _)| chown(bench.path(name), Some(1000), None).unwrap()),
            NOT_ROOTS,
            0,
        ),
        (
            |_, store| fs::set_permissions(store, fs::Permissions::from_mode(0o755)).unwrap(),
            "others than root may enter the store",
            0,
        ),
    ];
    for (change, why, linked) in cases {
        let bench = Bench::new();
        let store = bench.dir.path().join("store");
        Store::open_or_create(&store, &Sys::real()).unwrap();
        change(&bench, &store);
        let layer = bench.import(&store).unwrap();
        let shared = layer.counts.shared;
        bench.check(&store, &layer);
        // A clone is a file of its own: all of this is fine there.
        if shared.objects_cloned == 0 {
            assert_eq!((shared.objects_linked, shared.copied_because), (linked, Some(why)));
        }
    }
}

#[test]
fn a_file_that_cannot_have_another_name_is_copied() {
    let bench = Bench::new();
    let store = bench.dir.path().join("store");
    let file = File::open(bench.path("huge")).unwrap();
    let flags = ioctl_getflags(&file).unwrap();
    ioctl_setflags(&file, flags | IFlags::IMMUTABLE).unwrap();
    let layer = bench.import(&store);
    ioctl_setflags(&file, flags).unwrap();
    let layer = layer.unwrap();
    bench.check(&store, &layer);
    let shared = layer.counts.shared;
    assert!(shared.objects_cloned > 0 || (shared.objects_linked == 1 && shared.copied_because.is_some()), "{shared:?}");
}

#[test]
fn podmans_storage_on_another_file_system_is_copied() {
    let (bench, memory) = (Bench::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    if memory.path().metadata().unwrap().dev() == bench.dir.path().metadata().unwrap().dev() {
        return;
    }
    let store = memory.path().join("store");
    let layer = bench.import(&store).unwrap();
    bench.check(&store, &layer);
    assert!(layer.counts.shared.copied_because.unwrap().contains("not on the file system"));
}

#[test]
fn a_file_that_changes_after_it_was_read_makes_no_object() {
    let bench = Bench::new();
    let store = bench.dir.path().join("store");
    let change = || {
        std::thread::sleep(std::time::Duration::from_millis(20)); // the clock of file times is coarse
        fs::write(bench.path("large"), [7; 65]).unwrap();
    };
    let error = bench.import_and(&store, change).unwrap_err().to_string();
    assert!(error.contains("changed while it was read") && error.contains("large"), "{error}");
    let store = Store::open(&store).unwrap();
    for wrong in [Hasher::hash(&[65; 65]), Hasher::hash(&[7; 65])] {
        assert!(!store.has(&wrong, 65));
    }
    assert_eq!(store.check(true).unwrap().findings, []);
}
