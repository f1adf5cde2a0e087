//! Images in a store by the verbs of the real program: pull, list, look into, compare, mount, remove, check. What composefs-rs' own tool
//! says of the same store decides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cfs_host::model::Digest;
use cfs_host::sys::{Composefs, Sys, Verity};
use fixture::registry::Registry;
use fixture::stores::{host, pattern, Lab, Mounted};
use fixture::{cfsctl, peer_digests, peer_pull, run, Layer};
use serde_json::Value;

/// Everything below a directory with what a write would change.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        found.insert(path.clone(), (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()));
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn a_pull_tells_the_digests_that_composefs_computes_and_what_it_took() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    let pulled = lab.json("store", &["image", "pull", &reference]);
    peer_pull(&lab.path("theirs"), &reference, "peer");
    let (plain, bootable) = peer_digests(&lab.path("theirs"), "peer");
    assert_eq!(pulled["kind"], "ImagePull");
    assert_eq!(pulled["reference"], reference);
    assert_eq!(pulled["imageDigest"], plain.to_hex());
    assert_eq!(pulled["bootableDigest"], bootable.to_hex());
    assert_eq!(pulled["notBootable"], Value::Null);
    let blobs = fs::read_dir(lab.path("image/blobs/sha256")).unwrap();
    let sizes: Vec<u64> = blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).collect();
    let fetched = pulled["bytesFetched"].as_u64().unwrap();
    assert!(fetched > 1000 && fetched < sizes.iter().sum(), "{fetched} of {sizes:?}");
    assert_eq!(pulled["objectsTotal"], 4);
    // Four files, two layers' streams, two EROFS images.
    assert_eq!(pulled["objectsNew"], 8);
    assert!(pulled["bytesWritten"].as_u64().unwrap() > 203_500);
    lab.clean("store");
    // Tags keep the EROFS images too, by the word of both collectors.
    lab.ok("store", &["prune"]);
    let theirs = cfsctl(&lab.repository("store"), &["gc", "--dry-run"]);
    assert!(theirs.contains("Objects: 0 "), "{theirs}");
    for digest in [plain, bootable] {
        assert!(lab.repository("store").join("images").join(digest.to_hex()).exists());
        assert!(cfsctl(&lab.repository("store"), &["image-objects", &digest.to_hex()]).contains(':'));
    }
}

#[test]
fn an_image_that_is_there_costs_its_manifest_and_writes_nothing() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    let first = lab.json("store", &["image", "pull", &reference]);
    // No layer can be read any more.
    for blob in fs::read_dir(lab.path("image/blobs/sha256")).unwrap().map(|blob| blob.unwrap().path()) {
        if fs::read(&blob).unwrap()[0] != b'{' {
            fs::remove_file(blob).unwrap();
        }
    }
    let before = snapshot(&lab.path("store"));
    let second = lab.json("store", &["image", "pull", &reference]);
    assert_eq!(snapshot(&lab.path("store")), before);
    for field in ["bytesFetched", "bytesWritten", "objectsNew"] {
        assert_eq!(second[field], 0, "{field}");
    }
    for field in ["imageDigest", "bootableDigest", "manifestDigest", "objectsTotal"] {
        assert_eq!(second[field], first[field], "{field}");
    }
    // The same image under another name is one tag more.
    fs::rename(lab.path("image"), lab.path("moved")).unwrap();
    let moved = format!("oci:{}:v1", lab.text("moved"));
    assert_eq!(lab.json("store", &["image", "pull", &moved])["bytesWritten"], 0);
    let images = lab.json("store", &["image", "list"]);
    assert_eq!(images["images"].as_array().unwrap().len(), 1);
    assert_eq!(images["images"][0]["references"], serde_json::json!([reference, moved]));
}

