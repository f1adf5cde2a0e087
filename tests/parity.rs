//! Our images and our store are those of composefs-rs: the same digests from the same layers, and its tool accepts what we write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::path::{Path, PathBuf};

use cfs_host::store::{Garbage, Roots, Store};
use cfs_host::sys::Sys;
use fixture::{base, cfsctl, digests, import_into, layout, peer_digests, peer_pull, Layer, Pack};
use tar::EntryType;

/// Imports with both tools and compares all that can be compared.
fn same(name: &str, layers: &[Vec<u8>], pack: Pack) {
    let dir = tempfile::tempdir().unwrap();
    let (image, ours, theirs) = (dir.path().join("image"), dir.path().join("ours"), dir.path().join("theirs"));
    layout(&image, layers, pack);
    let reference = format!("oci:{}:v1", image.display());

    let imported =
        import_into(&ours, &reference, &Default::default()).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let found = digests(&ours, &imported);
    peer_pull(&theirs, &reference, "peer");
    assert_eq!(found, peer_digests(&theirs, "peer"), "{name}: our digests, and theirs from their import");
    assert_eq!(found, peer_digests(&ours, &reference), "{name}: our digests, and theirs from our store");
    accepted(&ours, &reference);

    let again = import_into(&ours, &reference, &Default::default()).unwrap();
    assert_eq!((again.stats.bytes_fetched, again.stats.objects_new), (0, 0), "{name}: nothing is read twice");
    assert_eq!(digests(&ours, &again), found, "{name}: read back from our splitstreams");

    let over_theirs = import_into(&theirs, &reference, &Default::default()).unwrap();
    assert_eq!(over_theirs.stats.bytes_fetched, 0, "{name}: their layers are known to us");
    assert_eq!(digests(&theirs, &over_theirs), found, "{name}: read from their splitstreams");
    accepted(&theirs, "peer");
}

