//! Whatever a host and its podman do, in any order, and whoever is killed on the way: each reads all that it has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use cfs_host::flow::share::DIRECTORY;
use fixture::apps::base as runnable;
use fixture::base;
use fixture::host::{Lab, TestHost};
use fixture::podman::Podman;
use fixture::stores::{pattern, unmount_layers, Lots};
use serde_json::Value;

const ACTS: usize = 30;
const APP: &str = "localhost/app:v1";

/// A host, a podman that reads its store, and images to come.
struct Pair {
    lab: Lab,
    host: TestHost,
    podman: Podman,
    lots: Lots,
    /// What each image of podman's held when it was first seen.
    known: BTreeMap<String, Vec<String>>,
    staged: bool,
    held: usize,
}

impl Pair {
    /// A verb of the host on its own store, stopped at a step by lot where `killed`.
    fn image(&mut self, arguments: &[&str], killed: bool) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
        command.args(arguments).arg("--sysroot").arg(self.host.path("sysroot")).env_remove("CFS_HOST_FAULT");
        if arguments.iter().any(|word| word.ends_with("share")) {
            command.arg("--to").arg(self.host.path(DIRECTORY));
        }
        if killed {
            command.env("CFS_HOST_FAULT", format!("stop:{}", 1 + self.lots.below(60)));
        }
        command.output().unwrap();
    }

    /// A verb of the host, killed at a step by lot in one of three.
    fn host_act(&mut self, arguments: &[&str]) -> bool {
        let fault = (self.lots.below(3) == 0).then(|| format!("stop:{}", 1 + self.lots.below(60)));
        self.host.cfs_host(arguments, fault.as_deref()).status.success()
    }

    /// podman, killed after a moment in one of three.
    fn podman_act(&mut self, mut command: Command) {
        let mut child = command.spawn().unwrap();
        if self.lots.below(3) == 0 {
            std::thread::sleep(Duration::from_millis(30 + self.lots.below(400) as u64));
            let _ = child.kill();
        }
        child.wait().unwrap();
    }

    fn act(&mut self, number: usize) -> &'static str {
        match self.lots.below(9) {
            0 | 1 => {
                let name = format!("app-{number}");
                let own = fixture::Layer::new().file("etc/own", &pattern(900 + number, number)).finish();
                fixture::layout(&self.lab.path(&name), &[runnable(), own], fixture::Pack::Gzip);
                let reference = format!("oci:{}:v1", self.lab.path(&name).display());
                let killed = self.lots.below(3) == 0;
                self.image(&["image", "pull", "--quiet", "--share", &reference, "--name", APP], killed);
                "pull"
            }
            2 if self.podman.images().contains(&format!("{APP} true")) => {
                let text = format!("FROM {APP}\nRUN busybox chmod 600 /usr/lib/large && busybox touch /etc/{number}\n");
                let tag = format!("built-{}", self.lots.below(3));
                self.podman_act(self.podman.build_command(&tag, &text));
                "build"
            }
            3 if self.podman.images().contains(&format!("{APP} true")) => {
                assert_eq!(self.podman.run(APP, &["busybox", "wc", "-c", "/usr/lib/large"]), "200000 /usr/lib/large");
                "run"
            }
            4 => {
                let tag = format!("localhost/built-{}:latest", self.lots.below(3));
                self.podman_act(self.podman.command(&["rmi", &tag]));
                "rmi"
            }
            5 => {
                self.host_act(&["prune"]);
                "prune"
            }
            6 => {
                let to = self.lab.reference(["v1", "v2", "v3"][self.lots.below(3)]);
                self.staged |= self.host_act(&["switch", &to]);
                "switch"
            }
            7 => {
                unmount_layers(&self.host.path(DIRECTORY));
                if std::mem::take(&mut self.staged) {
                    self.host_act(&["internals", "finalize"]);
                }
                self.host.boot().unwrap();
                self.host.ok(&["internals", "health"]);
                self.host.ok(&["internals", "promote"]);
                "start"
            }
            _ => {
                let killed = self.lots.below(3) == 0;
                self.image(&["image", "unshare", APP], killed);
                "unshare"
            }
        }
    }

    /// After each act, as the units do: both sides read all that they have.
    fn read_all(&mut self, number: usize, act: &str) {
        self.host.ok(&["internals", "share"]);
        let status: Value = serde_json::from_str(&self.host.ok(&["status", "--json"])).unwrap();
        assert!(status.is_object());
        let mut fsck = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
        fsck.args(["fsck", "--json", "--sysroot"]).arg(self.host.path("sysroot"));
        let checked: Value = serde_json::from_str(&fixture::run(&mut fsck)).unwrap();
        assert_eq!(checked["findings"], serde_json::json!([]), "act {number}, {act}");
        let list = self.podman.ok(&["images", "--all", "--no-trunc", "--quiet"]);
        assert!(!list.is_empty(), "act {number}, {act}: what runs is not there");
        for line in list.lines() {
            let tree = self.podman.tree(line.trim_start_matches("sha256:"));
            let before = self.known.entry(line.to_owned()).or_insert_with(|| tree.clone());
            assert_eq!(before, &tree, "act {number}, {act}: {line}");
            self.held += 1;
        }
    }
}

#[test]
fn whatever_a_host_and_its_podman_do_each_reads_all_that_it_has() {
    let lab = Lab::new();
    lab.publish("v2", "Example OS 2", base().file("etc/new-in-v2", b"2\n"));
    lab.publish("v3", "Example OS 3", base().file("etc/new-in-v3", b"3\n"));
    let host = lab.host();
    let podman = Podman::new(lab.path("podman"), &[host.path(DIRECTORY)], "");
    // The only test of this program: nobody else reads its environment.
    std::env::set_var("CONTAINERS_STORAGE_CONF", podman.conf());
    host.ok(&["internals", "share"]);
    let lots = Lots(std::env::var("SEED").map_or(11, |text| text.parse().unwrap()));
    let mut pair = Pair { lab, host, podman, lots, known: BTreeMap::new(), staged: false, held: 0 };
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..ACTS {
        let act = pair.act(number);
        *done.entry(act).or_default() += 1;
        pair.read_all(number, act);
    }
    println!("{done:?}");
    println!("sharing cases: {0} held: {0}", pair.held);
}