#[test]
fn a_registry_is_asked_for_the_manifest_of_an_image_that_is_there_and_for_no_blob() {
    let lab = Lab::new();
    let registry = Registry::start(&lab.path(""));
    let reference = lab.image("image", &host());
    let name = format!("docker://{}/host:v1", registry.address);
    run(Command::new("skopeo").args(["copy", "-q", "--dest-tls-verify=false", &reference, &name]));
    let pull = ["image", "pull", "--insecure-transport", &name];
    let uploaded = registry.requests().len();
    let first = lab.json("store", &pull);
    let asked = registry.requests();
    let blobs = |asked: &[String]| asked.iter().filter(|line| line.contains("/blobs/")).collect::<BTreeSet<_>>().len();
    assert_eq!(blobs(&asked[uploaded..]), 3, "two layers and the configuration: {:?}", &asked[uploaded..]);
    let second = lab.json("store", &pull);
    let again = &registry.requests()[asked.len()..];
    assert!(again.iter().any(|line| line.contains("/manifests/")) && blobs(again) == 0, "{again:?}");
    assert_eq!(second["bytesFetched"], 0);
    assert_eq!(second["manifestDigest"], first["manifestDigest"]);
    // A newer version with a layer more: that layer, and its configuration.
    let more = [&host()[..], &[Layer::new().file("usr/lib/own", &pattern(7000, 9)).finish()]].concat();
    run(Command::new("skopeo").args(["copy", "-q", "--dest-tls-verify=false", &lab.image("more", &more), &name]));
    let uploaded = registry.requests().len();
    lab.json("store", &pull);
    assert_eq!(blobs(&registry.requests()[uploaded..]), 2);
    // The old version has no tag any more.
    assert_eq!(lab.json("store", &["image", "list"])["images"].as_array().unwrap().len(), 1);
    assert!(lab.json("store", &["prune"])["objects"].as_u64().unwrap() > 0);
    lab.clean("store");
}

#[test]
fn an_object_that_is_lost_is_brought_back_by_a_pull() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    lab.ok("store", &["image", "pull", &reference]);
    let large = Digest::new(*cfs_host::store::verity::Hasher::hash(&pattern(200_000, 1)).as_bytes());
    fs::remove_file(lab.repository("store").join(large.object_path())).unwrap();
    assert_eq!(lab.refused("store", &["fsck"]).0, 6);
    assert_eq!(lab.json("store", &["image", "pull", &reference])["objectsNew"], 1);
    lab.clean("store");
}

#[test]
fn an_image_that_cannot_boot_is_pulled_and_says_why() {
    let lab = Lab::new();
    let reference = lab.image("image", &[Layer::new().dir("usr").dir("run").file("usr/x", b"1").finish()]);
    let pulled = lab.json("store", &["image", "pull", &reference]);
    assert_eq!(pulled["bootableDigest"], Value::Null);
    assert!(pulled["notBootable"].as_str().unwrap().contains("/boot"), "{pulled}");
    assert!(lab.ok("store", &["image", "pull", &reference]).contains("bootable  no: "));
    let (code, words) = lab.refused("store", &["image", "digest", "--bootable", &reference]);
    assert!(code == 3 && words.contains("/boot"), "{words}");
    lab.clean("store");
}

