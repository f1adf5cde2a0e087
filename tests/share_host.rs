//! podman sees what a host runs and what is staged, over restarts and updates, at the level of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

use cfs_host::flow::share::DIRECTORY;
use fixture::host::{binding, Lab, TestHost};
use fixture::liar::{Liar, Reply, Shelf};
use fixture::podman::Podman;
use fixture::stores::unmount_layers;
use fixture::{base, layout, Layer, Pack};

/// The unit of the boot: ids of the images that podman sees after it.
fn shared(host: &TestHost, podman: &Podman) -> Vec<String> {
    fixture::run(host.command(&["internals", "share"], None).env("CONTAINERS_STORAGE_CONF", podman.conf()));
    let text = podman.ok(&["images", "--quiet", "--no-trunc", "--filter=readonly=true"]);
    text.lines().map(|id| id.trim_start_matches("sha256:").to_owned()).collect()
}

/// A restart, which takes all mounts.
fn boot(host: &TestHost) -> String {
    unmount_layers(&host.path(DIRECTORY));
    host.version(&host.boot().unwrap())
}

/// A file of an image.
fn version(podman: &Podman, container: &str) -> String {
    let at = podman.ok(&["mount", container]);
    let text = fs::read_to_string(format!("{at}/etc/version")).unwrap();
    podman.ok(&["umount", container]);
    text.trim().to_owned()
}

#[test]
fn podman_sees_what_runs_and_what_is_staged_and_keeps_what_it_builds_on() {
    let lab = Lab::new();
    lab.publish("v2", "Example OS 2", base().file("etc/new-in-v2", b"2\n"));
    let host = lab.host();
    let podman = Podman::new(lab.path("podman"), &[host.path(DIRECTORY)], "");
    let v1 = shared(&host, &podman);
    assert_eq!(v1.len(), 1);
    let container = podman.ok(&["create", &v1[0], "true"]);
    assert_eq!(version(&podman, &container), "v1");

    host.ok(&["switch", &lab.reference("v2")]);
    assert_eq!(shared(&host, &podman).len(), 2, "what is staged can be looked at before it runs");
    host.ok(&["internals", "finalize"]);
    assert_eq!(boot(&host), "v2");
    host.ok(&["internals", "health"]);
    host.ok(&["internals", "promote"]);
    let both = shared(&host, &podman);
    assert!(both.len() == 2 && both.contains(&v1[0]), "a container is of the old one");

    // Nothing that the container needs goes, although no deployment has it any more.
    lab.publish("v3", "Example OS 3", base());
    for _ in 0..2 {
        host.ok(&["switch", &lab.reference("v3")]);
        host.ok(&["internals", "finalize"]);
        assert_eq!(boot(&host), "v3");
        host.ok(&["internals", "health"]);
        host.ok(&["internals", "promote"]);
        lab.publish("v3", "Example OS 3", base().file("etc/again", b"3\n"));
    }
    host.ok(&["prune"]);
    assert!(host.root().join("sysroot/cfs/deploy").read_dir().unwrap().count() <= 3);
    let seen = shared(&host, &podman);
    assert!(seen.contains(&v1[0]), "{seen:?}");
    assert_eq!(version(&podman, &container), "v1");
    podman.ok(&["rm", &container]);
    let seen = shared(&host, &podman);
    assert!(seen.len() == 1 && !seen.contains(&v1[0]), "{seen:?}");
    assert!(host.ok(&["prune", "--json"]).contains("\"objects\""));
    boot(&host);
}