/// Their tool lists the image and finds nothing wrong.
fn accepted(repository: &Path, name: &str) {
    assert!(cfsctl(repository, &["oci", "images"]).contains(name));
    cfsctl(repository, &["oci", "fsck"]);
    cfsctl(repository, &["fsck"]);
    cfsctl(repository, &["oci", "inspect", name]);
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn files_around_the_inline_limit_and_around_blocks() {
    let sizes = [0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 300_000, 5_000_000];
    let layer = sizes.iter().fold(base(), |layer, size| layer.file(&format!("usr/lib/f{size}"), &pattern(*size)));
    for pack in [Pack::Plain, Pack::Gzip, Pack::Zstd] {
        same(&format!("sizes, {pack:?}"), &[base().finish(), layer_copy(&sizes)], pack);
    }
    same("sizes in one layer", &[layer.finish()], Pack::Gzip);
}

fn layer_copy(sizes: &[usize]) -> Vec<u8> {
    sizes.iter().fold(Layer::new(), |layer, size| layer.file(&format!("usr/lib/g{size}"), &pattern(*size))).finish()
}

#[test]
fn hard_links_within_and_across_layers() {
    let lower = base()
        .file("usr/bin/large", &pattern(1000))
        .file("usr/bin/small", b"x")
        .hardlink("usr/bin/second", "usr/bin/large")
        .hardlink("usr/bin/third", "/usr/bin/small")
        .symlink("usr/bin/sym", "large")
        .hardlink("usr/bin/symlink-too", "usr/bin/sym");
    let upper = Layer::new().hardlink("usr/lib/fourth", "./usr/bin/large").file("usr/bin/large", &pattern(2000));
    same("hard links", &[lower.finish(), upper.finish()], Pack::Gzip);
}

#[test]
fn whiteouts_opaque_directories_and_replaced_types() {
    let lower = base()
        .file("usr/bin/gone", b"1")
        .dir("usr/lib/gone")
        .file("usr/lib/gone/x", &pattern(100))
        .dir("usr/lib/hidden")
        .file("usr/lib/hidden/x", &pattern(100))
        .dir("usr/lib/to-file")
        .file("usr/lib/to-file/x", b"1")
        .file("usr/lib/to-dir", b"1")
        .file("usr/lib/to-link", b"1")
        .dir("usr/lib/kept")
        .file("usr/lib/kept/x", b"1");
    let upper = Layer::new()
        .file("usr/bin/.wh.gone", b"")
        .file("usr/bin/.wh.never-was", b"")
        .file("usr/lib/.wh.gone", b"")
        .dir("usr/lib/hidden")
        .file("usr/lib/hidden/.wh..wh..opq", b"")
        .file("usr/lib/hidden/new", b"2")
        .file("usr/lib/to-file", &pattern(70))
        .dir("usr/lib/to-dir")
        .file("usr/lib/to-dir/y", b"2")
        .symlink("usr/lib/to-link", "../bin")
        .with("usr/lib/kept", |header| header.set_mode(0o2700), EntryType::Directory, b"");
    same("whiteouts", &[lower.finish(), upper.finish()], Pack::Zstd);
}

#[test]
fn extended_attributes() {
    let capability: &[u8] = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let layer = base()
        .pax(&[("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.note", b"kept out")])
        .file("usr/bin/ping", &pattern(500))
        .pax(&[("SCHILY.xattr.security.capability", capability)])
        .file("usr/bin/same", b"")
        .pax(&[
            ("SCHILY.xattr.security.selinux", b"system_u:object_r:bin_t:s0\0"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ])
        .dir("usr/lib/labelled");
    same("xattrs", &[layer.finish()], Pack::Gzip);
}

#[test]
fn names_devices_owners_and_times() {
    let long_name = "n".repeat(255);
    let deep = format!("usr/lib/{}", ["d".repeat(90), "e".repeat(90), "f".repeat(90)].join("/"));
    let mut layer =
        base().device("usr/lib/null", EntryType::Char, 1, 3).device("usr/lib/whiteout-like", EntryType::Char, 0, 0);
    for (end, _) in deep.match_indices('/').skip(2) {
        layer = layer.dir(&deep[..end]);
    }
    let layer = layer
        .device("usr/lib/disk", EntryType::Block, 259, 0xf_ffff)
        .with("usr/lib/pipe", |_| {}, EntryType::Fifo, b"")
        .file(&format!("usr/lib/{long_name}"), b"1")
        .file(&deep, &pattern(65))
        .symlink("usr/lib/long-link", &"../x".repeat(200))
        .symlink("usr/lib/absolute", "/usr/bin")
        .with("usr/bin/set-uid", |header| header.set_mode(0o100_4755), EntryType::Regular, b"1")
        .with(
            "usr/lib/owned",
            |header| {
                header.set_uid(70_000);
                header.set_gid(4_000_000_000)
            },
            EntryType::Regular,
            &pattern(99),
        )
        .with("usr/lib/old", |header| header.set_mtime(0), EntryType::Regular, b"1")
        .with("usr/lib/new", |header| header.set_mtime(5_000_000_000), EntryType::Regular, b"1")
        .pax(&[("mtime", b"1700000000.123456789")])
        .file("usr/lib/nanoseconds", &pattern(80))
        .pax(&[("mtime", b"1700000001.5")])
        .dir("usr/lib/half")
        .pax(&[("path", "usr/lib/\u{fc}ml\u{e4}ut".as_bytes())])
        .file("usr/lib/short", b"1")
        .file("00", b"a name of the whiteout table");
    same("names", &[layer.finish()], Pack::Gzip);
}

#[test]
fn transforms_of_the_root_run_boot_and_sysroot() {
    let layer = Layer::new()
        .with("./", |header| header.set_mode(0o700), EntryType::Directory, b"")
        .with(
            "./usr/",
            |header| {
                header.set_mode(0o751);
                header.set_uid(3);
                header.set_mtime(123)
            },
            EntryType::Directory,
            b"",
        )
        .dir("./usr//bin/")
        .dir("run")
        .file("run/lock", b"x")
        .dir("boot")
        .file("boot/vmlinuz", &pattern(9000))
        .dir("sysroot")
        .dir("sysroot/ostree")
        .file("sysroot/ostree/x", b"1");
    same("transforms", &[layer.finish()], Pack::Plain);
    let without_run = Layer::new().dir("usr").dir("boot").dir("sysroot");
    same("no /run", &[without_run.finish()], Pack::Plain);
}

#[test]
fn selinux_labels() {
    let contexts = "/.*\tsystem_u:object_r:default_t:s0\n/usr(/.*)?\tsystem_u:object_r:usr_t:s0\n\
                    /usr/bin/.*\t--\tsystem_u:object_r:bin_t:s0\n/etc/shadow\t<<none>>\n/usr/lib/(?!x)y.*\tsystem_u:object_r:look_t:s0\n";
    let policy = |layer: Layer| {
        ["etc/selinux", "etc/selinux/targeted", "etc/selinux/targeted/contexts", "etc/selinux/targeted/contexts/files"]
            .into_iter()
            .fold(layer, Layer::dir)
    };
    let layer = policy(base())
        .file("etc/selinux/config", b"# SELINUXTYPE is below\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
        .file("etc/selinux/targeted/contexts/files/file_contexts", contexts.as_bytes())
        .file("etc/selinux/targeted/contexts/files/file_contexts.subs_dist", b"/usr/lib64 /usr/lib\n")
        .dir("usr/lib64")
        .file("usr/lib64/y", &pattern(70))
        .file("usr/bin/tool", &pattern(70))
        .hardlink("usr/lib/yes", "usr/bin/tool")
        .file("etc/shadow", b"1");
    same("labels", &[layer.finish()], Pack::Gzip);
    let no_config = policy(base()).file("etc/selinux/other", b"1");
    same("a folder without a policy", &[no_config.finish()], Pack::Gzip);
}

#[test]
fn a_stream_without_end_marker_or_with_more_after_it() {
    let bytes = base().file("usr/lib/last", &pattern(600)).finish();
    same("no end marker", &[bytes[..bytes.len() - 1024].to_vec()], Pack::Plain);
    let mut padded = bytes;
    padded.resize(padded.len() + 9 * 512, 0);
    same("a full record", &[padded], Pack::Gzip);
}

#[test]
fn what_they_refuse_we_refuse() {
    let refused = |layers: &[Vec<u8>]| {
        let dir = tempfile::tempdir().unwrap();
        layout(&dir.path().join("image"), layers, Pack::Plain);
        let reference = format!("oci:{}:v1", dir.path().join("image").display());
        format!("{:#}", import_into(&dir.path().join("ours"), &reference, &Default::default()).unwrap_err())
    };
    let orphan = refused(&[base().finish(), Layer::new().file("usr/share/doc/x", b"1").finish()]);
    assert!(orphan.contains("usr/share/doc") && orphan.contains("layer 2"), "{orphan}");
    assert!(refused(&[base().hardlink("usr/bin/x", "usr/bin/none").finish()]).contains("usr/bin/none"));
    assert!(refused(&[Layer::new().dir("etc").finish()]).contains("/usr"));
}

/// A small generator of its own: the images must be the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn generated_images() {
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let mut folders: Vec<String> = vec!["usr/lib".into(), "usr/bin".into(), "etc".into()];
        let mut files: Vec<String> = Vec::new();
        let layers: Vec<_> = (0..3)
            .map(|number| {
                let mut layer = if number == 0 { base() } else { Layer::new() };
                for count in 0..40 {
                    let path = format!("{}/l{number}c{count}", folders[dice.roll(folders.len())]);
                    layer = match dice.roll(8) {
                        0 => {
                            folders.push(path.clone());
                            layer.dir(&path)
                        }
                        1 if !files.is_empty() => layer.hardlink(&path, &files[dice.roll(files.len())]),
                        2 => layer.symlink(&path, &"../t".repeat(1 + dice.roll(40))),
                        3 => layer.device(&path, EntryType::Char, dice.roll(300) as u32, dice.roll(1000) as u32),
                        4 if number > 0 && files.len() > 5 => {
                            let target = files.swap_remove(dice.roll(5));
                            match target.contains(&format!("l{number}")) {
                                true => layer,
                                false => {
                                    let (folder, name) = target.rsplit_once('/').unwrap();
                                    layer.file(&format!("{folder}/.wh.{name}"), b"")
                                }
                            }
                        }
                        kind => {
                            files.push(path.clone());
                            let mode = 0o100 + dice.roll(0o7677) as u32;
                            let owner = dice.roll(3) as u64 * 40_000;
                            let change = move |header: &mut tar::Header| {
                                header.set_mode(mode);
                                header.set_uid(owner)
                            };
                            let size = [dice.roll(70), dice.roll(70), dice.roll(9000)][kind % 3];
                            layer.with(&path, change, EntryType::Regular, &pattern(size))
                        }
                    };
                }
                layer.finish()
            })
            .collect();
        same(&format!("seed {seed}"), &layers, [Pack::Plain, Pack::Gzip, Pack::Zstd][seed as usize % 3]);
    }
}

#[test]
fn their_tool_does_see_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (image, ours) = (dir.path().join("image"), dir.path().join("ours"));
    layout(&image, &[base().file("usr/lib/large", &pattern(500)).finish()], Pack::Plain);
    let imported = import_into(&ours, &format!("oci:{}", image.display()), &Default::default()).unwrap();
    let Some((cfs_host::image::Node::Object { digest, .. }, _)) = imported.tree.get("usr/lib/large") else { panic!() };
    std::fs::write(ours.join(digest.object_path()), pattern(499)).unwrap();
    let fsck = |arguments: &[&str]| {
        let mut command = std::process::Command::new(fixture::tool("cfsctl"));
        command.arg("--repo").arg(&ours).arg("--insecure").args(arguments).output().unwrap().status.success()
    };
    assert!(!fsck(&["fsck"]) && !fsck(&["oci", "fsck"]), "else the tests above prove nothing");
}

