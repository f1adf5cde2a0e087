//! podman sees what a host runs and what is staged, over restarts and updates, at the level of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::process::Command;

use cfs_host::flow::share::DIRECTORY;
use fixture::base;
use fixture::host::{Lab, TestHost};
use fixture::podman::Podman;

/// The unit of the boot: ids of the images that podman sees after it.
fn shared(host: &TestHost, podman: &Podman) -> Vec<String> {
    host.ok(&["internals", "share"]);
    let text = podman.ok(&["images", "--quiet", "--no-trunc", "--filter=readonly=true"]);
    text.lines().map(|id| id.trim_start_matches("sha256:").to_owned()).collect()
}

/// A restart, which takes all mounts.
fn boot(host: &TestHost) -> String {
    for layer in fs::read_dir(host.path(DIRECTORY).join("overlay")).into_iter().flatten().flatten() {
        let _ = Command::new("umount").args(["-q", "--lazy"]).arg(layer.path().join("diff")).output();
    }
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
    // The only test of this program: nobody else reads its environment.
    std::env::set_var("CONTAINERS_STORAGE_CONF", podman.conf());
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
