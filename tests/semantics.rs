//! What layers mean: our tree of an image is the one that podman unpacks, in type, mode, owner, time, attributes, content and links; and
//! our digest is composefs-rs', where that takes the image at all. Where podman does not take a layer, GNU tar is the other opinion.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

#[path = "semantics/listing.rs"]
mod listing;

use std::path::Path;
use std::process::Command;

use cfs_host::store::{Garbage, Roots, Store};
use fixture::podman_root::Podman;
use fixture::raw_tar::RawTar;
use fixture::stores::pattern;
use fixture::{base, cfsctl, digests, import_into, layout, peer_digests, peer_pull, run, tool, Layer, Pack};
use listing::{of_directory, of_image, Listing};
use tar::EntryType;

/// Whether composefs-rs' tool takes the image.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Takes,
    Refuses,
}

/// Who unpacks the layers beside us.
#[derive(Clone, Copy, Debug)]
enum Other {
    PodmanOverlay,
    PodmanVfs,
    GnuTar,
}

use Other::{GnuTar, PodmanOverlay, PodmanVfs};
const PODMAN: &[Other] = &[PodmanOverlay, PodmanVfs];

impl Other {
    fn listing(self, folder: &Path, reference: &str, layers: &[Vec<u8>]) -> Listing {
        std::fs::create_dir(folder).unwrap();
        let podman = |driver| {
            let podman = Podman::with_driver(folder, driver);
            of_directory(&podman.mount(reference))
        };
        match self {
            PodmanOverlay => podman("overlay"),
            PodmanVfs => podman("vfs"),
            GnuTar => {
                let root = folder.join("root");
                std::fs::create_dir(&root).unwrap();
                for layer in layers {
                    let packed = folder.join("layer.tar");
                    std::fs::write(&packed, layer).unwrap();
                    run(Command::new("tar").args(["--numeric-owner", "-xpf"]).arg(&packed).arg("-C").arg(&root));
                }
                of_directory(&root)
            }
        }
    }
}

fn same(name: &str, layers: &[Vec<u8>], others: &[Other], peer: Peer) {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    layout(&top.join("image"), layers, Pack::Gzip);
    let reference = format!("oci:{}:v1", top.join("image").display());
    let imported = import_into(&top.join("ours"), &reference, &Default::default())
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let ours = of_image(&top.join("ours"), &imported.tree);
    for other in others {
        let theirs = other.listing(&top.join(format!("{other:?}")), &reference, layers);
        for path in theirs.keys().chain(ours.keys()) {
            assert_eq!(ours.get(path), theirs.get(path), "{name}: {path}, we and {other:?}");
        }
    }
    let found = digests(&top.join("ours"), &imported);
    let again = import_into(&top.join("ours"), &reference, &Default::default()).unwrap();
    assert_eq!((again.stats.bytes_fetched, digests(&top.join("ours"), &again)), (0, found), "{name}: read back");
    kept(&top.join("ours"));
    match peer {
        Peer::Takes => {
            peer_pull(&top.join("theirs"), &reference, "peer");
            assert_eq!(found, peer_digests(&top.join("theirs"), "peer"), "{name}: composefs-rs' digests");
        }
        Peer::Refuses => assert!(!pulled(&top.join("theirs"), &reference), "{name}: composefs-rs takes it now"),
    }
    println!("{name}: {} paths as {others:?}", ours.len());
}

/// Their checks find nothing, their collector takes nothing that is needed, and neither would ours.
fn kept(store: &Path) {
    for check in [&["fsck"][..], &["oci", "fsck"], &["gc"]] {
        cfsctl(store, check);
    }
    let opened = Store::open(store).unwrap();
    assert_eq!(opened.check(true).unwrap().findings, []);
    assert_eq!(opened.garbage(&Roots::default()).unwrap(), Garbage::default());
}

fn pulled(repository: &Path, reference: &str) -> bool {
    let succeeds = |arguments: &[&str]| {
        let mut command = Command::new(tool("cfsctl"));
        command.arg("--repo").arg(repository).args(arguments).output().unwrap().status.success()
    };
    assert!(succeeds(&["init", "--insecure", "--algorithm", "fsverity-sha256-12"]));
    succeeds(&["--insecure", "oci", "pull", reference, "peer"])
}

/// A layer that changes something below `usr/lib`: as builders do, with the directories.
fn upper() -> Layer {
    Layer::new().dir("usr").dir("usr/lib")
}