#[test]
fn images_are_listed_with_what_is_their_own_and_go_with_their_tags() {
    let lab = Lab::new();
    let one = lab.image("one", &host());
    let two =
        lab.image("two", &[&host()[..], &[Layer::new().file("usr/lib/own", &pattern(70_000, 9)).finish()]].concat());
    for reference in [&one, &two] {
        lab.ok("store", &["image", "pull", reference]);
    }
    let images = lab.json("store", &["image", "list"]);
    let find = |reference: &str| {
        let all = images["images"].as_array().unwrap();
        all.iter().find(|image| image["references"][0] == reference).unwrap().clone()
    };
    let (first, second) = (find(&one), find(&two));
    assert!(second["bytes"].as_u64() > first["bytes"].as_u64());
    let own = second["uniqueBytes"].as_u64().unwrap();
    assert!((70_000..150_000).contains(&own), "{own}");
    assert_eq!(first["problem"], Value::Null);
    assert!(lab.ok("store", &["image", "list"]).contains(&two));

    // By the beginning of its digest.
    let digest = second["manifestDigest"].as_str().unwrap();
    assert_eq!(lab.json("store", &["image", "rm", &digest[..20]])["removed"], serde_json::json!([two]));
    assert_eq!(lab.refused("store", &["image", "rm", &two]).0, 3);
    let foreseen = lab.json("store", &["prune", "--dry-run"]);
    let pruned = lab.json("store", &["prune"]);
    assert_eq!(foreseen["objects"], pruned["objects"]);
    assert!(pruned["objectBytes"].as_u64().unwrap() >= own);
    assert_eq!(lab.json("store", &["prune"])["objects"], 0);
    lab.clean("store");
    // The other one lacks nothing.
    let before = snapshot(&lab.path("store"));
    assert_eq!(lab.json("store", &["image", "pull", &one])["objectsNew"], 0);
    assert_eq!(snapshot(&lab.path("store")), before);
    let all = lab.ok("store", &["image", "rm", &one]);
    assert!(all.contains(&one));
    lab.ok("store", &["prune"]);
    let left: Vec<_> =
        snapshot(&lab.repository("store").join("objects")).into_keys().filter(|path| path.is_file()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    lab.clean("store");
}

#[test]
fn two_images_are_compared_by_path_wherever_they_are() {
    let lab = Lab::new();
    let one = lab.image("one", &host());
    let upper = Layer::new()
        .file("etc/name", b"two")
        .with("usr/bin/tool", |header| header.set_mode(0o4755), tar::EntryType::Regular, &pattern(500, 2))
        .file("usr/lib/.wh.more", b"")
        .symlink("usr/lib/new", "large");
    let two = lab.image("two", &[&host()[..], &[upper.finish()]].concat());
    let pulled = lab.json("store", &["image", "pull", &one]);
    let expected = "\
~ /etc/name: content \"one\" -> \"two\"
~ /usr/bin/tool: mode 0644 -> 4755
- /usr/lib/more
+ /usr/lib/new
4 paths differ
";
    // One from the store and one that is fetched; neither from there; by the digest of its EROFS image.
    let image = pulled["imageDigest"].as_str().unwrap();
    let bootable = pulled["bootableDigest"].as_str().unwrap();
    fs::create_dir(lab.path("image-less")).unwrap();
    assert_eq!(lab.ok("store", &["image", "diff", &one, &two]), expected);
    assert_eq!(lab.ok("store", &["image", "diff", image, &two]), expected);
    assert!(lab.ok("store", &["image", "diff", bootable, &two]).contains("~ /usr/bin/tool: mode 0644 -> 4755\n"));
    let without_store =
        Command::new(env!("CARGO_BIN_EXE_cfs-host")).args(["image", "diff", &one, &two]).output().unwrap();
    assert_eq!(String::from_utf8(without_store.stdout).unwrap(), expected);
    let json = lab.json("store", &["image", "diff", &one, &two]);
    assert_eq!(
        json["differences"][0]["differs"][0],
        serde_json::json!({"what": "content", "from": "\"one\"", "to": "\"two\""})
    );
    assert_eq!(lab.ok("store", &["image", "diff", &one, image]), "no difference\n");
}

#[test]
fn a_digest_is_computed_from_the_store_or_from_what_is_fetched() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    let pulled = lab.json("store", &["image", "pull", &reference]);
    let digest = |arguments: &[&str]| lab.ok("store", &[&["image", "digest"], arguments].concat()).trim().to_owned();
    let manifest = pulled["manifestDigest"].as_str().unwrap();
    assert_eq!(digest(&[&reference]), pulled["imageDigest"]);
    assert_eq!(digest(&[manifest]), pulled["imageDigest"]);
    assert_eq!(digest(&[manifest, "--bootable"]), pulled["bootableDigest"]);
    let json = lab.json("store", &["image", "digest", &reference]);
    assert_eq!((&json["stored"], &json["bootableDigest"]), (&Value::Bool(true), &pulled["bootableDigest"]));
    fs::rename(lab.path("image"), lab.path("moved")).unwrap();
    let json = lab.json("store", &["image", "digest", &format!("oci:{}", lab.text("moved"))]);
    assert_eq!((&json["stored"], &json["imageDigest"]), (&Value::Bool(false), &pulled["imageDigest"]));
    // A seal is looked for in what the store has.
    let report = lab.json("store", &["image", "inspect", "--stored", manifest]);
    assert_eq!(
        (&report["reference"], &report["manifestDigest"]),
        (&Value::String(reference), &pulled["manifestDigest"])
    );
    let (code, words) = lab.refused("store", &["image", "inspect", "--stored", "oci:nowhere"]);
    assert!(code == 3 && words.contains("image list"), "{words}");
}

