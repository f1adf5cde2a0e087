//! A host that follows its image, at the level of the process: the real program on a host directory, and a model of
//! firmware and loader between its runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;

use fixture::base;
use fixture::host::{Lab, TestHost};
use serde_json::Value;

/// Versions 1 to 3; each names another system, so each has a UKI of its own.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.publish("v2", "Example OS 2", base().file("etc/new-in-v2", b"2\n"));
    lab
}

fn status(host: &TestHost) -> Value {
    serde_json::from_str(&host.ok(&["status", "--json"])).unwrap()
}

/// Stages a version, shuts down, and starts whatever comes next.
fn update(lab: &Lab, host: &TestHost, tag: &str, options: &[&str]) -> String {
    host.ok(&[&["switch", &lab.reference(tag)][..], options].concat());
    host.ok(&["internals", "finalize"]);
    host.version(&host.boot().unwrap())
}

/// The checks pass, and the trial becomes the default.
fn approve(host: &TestHost) {
    host.ok(&["internals", "health"]);
    host.ok(&["internals", "promote"]);
}

#[test]
fn a_host_is_switched_promoted_and_rolled_back_and_keeps_its_etc() {
    let lab = lab();
    let host = lab.host();
    let v1 = host.boot().unwrap();
    let etc = |id, name| host.etc(id, name);
    fs::write(host.path("sysroot/cfs/deploy").join(v1.to_string()).join("etc/mine"), "machine\n").unwrap();
    assert_eq!(update(&lab, &host, "v2", &[]), "v2");
    let v2 = host.entries().into_iter().find(|entry| entry.name.order == 0).unwrap().name.deployment;
    assert_eq!(etc(&v2, "mine").as_deref(), Some("machine"));
    assert_eq!(etc(&v2, "version").as_deref(), Some("v2"));
    assert_eq!(etc(&v2, "new-in-v2").as_deref(), Some("2"));
    approve(&host);
    assert_eq!(host.boot().unwrap(), v2);
    assert!(host.ok(&["upgrade"]).contains("Nothing new"));

    host.ok(&["rollback"]);
    assert_eq!(host.boot().unwrap(), v1);
    assert_eq!(etc(&v1, "version").as_deref(), Some("v1"));
    assert_eq!(etc(&v1, "new-in-v2"), None);
    host.ok(&["rollback", "--to", &v2.to_string()]);
    assert_eq!(host.boot().unwrap(), v2);
}

#[test]
fn a_trial_whose_uki_is_damaged_is_denied_until_force() {
    let lab = lab();
    let host = lab.host();
    host.ok(&["switch", &lab.reference("v2")]);
    host.ok(&["internals", "finalize"]);
    let trial = host.entries().into_iter().find(|entry| entry.name.order == 0).unwrap();
    let uki = host.path("esp/EFI/cfs").join(&trial.uki);
    let mut bytes = fs::read(&uki).unwrap();
    bytes[700] ^= 1;
    fs::write(&uki, bytes).unwrap();
    assert_eq!(host.version(&host.boot().unwrap()), "v1");
    denied(&lab, &host, "not-started");
}

#[test]
fn a_trial_that_stops_before_it_is_good_is_denied() {
    let lab = lab();
    let host = lab.host();
    assert_eq!(update(&lab, &host, "v2", &[]), "v2");
    assert_eq!(host.version(&host.boot().unwrap()), "v1");
    denied(&lab, &host, "stopped");
}

#[test]
fn a_trial_whose_checks_fail_is_denied_with_the_checks_words() {
    let lab = lab();
    let host = lab.host();
    assert_eq!(update(&lab, &host, "v2", &[]), "v2");
    let checks = host.path("etc/cfs-host/health.d/required");
    fs::create_dir_all(&checks).unwrap();
    fs::write(checks.join("10-web"), "#!/bin/sh\necho no web here\nexit 3\n").unwrap();
    fixture::run(std::process::Command::new("chmod").arg("755").arg(checks.join("10-web")));
    assert!(!host.cfs_host(&["internals", "health"], None).status.success());
    assert_eq!(host.version(&host.boot().unwrap()), "v1");
    fs::remove_dir_all(&checks).unwrap();
    let why = denied(&lab, &host, "unhealthy");
    assert!(why.contains("10-web") && why.contains("no web here"), "{why}");
}

/// `v2` failed in this way: it is told, it is not taken again by a timer, and `--force` takes it.
fn denied(lab: &Lab, host: &TestHost, kind: &str) -> String {
    let denied = status(host)["denied"].as_array().unwrap().clone();
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0]["kind"], kind, "{denied:?}");
    assert_eq!(host.entries().len(), 1, "the entry of the trial is still there");
    let v2 = lab.reference("v2");
    let refused = host.cfs_host(&["switch", &v2], None);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    assert_eq!(update(lab, host, "v2", &["--force"]), "v2");
    approve(host);
    assert_eq!(host.version(&host.boot().unwrap()), "v2");
    denied[0]["why"].as_str().unwrap().to_owned()
}

#[test]
fn a_trial_is_not_updated_before_it_is_good() {
    let lab = lab();
    let host = lab.host();
    assert_eq!(update(&lab, &host, "v2", &[]), "v2");
    let refused = host.cfs_host(&["switch", &lab.reference("v1")], None);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("trial"));
    approve(&host);
    host.ok(&["switch", &lab.reference("v1")]);
}

#[test]
fn a_power_cut_before_the_shutdown_forgets_what_was_staged() {
    let lab = lab();
    let host = lab.host();
    host.ok(&["switch", &lab.reference("v2")]);
    assert!(host.path("run/reboot-required").exists());
    assert_eq!(host.version(&host.boot().unwrap()), "v1");
    assert!(status(&host)["denied"].as_array().unwrap().is_empty());
    host.ok(&["prune"]);
    assert_eq!(fs::read_dir(host.path("sysroot/cfs/deploy")).unwrap().count(), 1, "the staged deployment is left");
    assert_eq!(fs::read_dir(host.path("esp/EFI/cfs")).unwrap().count(), 1, "the staged UKI is left");
}
