//! Updates stopped at every durable step: as by a power cut, with a full disk, with a failing one.
//!
//! After each of them a model of firmware, loader and `/init` finds a good deployment to boot, the store holds together by
//! the word of composefs-rs' own tool, and the next run finishes or undoes what was begun. `ci/test crash` tries every step,
//! `CRASH_STRIDE=N` every N-th.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cfs_host::deploy::origin::Origin;
use cfs_host::flow::import::stored_pieces;
use cfs_host::model::DeploymentId;
use cfs_host::share::published;
use cfs_host::store::Store;
use fixture::host::{binding, Frozen, Lab, TestHost};
use fixture::{base, cfsctl, layout, Layer, Pack};

const ABORTED: i32 = 6;
/// ENOSPC and EIO.
const ERRORS: [i32; 2] = [28, 5];

/// A verb under test.
struct Verb<'a> {
    name: &'static str,
    arguments: Vec<String>,
    /// The state that it starts from.
    before: Frozen,
    /// Which versions may boot after a stop on the way.
    may_boot: &'static [&'static str],
    /// Brings the host to the verb's end, whatever the stop left; fails if that cannot be reached.
    finish: &'a (dyn Fn(&TestHost) + Sync),
}

/// How a run ended.
enum Run {
    /// The fault struck.
    Struck,
    /// The verb has no such step.
    Through,
}

impl Verb<'_> {
    /// Tries every step, or every `CRASH_STRIDE`-th, two at a time; counts the points that held.
    fn hold(&self) -> usize {
        let stride = std::env::var("CRASH_STRIDE").map_or(1, |text| text.parse().unwrap());
        let (next, held) = (AtomicUsize::new(1), AtomicUsize::new(0));
        let work = || loop {
            let step = next.fetch_add(stride, Relaxed);
            if let Run::Through = self.stop(step) {
                break;
            }
            ERRORS.iter().for_each(|errno| self.fail(step, *errno));
            held.fetch_add(1 + ERRORS.len(), Relaxed);
        };
        std::thread::scope(|scope| {
            scope.spawn(work);
            work();
        });
        let held = held.into_inner();
        assert!(held > 0, "{} has no steps", self.name);
        println!("{}: {held}", self.name);
        held
    }

    fn run(&self, host: &TestHost, fault: &str) -> std::process::Output {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        host.cfs_host(&arguments, Some(fault))
    }

    /// The power is cut before this step.
    fn stop(&self, step: usize) -> Run {
        let host = self.before.thaw();
        let output = self.run(&host, &format!("stop:{step}"));
        if output.status.success() {
            return Run::Through;
        }
        let at = format!("{} stopped at step {step}", self.name);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.signal(), Some(ABORTED), "{at}: {words}");
        self.check(&host, &at);
        (self.finish)(&host);
        self.check(&host, &format!("{at}, and finished"));
        Run::Struck
    }

    /// This step fails, and the machine runs on.
    fn fail(&self, step: usize, errno: i32) {
        let host = self.before.thaw();
        let output = self.run(&host, &format!("errno:{errno}:{step}"));
        let at = format!("{} with errno {errno} at step {step}", self.name);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        // A step that only tidies up may fail without a failure of the verb.
        if !output.status.success() {
            assert_eq!(output.status.signal(), None, "{at}: {words}");
            assert!(words.contains("error: ") && words.contains("do: "), "{at}: {words}");
        }
        (self.finish)(&host);
        self.check(&host, &at);
    }

    fn check(&self, host: &TestHost, at: &str) {
        bound_images_are_whole(host, at);
        let booted = host.boot().unwrap_or_else(|why| panic!("{at}: nothing boots: {why}"));
        let version = host.version(&booted);
        assert!(self.may_boot.contains(&version.as_str()), "{at}: {version} boots");
        cfsctl(&host.path("sysroot/composefs"), &["fsck"]);
    }
}

/// Whatever a deployment's record binds is in the store, with what podman reads of it.
fn bound_images_are_whole(host: &TestHost, at: &str) {
    let store = Store::open(&host.path("sysroot/composefs")).unwrap();
    for id in names(host, "sysroot/cfs/deploy").into_iter().filter(|name| !name.starts_with(".tmp")) {
        let origin = Origin::read(&host.path("sysroot/cfs/deploy").join(&id).join("origin.json")).unwrap();
        for bound in origin.bound_images {
            let pieces = stored_pieces(&store, &bound.manifest_digest).unwrap_or_else(|why| panic!("{at}: {why:#}"));
            let layers: Vec<_> = pieces.layers.iter().map(|(id, stream, _)| (*id, *stream)).collect();
            published::parts(&store, &layers).unwrap_or_else(|why| panic!("{at}: {why}"));
        }
    }
}

/// Nothing is left of anything but these versions: deployments, entries, UKIs, temporary names.
fn only(host: &TestHost, versions: &[&str]) {
    host.ok(&["prune"]);
    let deployments = names(host, "sysroot/cfs/deploy");
    let found: BTreeSet<String> =
        deployments.iter().map(|id| host.version(&id.parse::<DeploymentId>().unwrap())).collect();
    assert_eq!(found, versions.iter().map(|version| version.to_string()).collect(), "{deployments:?}");
    assert_eq!(deployments.len(), versions.len(), "{deployments:?}");
    assert_eq!(host.entries().len(), versions.len());
    let ukis: BTreeSet<String> = host.entries().into_iter().map(|entry| entry.uki).collect();
    assert_eq!(names(host, "esp/EFI/cfs"), ukis);
    for place in ["sysroot/cfs", "esp/loader/entries", "sysroot/composefs/objects", "run/cfs-host"] {
        let temporary: Vec<_> = names(host, place).into_iter().filter(|name| name.starts_with(".tmp")).collect();
        assert!(temporary.is_empty(), "{place}: {temporary:?}");
    }
}