#[test]
fn every_damage_is_found_by_fsck_and_told_on_a_line_with_advice() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    let manifest = lab.json("store", &["image", "pull", &reference])["manifestDigest"].as_str().unwrap().to_owned();
    let repository = lab.repository("store");
    lab.ok("store", &["prune"]);
    let (streams, objects) = (repository.join("streams"), snapshot(&repository.join("objects")));
    let objects: Vec<PathBuf> = objects.into_keys().filter(|path| path.is_file()).collect();
    let fsck = || {
        let output = lab.on("store", &["fsck"]);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(fsck().0, 0);
    assert!(objects.len() > 6);
    for object in &objects {
        let kept = fs::read(object).unwrap();
        let mut damaged = kept.clone();
        damaged[kept.len() / 2] ^= 1;
        for bytes in [&damaged[..], &kept[..kept.len() - 1]] {
            fs::remove_file(object).unwrap();
            fs::write(object, bytes).unwrap();
            let (code, text) = fsck();
            let line = text.lines().find(|line| line.starts_with(&format!("{}: ", object.display())));
            assert!(code == 6 && line.is_some_and(|line| line.ends_with(')')), "{}: {code}: {text}", object.display());
        }
        fs::remove_file(object).unwrap();
        assert_eq!(fsck().0, 6, "{} is gone", object.display());
        fs::write(object, kept).unwrap();
    }
    assert_eq!(fsck().0, 0);
    // A manifest's name that leads to another stream that is sound in itself.
    let name = streams.join(format!("oci-manifest-{manifest}"));
    let target = fs::read_link(&name).unwrap();
    let mut config = fs::read_dir(&streams).unwrap().map(|entry| entry.unwrap().path());
    let config = config.find(|path| path.display().to_string().contains("oci-config-")).unwrap();
    fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink(fs::read_link(config).unwrap(), &name).unwrap();
    let (code, text) = fsck();
    assert!(code == 6 && text.contains(&format!("oci-manifest-{manifest}: ")), "{text}");
    fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink(target, &name).unwrap();
    lab.clean("store");
}