/// Two images that share a layer, in a store of ours.
fn two_images(top: &Path) -> (PathBuf, [String; 2]) {
    let ours = top.join("ours");
    let shared = base().file("usr/lib/shared", &pattern(5000)).finish();
    let references = ["one", "two"].map(|name| {
        let own = Layer::new()
            .file(&format!("usr/lib/{name}"), &pattern(3000 + name.len() * usize::from(name.as_bytes()[0])));
        layout(&top.join(name), &[shared.clone(), own.finish()], Pack::Gzip);
        let reference = format!("oci:{}:v1", top.join(name).display());
        import_into(&ours, &reference, &Default::default()).unwrap();
        reference
    });
    (ours, references)
}

fn gc(repository: &Path, dry: bool) -> String {
    cfsctl(repository, if dry { &["gc", "--dry-run"] } else { &["gc"] })
}

/// How many objects a run of theirs removes: `Objects: N removed`.
fn objects_in(printed: &str) -> usize {
    let numbers = printed.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    numbers.map(|number| number.parse().unwrap()).next().unwrap_or_else(|| panic!("no number in {printed:?}"))
}

#[test]
fn after_a_sweep_the_rest_is_whole_and_their_collector_finds_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, [one, two]) = two_images(dir.path());
    let sys = Sys::real();
    let store = Store::open(&ours).unwrap();
    assert_eq!(store.garbage(&Roots::default()).unwrap(), Garbage::default(), "both are tagged");
    cfsctl(&ours, &["oci", "untag", &one]);
    let before = gc(&ours, true);
    let swept = store.sweep(&sys, &Roots::default()).unwrap();
    drop(store);
    // A layer's file, its stream, configuration and manifest and their streams; the first layer is shared.
    assert_eq!((swept.objects.len(), swept.streams.len()), (6, 3), "{swept:?}");
    assert_eq!(objects_in(&before), 6, "they would remove as many: {before}");
    accepted(&ours, &two);
    assert!(!cfsctl(&ours, &["oci", "images"]).contains(&one));
    let after = gc(&ours, false);
    accepted(&ours, &two);
    let again = Store::open(&ours).unwrap().garbage(&Roots::default()).unwrap();
    assert_eq!(again, Garbage::default(), "their collector left something: {after}");
    assert_eq!(import_into(&ours, &two, &Default::default()).unwrap().stats.objects_new, 0);
}

#[test]
fn what_they_keep_in_a_store_of_theirs_we_keep() {
    let dir = tempfile::tempdir().unwrap();
    let (_, [one, two]) = two_images(dir.path());
    let theirs = dir.path().join("theirs");
    peer_pull(&theirs, &one, "one");
    cfsctl(&theirs, &["oci", "pull", &two, "two"]);
    // Their import leaves objects that it replaced: we see the same ones as they do.
    let garbage = || Store::open(&theirs).unwrap().garbage(&Roots::default()).unwrap();
    assert_eq!(objects_in(&gc(&theirs, true)), garbage().objects.len());
    gc(&theirs, false);
    assert_eq!(garbage(), Garbage::default());
    cfsctl(&theirs, &["oci", "untag", "two"]);
    assert_eq!(objects_in(&gc(&theirs, true)), garbage().objects.len());
    let swept = Store::open(&theirs).unwrap().sweep(&Sys::real(), &Roots::default()).unwrap();
    assert!(swept.objects.len() >= 6, "{swept:?}");
    accepted(&theirs, "one");
}