fn names(host: &TestHost, directory: &str) -> BTreeSet<String> {
    let list = fs::read_dir(host.path(directory)).unwrap();
    list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|word| word.to_string()).collect()
}

/// Stages `v2`, tries it, and finds it good, from wherever the host is.
fn to_v2(lab: &Lab, host: &TestHost) {
    let booted = host.boot().unwrap();
    if host.version(&booted) == "v1" {
        host.ok(&["switch", &lab.reference("v2"), "--force"]);
        host.ok(&["internals", "finalize"]);
        assert_eq!(host.version(&host.boot().unwrap()), "v2");
    }
    host.ok(&["internals", "health"]);
    host.ok(&["internals", "promote"]);
    assert_eq!(host.version(&host.boot().unwrap()), "v2");
}

#[test]
fn whatever_step_of_an_update_is_the_last_one_a_good_deployment_boots() {
    let lab = Lab::new();
    lab.publish("v2", "Example OS 2", base());
    let v2 = lab.reference("v2");
    // One host on its way through an update, frozen before each verb.
    let host = lab.host();
    let fresh = host.freeze();
    host.ok(&["switch", &v2]);
    let staged = host.freeze();
    host.ok(&["internals", "finalize"]);
    assert_eq!(host.version(&host.start().unwrap()), "v2");
    let on_trial = host.freeze();
    host.ok(&["internals", "settle"]);
    let running = host.freeze();
    // The trial did not come back: what the next boot of the old deployment has to settle.
    let fallen = running.thaw();
    assert_eq!(fallen.version(&fallen.start().unwrap()), "v1");
    host.ok(&["internals", "health"]);
    let healthy = host.freeze();
    host.ok(&["internals", "promote"]);

    let update = |host: &TestHost| {
        to_v2(&lab, host);
        only(host, &["v1", "v2"]);
    };
    let back = |host: &TestHost| {
        host.boot().unwrap();
        if host.version(&host.boot().unwrap()) == "v2" {
            host.ok(&["rollback"]);
        }
        assert_eq!(host.version(&host.boot().unwrap()), "v1");
        only(host, &["v1", "v2"]);
    };
    let settle = |host: &TestHost| {
        assert_eq!(host.version(&host.boot().unwrap()), "v1");
        let status: serde_json::Value = serde_json::from_str(&host.ok(&["status", "--json"])).unwrap();
        assert_eq!(status["denied"][0]["kind"], "stopped", "{status}");
        only(host, &["v1"]);
    };
    let prune = |host: &TestHost| {
        host.boot().unwrap();
        only(host, &["v1"]);
    };
    let pin = |host: &TestHost| {
        host.ok(&["pin"]);
        host.boot().unwrap();
        only(host, &["v1", "v2"]);
    };
    let both = &["v1", "v2"];
    let verb = |name, arguments: &[&str], before, may_boot, finish| Verb {
        name,
        arguments: words(arguments),
        before,
        may_boot,
        finish,
    };
    let verbs = [
        verb("switch", &["switch", &v2], fresh, both, &update as &(dyn Fn(&TestHost) + Sync)),
        verb("finalize", &["internals", "finalize"], staged, both, &update),
        verb("settle the trial", &["internals", "settle"], on_trial, both, &update),
        verb("settle a failure", &["internals", "settle"], fallen.freeze(), &["v1"], &settle),
        verb("health", &["internals", "health"], running, both, &update),
        verb("promote", &["internals", "promote"], healthy, both, &update),
        verb("rollback", &["rollback"], host.freeze(), both, &back),
        verb("prune", &["prune"], fallen.freeze(), &["v1"], &prune),
        verb("pin", &["pin"], host.freeze(), both, &pin),
    ];
    let points: usize = verbs.iter().map(Verb::hold).sum();
    println!("crash points: {points} held: {points}");
}

#[test]
fn whatever_step_of_a_switch_to_an_image_that_binds_others_is_the_last_one_a_good_deployment_boots() {
    let lab = Lab::new();
    let app = |text: &[u8]| Layer::new().dir("srv").file("srv/app", &text.repeat(2000)).finish();
    layout(&lab.path("one"), &[app(b"base"), app(b"one")], Pack::Gzip);
    layout(&lab.path("two"), &[app(b"base"), app(b"two")], Pack::Gzip);
    let image = |name: &str| format!("oci:{}:v1", lab.path(name).display());
    lab.publish("v2", "Example OS 2", binding(base(), &[("a.image", &image("one")), ("b.container", &image("two"))]));
    let update = |host: &TestHost| {
        to_v2(&lab, host);
        only(host, &["v1", "v2"]);
        let kept = names(host, "sysroot/composefs/streams");
        let bound = kept.iter().filter(|name| name.starts_with("cfs-share-sha256:")).count();
        assert_eq!(bound, 2, "{kept:?}");
    };
    let verb = Verb {
        name: "switch to what binds others",
        arguments: words(&["switch", &lab.reference("v2")]),
        before: lab.host().freeze(),
        may_boot: &["v1", "v2"],
        finish: &update,
    };
    let points = verb.hold();
    println!("crash points: {points} held: {points}");
}