#[test]
fn what_composefs_wrote_is_listed_computed_compared_checked_and_removed() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    fs::create_dir(lab.path("theirs")).unwrap();
    peer_pull(&lab.repository("theirs"), &reference, "peer");
    let (plain, bootable) = peer_digests(&lab.repository("theirs"), "peer");
    lab.clean("theirs");
    let images = lab.json("theirs", &["image", "list"]);
    assert_eq!(images["images"][0]["references"], serde_json::json!(["peer"]));
    assert!(images["images"][0]["bytes"].as_u64().unwrap() > 200_000);
    assert_eq!(lab.ok("theirs", &["image", "digest", "peer"]).trim(), plain.to_hex());
    assert_eq!(lab.ok("theirs", &["image", "digest", "--bootable", "peer"]).trim(), bootable.to_hex());
    assert_eq!(lab.ok("theirs", &["image", "diff", "peer", &reference]), "no difference\n");
    // Over it: nothing is fetched, our images come along, and theirs still holds together.
    assert_eq!(lab.json("theirs", &["image", "pull", &reference])["bytesFetched"], 0);
    lab.clean("theirs");
    assert!(cfsctl(&lab.repository("theirs"), &["oci", "images"]).contains("peer"));
    lab.ok("theirs", &["image", "rm", "peer"]);
    lab.ok("theirs", &["prune"]);
    assert_eq!(lab.ok("theirs", &["image", "digest", &reference]).trim(), plain.to_hex());
    lab.clean("theirs");
}

#[test]
fn without_fs_verity_an_image_is_mounted_only_if_that_is_asked_for_and_that_is_told() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    let at = lab.path("at");
    fs::create_dir(&at).unwrap();
    let at_text = lab.text("at");
    let _plain = Mounted::ext4(&lab, "plain", "^verity");
    let pulled = lab.json("plain", &["image", "pull", &reference]);
    let options = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().rfind(|line| line.split(' ').nth(4) == Some(at_text.as_str())).map(str::to_owned)
    };
    let (code, words) = lab.refused("plain", &["image", "mount", &reference, &at_text]);
    assert!(code == 3 && words.contains("no fs-verity") && words.contains("--no-verity"), "{words}");
    assert_eq!(options(), None);
    for (flags, boot) in [(&["--no-verity"][..], 1), (&["--no-verity", "--bootable"], 0)] {
        let mounted = Mounted(at.clone());
        let output = lab.on("plain", &[&["image", "mount"], flags, &[&reference, &at_text]].concat());
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && words.contains("NOT VERIFIED"), "{words}");
        assert_eq!(fs::read(at.join("usr/bin/tool")).unwrap(), pattern(500, 2));
        assert_eq!(fs::read(at.join("etc/name")).unwrap(), b"one");
        assert!(fs::write(at.join("etc/name"), "x").is_err());
        assert_eq!(fs::read_dir(at.join("boot")).unwrap().count(), boot);
        let options = options().unwrap();
        let image = if boot == 1 { &pulled["imageDigest"] } else { &pulled["bootableDigest"] };
        assert!(options.contains(image.as_str().unwrap()) && !options.contains("verity=require"), "{options}");
        drop(mounted);
    }
    assert_eq!(options(), None, "one umount takes it all down");
    // An image that is not what its name says is not even mounted so.
    let image: Digest = pulled["imageDigest"].as_str().unwrap().parse().unwrap();
    let object = lab.repository("plain").join(image.object_path());
    let mut bytes = fs::read(&object).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&object, bytes).unwrap();
    assert_eq!(lab.refused("plain", &["image", "mount", "--no-verity", &reference, &at_text]).0, 6);
}

#[test]
fn where_verity_is_required_an_object_without_it_cannot_be_read() {
    let lab = Lab::new();
    let reference = lab.image("image", &host());
    let at = lab.path("at");
    fs::create_dir(&at).unwrap();
    let _plain = Mounted::ext4(&lab, "plain", "^verity");
    let pulled = lab.json("plain", &["image", "pull", &reference]);
    let name = pulled["imageDigest"].as_str().unwrap();
    let image = fs::File::open(lab.repository("plain").join("images").join(name)).unwrap();
    let objects = lab.repository("plain").join("objects");
    let _mounted = Mounted(at.clone());
    let what = Composefs { image: &image, name, objects: &objects, verity: Verity::Required, owners: None };
    Sys::real().mount_composefs(&what, &at).unwrap();
    assert_eq!(fs::read(at.join("etc/name")).unwrap(), b"one", "a small file is part of the image");
    assert!(fs::read(at.join("usr/bin/tool")).is_err());
}
