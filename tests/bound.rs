//! Images that a host's image binds, at the level of the process: staged with it, all or nothing, kept with its deployment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

use fixture::host::{binding, files, Lab, TestHost};
use fixture::liar::{Liar, Reply, Shelf};
use fixture::stores::pattern;
use fixture::{base, cfsctl, layout, Layer, Pack};
use serde_json::Value;

/// A registry with `one` and `two`, which share a layer and have no `/usr`, and hosts that find it without TLS.
struct Bench {
    lab: Lab,
    registry: Liar,
    /// Digest of the manifest of `one`.
    one: String,
}

impl Bench {
    fn new() -> Self {
        Self::lying(|_, reply| reply)
    }

    fn lying(lie: impl Fn(&fixture::liar::Asked, Reply) -> Reply + Send + Sync + 'static) -> Self {
        let lab = Lab::new();
        let shared = Layer::new().dir("srv").file("srv/shared", &pattern(90_000, 7)).finish();
        let own = |name: &str| Layer::new().file("srv/own", name.repeat(900).as_bytes()).finish();
        let mut shelf = Shelf::default();
        let mut add = |tag: &str| {
            layout(&lab.path(tag), &[shared.clone(), own(tag)], Pack::Gzip);
            shelf.add(tag, &lab.path(tag))
        };
        let (one, _two) = (add("one"), add("two"));
        let registry = Liar::start(shelf, lie);
        let text = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.address);
        fs::write(lab.path("registries.conf"), text).unwrap();
        Self { lab, registry, one }
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/app:{tag}", self.registry.address)
    }

    /// A version of the host's image that binds these: a file and its `Image=`.
    fn publish(&self, version: &str, bound: &[(&str, &str)]) -> String {
        self.lab.publish(version, "Example OS", binding(base(), bound))
    }

    fn run(&self, host: &TestHost, arguments: &[&str]) -> Output {
        let quick = ["--retry", "0"];
        let is_update = arguments[0] == "switch" || arguments[0] == "upgrade";
        let arguments = [arguments, if is_update { &quick } else { &[] }].concat();
        let mut command = host.command(&arguments, None);
        command.env("CONTAINERS_REGISTRIES_CONF", self.lab.path("registries.conf")).output().unwrap()
    }

    fn switch(&self, host: &TestHost, version: &str) -> Value {
        let output = self.run(host, &["switch", &self.lab.reference(version), "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Exit code and words of a switch that must fail.
    fn refused(&self, host: &TestHost, version: &str) -> (i32, String) {
        let output = self.run(host, &["switch", &self.lab.reference(version)]);
        assert!(!output.status.success(), "{version} was staged");
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Stages it, starts it, and finds it good.
    fn become_version(&self, host: &TestHost, version: &str) {
        self.switch(host, version);
        host.ok(&["internals", "finalize"]);
        assert_eq!(host.version(&host.boot().unwrap()), version);
        host.ok(&["internals", "health"]);
        host.ok(&["internals", "promote"]);
    }

    fn blobs(&self) -> usize {
        self.registry.count("/blobs/")
    }
}

/// Layers are gzipped, documents are not.
fn is_layer(reply: &Reply) -> bool {
    reply.body.first() == Some(&0x1f)
}

fn json(host: &TestHost, arguments: &[&str]) -> Value {
    serde_json::from_str(&host.ok(&[arguments, &["--json"]].concat())).unwrap()
}

/// A verb that looks at a store instead of a host.
fn on_store(host: &TestHost, arguments: &[&str]) -> Value {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cfs-host"));
    let sysroot = host.path("sysroot");
    serde_json::from_str(&fixture::run(command.args(arguments).arg("--json").arg("--sysroot").arg(sysroot))).unwrap()
}

fn repository(host: &TestHost) -> PathBuf {
    host.path("sysroot/composefs")
}

/// Whether the store has the image's manifest.
fn has(host: &TestHost, manifest: &str) -> bool {
    repository(host).join(format!("streams/oci-manifest-{manifest}")).exists()
}

/// What an update may change: each file and its bytes, but for the store, whose checks say whether it is whole.
fn state(host: &TestHost) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = Vec::new();
    for folder in ["sysroot/cfs/deploy", "esp", "run/cfs-host"] {
        found.extend(files(&host.path(folder)));
    }
    let is_file = |path: &PathBuf| fs::symlink_metadata(path).unwrap().is_file();
    found.into_iter().filter(is_file).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn bound_images_are_fetched_with_the_image_told_and_not_fetched_again() {
    let bench = Bench::new();
    let (one, two) = (bench.name("one"), bench.name("two"));
    let sealed = bench.publish("v2", &[("a.image", &one), ("b.container", &two), ("c.container", &one)]);
    assert!(sealed.contains(&format!("binds     docker://{one}\n")), "{sealed}");
    let host = bench.lab.host();
    let done = bench.switch(&host, "v2");
    assert_eq!(done["plan"]["boundImages"], Value::Null, "before it was fetched nobody knows");
    let bound = done["bound"].as_array().unwrap();
    assert_eq!(bound.len(), 2, "{bound:?}");
    assert_eq!(bound[0]["reference"], format!("docker://{one}"));
    assert_eq!(
        bound[0]["files"],
        serde_json::json!(["usr/lib/bootc/bound-images.d/a.image", "usr/lib/bootc/bound-images.d/c.container"])
    );
    // Two configurations, a layer that both have, and one of each.
    assert_eq!(bench.blobs(), 5);

    let status = json(&host, &["status"]);
    let staged = status["deployments"].as_array().unwrap().iter().find(|one| one["staged"] == true).unwrap();
    assert_eq!(staged["boundImages"][0]["manifestDigest"], bench.one);
    assert_eq!(status["conditions"], serde_json::json!([]), "a bound image is missing");
    assert!(host.ok(&["status"]).contains(&format!("docker://{two}")));
    let listed = on_store(&host, &["image", "list"]);
    let row = listed["images"].as_array().unwrap().iter().find(|row| row["manifestDigest"] == bench.one).unwrap();
    assert_eq!((&row["boundBy"][0], &row["boundAs"][0]), (&staged["id"], &format!("docker://{one}").into()));
    assert_eq!(on_store(&host, &["storage", "df"])["bound"]["count"], 2);
    cfsctl(&repository(&host), &["fsck"]);
    assert_eq!(on_store(&host, &["fsck"])["findings"], serde_json::json!([]));

    // The next version binds the same: manifests are asked for, blobs are not.
    bench.become_version(&host, "v2");
    bench.publish("v3", &[("a.image", &one), ("b.image", &two)]);
    bench.become_version(&host, "v3");
    assert_eq!(bench.blobs(), 5);
}

#[test]
fn without_all_bound_images_nothing_is_staged_and_what_was_staged_stays() {
    let bench = Bench::lying(|asked, reply| match asked.path.contains("/broken/") && is_layer(&reply) {
        true => Reply::status(500),
        false => reply,
    });
    let one = bench.name("one");
    let (missing, broken) = (bench.name("missing"), bench.name("two").replace("/app", "/broken"));
    bench.publish("v2", &[]);
    let host = bench.lab.host();
    bench.switch(&host, "v2");
    let before = state(&host);
    let linked = |link: &str, target: &str| binding(base(), &[("a.image", &one)]).symlink(link, target);
    let folder = "usr/lib/bootc/bound-images.d";
    bench.publish("missing", &[("a.image", &one), ("b.image", &missing)]);
    bench.publish("broken", &[("a.image", &one), ("b.image", &broken)]);
    let sealed = bench.publish("relative", &[("a.image", &one), ("b.container", "app")]);
    assert!(sealed.contains("NO HOST WILL TAKE IT: ") && sealed.contains("b.container"), "{sealed}");
    bench.lab.publish("dangling", "Example OS", linked(&format!("{folder}/b.image"), "../nothing.image"));
    bench.lab.publish("folder", "Example OS", base().dir("usr/lib/bootc").symlink(folder, "/etc"));
    for (version, code, words) in [
        ("missing", 4, &["b.image", "app:missing", "nothing was deployed"][..]),
        ("broken", 4, &["b.image", "broken:two", "500"]),
        ("relative", 3, &["b.container", "relative"]),
        ("dangling", 3, &["b.image", "leads to no file"]),
        ("folder", 3, &["no directory"]),
    ] {
        let (found, text) = bench.refused(&host, version);
        assert_eq!(found, code, "{version}: {text}");
        words.iter().for_each(|word| assert!(text.contains(word), "{version}: {text}"));
        assert_eq!(state(&host), before, "{version} left something behind");
        cfsctl(&repository(&host), &["fsck"]);
    }
    // What is left in the store of all that goes, and what was staged is taken.
    assert_eq!(on_store(&host, &["fsck"])["findings"], serde_json::json!([]));
    host.ok(&["prune"]);
    assert!(!has(&host, &bench.one));
    host.ok(&["internals", "finalize"]);
    assert_eq!(host.version(&host.boot().unwrap()), "v2");
}

#[test]
fn a_switch_that_failed_at_a_bound_image_is_repeated_without_fetching_again_what_is_complete() {
    let works = Arc::new(AtomicBool::new(false));
    let does_work = works.clone();
    let bench = Bench::lying(move |asked, reply| {
        match asked.path.contains("/second/") && is_layer(&reply) && !does_work.load(Relaxed) {
            true => Reply::status(500),
            false => reply,
        }
    });
    let second = bench.name("two").replace("/app", "/second");
    bench.publish("v2", &[("a.image", &bench.name("one")), ("b.image", &second)]);
    let host = bench.lab.host();
    assert_eq!(bench.refused(&host, "v2").0, 4);
    let first = bench.registry.count("/app/blobs/");
    works.store(true, Relaxed);
    bench.switch(&host, "v2");
    assert_eq!((first, bench.registry.count("/app/blobs/")), (3, 3));
    assert_eq!(on_store(&host, &["fsck"])["findings"], serde_json::json!([]));
}

#[test]
fn prune_keeps_what_a_deployment_binds_and_removes_it_with_the_last_one() {
    let bench = Bench::new();
    bench.publish("v2", &[("a.image", &bench.name("one"))]);
    for version in ["v3", "v4", "v5"] {
        bench.publish(version, &[]);
    }
    let host = bench.lab.host();
    bench.switch(&host, "v2");
    host.ok(&["prune"]);
    assert!(has(&host, &bench.one), "it is staged");
    bench.become_version(&host, "v2");
    host.ok(&["pin"]);
    bench.become_version(&host, "v3");
    host.ok(&["prune"]);
    assert!(has(&host, &bench.one), "it is what one goes back to");
    bench.become_version(&host, "v4");
    bench.become_version(&host, "v5");
    host.ok(&["prune"]);
    assert!(has(&host, &bench.one), "it is pinned");
    on_store(&host, &["prune"]);
    assert!(has(&host, &bench.one), "also for a prune of the store alone");
    let status = json(&host, &["status"]);
    let pinned = status["deployments"].as_array().unwrap().iter().find(|one| one["pinned"] == true).unwrap();
    host.ok(&["pin", "--remove", pinned["id"].as_str().unwrap()]);
    host.ok(&["prune"]);
    assert!(!has(&host, &bench.one), "nobody needs it");
    cfsctl(&repository(&host), &["fsck"]);
}

#[test]
fn a_tag_is_not_believed_without_tls_whatever_the_option_says_and_a_digest_is() {
    let bench = Bench::new();
    fs::write(bench.lab.path("registries.conf"), "").unwrap();
    let pinned = format!("{}/app@{}", bench.registry.address, bench.one);
    bench.publish("tag", &[("a.image", &bench.name("one"))]);
    bench.publish("digest", &[("a.image", &pinned)]);
    let host = bench.lab.host();
    let run = |version: &str| bench.run(&host, &["switch", &bench.lab.reference(version), "--insecure-transport"]);
    let refused = run("tag");
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(bench.blobs(), 0);
    let taken = run("digest");
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    assert!(has(&host, &bench.one));
}

#[test]
fn a_new_disk_has_the_bound_images_and_says_where_they_were_read() {
    let bench = Bench::new();
    bench.publish("v2", &[("a.image", &bench.name("one"))]);
    let podman = fixture::podman::Podman::new(bench.lab.path("podman"), &[], "");
    let install = |name: &str, more: &[&str]| {
        let disk = bench.lab.path(name);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cfs-host"));
        command.args(["install", "to-disk", "--size", "300M", "--esp-size", "64M", "--retry", "0"]);
        command.args(["--image", &bench.lab.reference("v2")]).args(more).arg(disk);
        command.env("CONTAINERS_STORAGE_CONF", podman.conf());
        command.env("CONTAINERS_REGISTRIES_CONF", bench.lab.path("registries.conf")).output().unwrap()
    };
    let output = install("bound.img", &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(&format!("docker://{} ({}), read from there", bench.name("one"), bench.one)), "{text}");
    let names = names_on(&bench.lab.path("bound.img"));
    for name in [format!("oci-manifest-{}", bench.one), format!("cfs-share-{}", bench.one)] {
        assert!(names.contains(&name), "{names}");
    }
    // From podman's storage, or not at all: the registry is not asked.
    let asked = bench.registry.asked().len();
    let refused = install("none.img", &["--bound-images", "stored"]);
    let words = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{words}");
    assert!(words.contains("podman images") && !bench.lab.path("none.img").exists(), "{words}");
    podman.take(&format!("oci:{}:v1", bench.lab.path("one").display()), &bench.name("one"));
    let output = install("stored.img", &["--bound-images", "stored", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["boundImages"][0]["readFrom"], format!("containers-storage:{}", bench.name("one")));
    assert_eq!(bench.registry.asked().len(), asked);
}

/// Names of the streams on the root file system of a disk.
fn names_on(disk: &Path) -> String {
    let shown = fixture::run(std::process::Command::new("sgdisk").args(["-i", "2"]).arg(disk));
    let first = shown.lines().find_map(|line| line.strip_prefix("First sector: ")).unwrap();
    let offset: u64 = first.split(' ').next().unwrap().parse::<u64>().unwrap() * 512;
    let root = format!("{}?offset={offset}", disk.display());
    fixture::run(std::process::Command::new("debugfs").args(["-R", "ls -p /composefs/streams", &root]))
}