#[test]
fn whiteouts_and_opaque_directories() {
    let lower = base()
        .file("usr/lib/gone", b"1")
        .dir("usr/lib/gone-too")
        .file("usr/lib/gone-too/x", &pattern(100, 1))
        .dir("usr/lib/hidden")
        .file("usr/lib/hidden/x", b"1")
        .dir("usr/lib/hidden/below")
        .file("usr/lib/hidden/below/y", b"1")
        .file("usr/lib/again", b"1");
    let middle = upper()
        .file("usr/lib/.wh.gone", b"")
        .file("usr/lib/.wh.gone-too", b"")
        .file("usr/lib/.wh.never", b"")
        .file("usr/lib/.wh.again", b"")
        .dir("usr/lib/hidden")
        .file("usr/lib/hidden/.wh..wh..opq", b"")
        .file("usr/lib/hidden/new", b"2");
    let top = upper().file("usr/lib/again", b"3").dir("usr/lib/gone-too").file("usr/lib/gone-too/z", b"3");
    same("whiteouts", &[lower.finish(), middle.finish(), top.finish()], PODMAN, Peer::Takes);
}

#[test]
fn types_that_replace_each_other_and_come_back() {
    let lower = base()
        .dir("usr/lib/a")
        .file("usr/lib/a/x", b"1")
        .file("usr/lib/b", &pattern(300, 1))
        .symlink("usr/lib/c", "b")
        .dir("usr/lib/d")
        .file("usr/lib/d/kept", b"1");
    let middle = upper()
        .file("usr/lib/a", &pattern(200, 2))
        .dir("usr/lib/b")
        .file("usr/lib/b/y", b"2")
        .file("usr/lib/c", b"2")
        .with("usr/lib/d", |header| header.set_mode(0o2750), EntryType::Directory, b"");
    let top = upper().dir("usr/lib/a").file("usr/lib/a/z", b"3").symlink("usr/lib/b", "a").dir("usr/lib/c");
    same("types", &[lower.finish(), middle.finish(), top.finish()], PODMAN, Peer::Takes);
}

/// With the metadata of the file: podman sets a link's own on the file, composefs-rs and we do not look at them.
fn link(layer: Layer, path: &str, target: &str, mode: u32) -> Layer {
    let header = |header: &mut tar::Header| {
        header.set_mode(mode);
        header.set_link_name(target).unwrap();
    };
    layer.with(path, header, EntryType::Link, b"")
}

#[test]
fn hard_links_within_and_across_layers() {
    let lower =
        base().file("usr/lib/large", &pattern(1000, 1)).file("usr/lib/small", b"x").symlink("usr/lib/sym", "large");
    let lower = link(lower, "usr/lib/large-too", "usr/lib/large", 0o644);
    let lower = link(lower, "usr/lib/small-too", "/usr/lib/small", 0o644);
    let lower = link(lower, "usr/lib/sym-too", "usr/lib/sym", 0o777).finish();
    let upper_only = upper().file("usr/lib/large", &pattern(2000, 2)).file("usr/lib/.wh.sym", b"").finish();
    same("hard links in vfs", &[lower.clone(), upper_only.clone()], &[PodmanVfs], Peer::Takes);
    // The overlay driver unpacks each layer for itself: there, a link into another layer has no target.
    let across = link(upper(), "usr/lib/small-again", "./usr/lib/small", 0o644).finish();
    same("hard links across layers", &[lower, across, upper_only], &[PodmanVfs], Peer::Takes);
}

#[test]
fn a_path_twice_in_one_layer() {
    let layer = base()
        .file("usr/lib/f", b"1")
        .file("usr/lib/f", &pattern(500, 2))
        .dir("usr/lib/d")
        .file("usr/lib/d/x", b"1")
        .with("usr/lib/d", |header| header.set_mode(0o700), EntryType::Directory, b"")
        .file("usr/lib/to-dir", b"1")
        .dir("usr/lib/to-dir")
        .symlink("usr/lib/l", "f")
        .symlink("usr/lib/l", "d")
        .dir("usr/lib");
    // podman refuses any layer that has a path twice.
    same("duplicates", &[layer.finish()], &[GnuTar], Peer::Takes);
}

#[test]
fn names_and_links_as_long_as_they_may_be() {
    let (part, deep) = ("n".repeat(255), ["d".repeat(120), "e".repeat(120), "f".repeat(120)]);
    let mut layer = base().file(&format!("usr/lib/{part}"), b"1");
    for depth in 1..=deep.len() {
        layer = layer.dir(&format!("usr/lib/{}", deep[..depth].join("/")));
    }
    // PAX, where the builder above writes GNU headers.
    let pax = format!("usr/lib/p{}", "x".repeat(250));
    let layer = layer
        .file(&format!("usr/lib/{}/f", deep.join("/")), &pattern(70, 1))
        .symlink("usr/lib/link", &"t/".repeat(2047))
        .pax(&[("path", pax.as_bytes()), ("linkpath", "u".repeat(4095).as_bytes())])
        .symlink("usr/lib/short", "t")
        .pax(&[("linkpath", pax.as_bytes())])
        .hardlink("usr/lib/hard", "usr/lib/short");
    same("long names", &[layer.finish()], PODMAN, Peer::Takes);
}