#[test]
fn podman_has_what_the_host_binds_by_its_own_name_and_without_a_network() {
    let lab = Lab::new();
    let app = |text: &str| Layer::new().dir("srv").file("srv/version", text.as_bytes()).finish();
    let mut shelf = Shelf::default();
    let tagged = |shelf: &mut Shelf, tag: &str, text: &str| {
        layout(&lab.path(text), &[app(text)], Pack::Gzip);
        shelf.add(tag, &lab.path(text))
    };
    tagged(&mut shelf, "v1", "app 1");
    let pinned = tagged(&mut shelf, "other", "app 2");
    let manifest = tagged(&mut shelf, "third", "app 3");
    let index = index_of(&manifest, shelf.bytes(&manifest).len());
    let list = shelf.put(index.to_string().as_bytes());
    let gone = Arc::new(AtomicBool::new(false));
    let is_gone = gone.clone();
    let registry = Liar::start(shelf, move |_, reply| match is_gone.load(Relaxed) {
        true => Reply::status(503),
        false => reply,
    });
    let (by_tag, by_digest) = (format!("{}/app:v1", registry.address), format!("{}/second@{pinned}", registry.address));
    let by_list = format!("{}/third@{list}", registry.address);
    let insecure = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.address);
    fs::write(lab.path("registries.conf"), insecure).unwrap();
    let all = [("a.image", &*by_tag), ("b.container", &*by_digest), ("c.image", &*by_list)];
    lab.publish("v2", "Example OS 2", binding(base(), &all));
    lab.publish("v3", "Example OS 3", base());
    let host = lab.host();
    let podman = Podman::new(lab.path("podman"), &[host.path(DIRECTORY)], "");
    let ok = |arguments: &[&str]| {
        let mut command = host.command(arguments, None);
        command.env("CONTAINERS_STORAGE_CONF", podman.conf());
        fixture::run(command.env("CONTAINERS_REGISTRIES_CONF", lab.path("registries.conf")))
    };
    let file = |name: &str| {
        let container = podman.ok(&["create", "--pull=never", name, "true"]);
        let at = podman.ok(&["mount", &container]);
        let text = fs::read_to_string(format!("{at}/srv/version")).unwrap();
        podman.ok(&["umount", &container]);
        podman.ok(&["rm", &container]);
        text
    };
    ok(&["switch", &lab.reference("v2")]);
    gone.store(true, Relaxed);
    let asked = registry.asked().len();
    ok(&["internals", "share"]);
    let versions = || [&by_tag, &by_digest, &by_list].map(|name| file(name));
    assert_eq!(versions(), ["app 1", "app 2", "app 3"], "before it runs");
    let latest = by_digest.replace(&format!("@{pinned}"), ":latest");
    assert!(!podman.on(&["image", "exists", &latest]).status.success(), "nobody said that it is the latest");
    let update = |version: &str| {
        host.ok(&["internals", "finalize"]);
        assert_eq!(boot(&host), version);
        host.ok(&["internals", "health"]);
        host.ok(&["internals", "promote"]);
        ok(&["internals", "share"]);
    };
    update("v2");
    assert_eq!(versions(), ["app 1", "app 2", "app 3"], "as it runs");
    assert_eq!(registry.asked().len(), asked, "the network is not asked");
    // As the quadlets of bootc's pages say it, where the image has a link at their path.
    let (plain, link) = (Podman::new(lab.path("plain"), &[], ""), lab.path("bootc-storage"));
    std::os::unix::fs::symlink(host.path(DIRECTORY), &link).unwrap();
    let option = format!("--storage-opt=additionalimagestore={}", link.display());
    let container = plain.ok(&[&option, "create", "--pull=never", &by_tag, "true"]);
    let at = plain.ok(&[&option, "mount", &container]);
    assert_eq!(fs::read_to_string(format!("{at}/srv/version")).unwrap(), "app 1");
    plain.ok(&[&option, "umount", &container]);

    // What does not bind them does not show them.
    ok(&["switch", &lab.reference("v3")]);
    update("v3");
    assert!(podman.images().iter().all(|name| !name.contains("/app") && !name.contains("/second")));
    boot(&host);
}

/// A list of one image.
fn index_of(manifest: &str, size: usize) -> serde_json::Value {
    serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": manifest, "size": size,
        "platform": {"os": "linux", "architecture": "amd64"},
    }]})
}