#[test]
fn names_of_any_bytes() {
    let names: [&[u8]; 7] =
        [b"\xff\xfe", b"new\nline", b"back\\slash", b" ", b"\x1b[2J", "\u{fc}ml".as_bytes(), b"..."];
    let raw = names.iter().fold(RawTar::new(), |tar, name| tar.file(&[b"usr/lib/", *name].concat(), b"x"));
    let raw = raw.link(b'2', b"usr/lib/link", b"\xff/\xfe").pax(&[("path", b"usr/lib/\xf0\x28")]).file(b"x", b"y");
    let directories = upper().finish();
    let layer = [&directories[..directories.len() - 1024], &raw.end()].concat();
    same("names", &[base().finish(), layer], PODMAN, Peer::Takes);
}

#[test]
fn owners_modes_times_and_attributes() {
    let capability: &[u8] = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let owned = |header: &mut tar::Header| {
        header.set_mode(0o6755);
        header.set_uid(70_000);
        header.set_gid(4_000_000_000)
    };
    let layer = base()
        .with("usr/lib/owned", owned, EntryType::Regular, &pattern(99, 1))
        .with("usr/lib/sticky", |header| header.set_mode(0o1777), EntryType::Directory, b"")
        .with("usr/lib/none", |header| header.set_mode(0), EntryType::Regular, b"1")
        .with("usr/lib/epoch", |header| header.set_mtime(0), EntryType::Regular, b"1")
        .with("usr/lib/later", |header| header.set_mtime(5_000_000_000), EntryType::Regular, b"1")
        .pax(&[("mtime", b"1700000000.123456789")])
        .file("usr/lib/nanoseconds", &pattern(80, 1))
        .pax(&[("mtime", b"1700000001.5")])
        .symlink("usr/lib/half", "x")
        .pax(&[("uid", b"3000000000"), ("gid", b"12")])
        .dir("usr/lib/pax-owner")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.note", b"left out")])
        .file("usr/lib/capable", &pattern(500, 1));
    same("metadata", &[layer.finish()], PODMAN, Peer::Takes);
}

#[test]
fn times_before_1970() {
    let old = Layer::new()
        .pax(&[("mtime", b"-1")])
        .dir("usr")
        .pax(&[("mtime", b"-1.25")])
        .dir("usr/lib")
        .pax(&[("mtime", b"-1000000000.000000001")])
        .file("usr/lib/old", &pattern(80, 1));
    // podman makes 1970 of them.
    same("before 1970", &[base().finish(), old.finish()], &[GnuTar], Peer::Refuses);
}

#[test]
fn devices_and_pipes() {
    let layer = base()
        .device("usr/lib/null", EntryType::Char, 1, 3)
        .device("usr/lib/disk", EntryType::Block, 259, 0xf_ffff)
        .with("usr/lib/pipe", |header| header.set_mode(0o620), EntryType::Fifo, b"");
    same("devices", &[link(layer, "usr/lib/pipe-too", "usr/lib/pipe", 0o620).finish()], PODMAN, Peer::Takes);
}

#[test]
fn empty_layers_and_one_that_comes_twice() {
    let layer = upper().file("usr/lib/x", &pattern(90, 1)).finish();
    let layers = [base().finish(), Layer::new().finish(), layer.clone(), vec![0; 10240], layer];
    same("empty layers", &layers, PODMAN, Peer::Takes);
}

/// Files with holes, packed by GNU tar itself.
#[test]
fn sparse_files_in_all_four_forms() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("usr/lib");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, size: u64, parts: &[(u64, Vec<u8>)]| {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::create(folder.join(name)).unwrap();
        file.set_len(size).unwrap();
        parts.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
    };
    write("holes", 6_000_000, &[(100_000, pattern(3000, 1)), (5_000_000, pattern(70_000, 2))]);
    write("nothing", 3_000_000, &[]);
    write("end", 70_000, &[(69_990, vec![7; 10])]);
    write("large", 9_000_000, &[(4_000_000, pattern(2_500_000, 4))]);
    write("many", 12_000_000, &(0..60).map(|at| (at * 200_000, vec![at as u8 + 1; 10])).collect::<Vec<_>>());
    write("plain", 5000, &[(0, pattern(5000, 3))]);
    for form in ["gnu", "pax 0.0", "pax 0.1", "pax 1.0"] {
        let mut tar = Command::new("tar");
        tar.args(["-C", &dir.path().display().to_string(), "--sparse", "--owner=0", "--group=0", "-cf"]);
        let packed = dir.path().join("layer.tar");
        tar.arg(&packed);
        match form.split_once(' ') {
            Some((format, version)) => tar.args([format!("--format={format}"), format!("--sparse-version={version}")]),
            None => tar.arg(format!("--format={form}")),
        };
        run(tar.arg("usr"));
        let layer = std::fs::read(&packed).unwrap();
        assert!(layer.len() < 4_000_000, "{form}: it is not sparse");
        // podman does not know the type of an old GNU sparse file.
        let others = if form == "gnu" { &[GnuTar][..] } else { &[GnuTar, PodmanOverlay, PodmanVfs] };
        same(&format!("sparse, {form}"), &[base().finish(), layer], others, Peer::Refuses);
    }
}
