//! What a host image, three images built on it and a fourth that is pulled take of a disk and of time: with sharing in both directions,
//! and with what else there is; on ext4, xfs and btrfs. Each way ends with both sides reading all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use fixture::apps::{noise, usual};
use fixture::podman::Podman;
use fixture::stores::{Lab, Mounted};
use fixture::{layout, run, Layer, Pack};
use serde_json::Value;

const DISKS: [(&str, &[&str]); 3] =
    [("ext4", &["mkfs.ext4", "-q"]), ("xfs", &["mkfs.xfs", "-q", "-m", "reflink=1"]), ("btrfs", &["mkfs.btrfs", "-q"])];
const SIZE: u64 = 3 << 30;
const SMALL: usize = 1500;
const LARGE: usize = 40;
const HOST: &str = "localhost/host:v1";
const FOURTH: &str = "localhost/fourth:v1";

/// How one image comes to both, the host and podman.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// podman has it, the host takes it from there.
    ToHost,
    /// The host has it, podman sees it.
    ToPodman,
    /// Each has its own.
    Copies,
    /// podman has it, composefs-rs' own tool takes it from there.
    Peer,
}

impl Way {
    const ALL: [(Self, &'static str); 4] = [
        (Self::ToPodman, "podman sees the host's"),
        (Self::ToHost, "host takes podman's"),
        (Self::Peer, "composefs-ctl takes podman's"),
        (Self::Copies, "podman, and a copy"),
    ];
}

/// A disk on which one way is gone.
struct Bench {
    disk: Mounted,
    memory: Mounted,
    podman: Podman,
    way: Way,
}

impl Bench {
    fn new(lab: &Lab, name: &str, make: &[&str], way: Way) -> Self {
        let disk = Mounted::disk(lab, name, SIZE, make);
        let memory = Mounted::tmpfs(lab, &format!("{name}-memory"), "64m");
        let shown = memory.0.join("containers");
        let additional: &[PathBuf] = if way == Way::ToPodman { &[shown] } else { &[] };
        let bench = Self { podman: Podman::new(disk.0.join("podman"), additional, ""), disk, memory, way };
        fs::create_dir(bench.store()).unwrap();
        if way == Way::Peer {
            bench.cfsctl(&["init", "--algorithm", "fsverity-sha256-12"]);
        }
        if way == Way::ToPodman {
            bench.cfs_host(&["image", "pull", "--quiet", &lab.image("none", &[Layer::new().dir("usr").finish()])]);
            bench.cfs_host(&["image", "share", "--to", &bench.shown()]);
        }
        bench
    }

    fn store(&self) -> PathBuf {
        self.disk.0.join("store")
    }

    fn shown(&self) -> String {
        self.memory.0.join("containers").display().to_string()
    }

    fn cfs_host(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
        command.args(arguments).arg("--sysroot").arg(self.store()).env_remove("CFS_HOST_FAULT");
        run(command
            .env("CONTAINERS_STORAGE_CONF", self.podman.conf())
            .env("CONTAINERS_STORAGE_ROOT", self.podman.graph()))
    }

    fn cfsctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(fixture::tool("cfsctl"));
        command.arg("--repo").arg(self.store()).arg("--insecure").args(arguments);
        run(command
            .env("CONTAINERS_STORAGE_CONF", self.podman.conf())
            .env("CONTAINERS_STORAGE_ROOT", self.podman.graph()))
    }

    /// An image that lies elsewhere comes to both.
    fn bring(&self, reference: &str, name: &str) {
        if self.way == Way::ToPodman {
            self.cfs_host(&["image", "pull", "--quiet", "--share", reference, "--name", name, "--to", &self.shown()]);
            return;
        }
        self.podman.take(reference, name);
        let own = format!("containers-storage:{name}");
        match self.way {
            Way::ToHost => drop(self.cfs_host(&["image", "pull", "--quiet", &own])),
            Way::Peer => drop(self.cfsctl(&["oci", "pull", "--local-fetch=auto", &own])),
            _ => drop(self.cfs_host(&["image", "pull", "--quiet", reference])),
        }
    }

    /// Three images on the host's.
    fn build(&self) {
        for number in 0..3 {
            let text = format!(
                "FROM {HOST}\nRUN [\"/bin/busybox\", \"cp\", \"/usr/lib/firmware/f{number}\", \"/usr/own-{number}\"]\n"
            );
            self.podman.build(&format!("built-{number}"), &text);
        }
    }

    /// MiB and seconds of a step.
    fn measure(&self, step: impl FnOnce()) -> (f64, f64) {
        let (before, begin) = (self.disk.used(), Instant::now());
        step();
        let took = begin.elapsed().as_secs_f64();
        ((self.disk.used() as f64 - before as f64) / 1_048_576.0, took)
    }

    /// Every image as podman shows it, and the host's store, whole.
    fn read_all(&self, expected: &mut Vec<Vec<String>>) -> usize {
        let names = [HOST.to_owned(), FOURTH.to_owned()]
            .into_iter()
            .chain((0..3).map(|n| format!("localhost/built-{n}:latest")));
        // Made by the build, at its time.
        let made = ["usr/own-", "etc/hostname ", "etc/hosts ", "etc/resolv.conf "];
        let timeless = |tree: Vec<String>| -> Vec<String> {
            tree.into_iter().filter(|line| !made.iter().any(|name| line.starts_with(name))).collect()
        };
        let trees: Vec<Vec<String>> = names.map(|name| timeless(self.podman.tree(&name))).collect();
        assert!(trees.iter().all(|tree| tree.len() > 2 * (SMALL + LARGE)));
        if expected.is_empty() {
            expected.clone_from(&trees);
        }
        for (ours, first) in trees.iter().zip(&*expected) {
            let other: Vec<&String> = ours.iter().filter(|line| !first.contains(line)).take(5).collect();
            assert!(ours == first, "{:?}: podman shows something else: {other:?}", self.way);
        }
        match self.way {
            Way::Peer => drop(self.cfsctl(&["fsck"])),
            _ => {
                let checked: Value = serde_json::from_str(&self.cfs_host(&["fsck", "--json"])).unwrap();
                assert_eq!(checked["findings"], serde_json::json!([]));
            }
        }
        trees.len() + 1
    }
}

#[test]
fn a_host_three_images_on_it_and_a_fourth() {
    let lab = Lab::new();
    let [lower, upper] = usual(SMALL, LARGE);
    let own = Layer::new().dir("usr").file("usr/fourth", &noise(9_000_000, 9)).finish();
    let image = |name: &str, layers: &[Vec<u8>]| {
        layout(&lab.path(name), layers, Pack::Plain);
        format!("oci:{}:v1", lab.text(name))
    };
    let host = image("host", &[lower.clone(), upper.clone()]);
    let fourth = image("fourth", &[lower, upper, own]);
    let mut held = 0;
    let mut expected = Vec::new();
    let mut table = format!(
        "{:6} {:29}{:>9}{:>7}{:>9}{:>7}{:>9}{:>7}{:>9}{:>7}\n",
        "", "MiB and seconds of", "host", "s", "3 built", "s", "a 4th", "s", "all", "s"
    );
    for (disk, make) in DISKS {
        let mut all = Vec::new();
        for (way, name) in Way::ALL {
            let bench = Bench::new(&lab, &format!("{disk}-{way:?}"), make, way);
            let steps = [
                bench.measure(|| bench.bring(&host, HOST)),
                bench.measure(|| bench.build()),
                bench.measure(|| bench.bring(&fourth, FOURTH)),
            ];
            let sum = steps.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            table += &format!("{disk:6} {name:29}");
            for (bytes, seconds) in steps.iter().chain([&sum]) {
                table += &format!("{bytes:>9.1}{seconds:>7.1}");
            }
            table += "\n";
            all.push((way, sum.0));
            held += bench.read_all(&mut expected);
        }
        let bytes = |way: Way| all.iter().find(|(known, _)| *known == way).unwrap().1;
        // A copy is all of the host's image and of what the fourth has: sharing saves nearly that.
        let image = (LARGE * 5_000_000 + 9_000_000) as f64 / 1_048_576.0;
        for way in [Way::ToHost, Way::ToPodman] {
            assert!(bytes(Way::Copies) - bytes(way) > 0.97 * image, "{disk}: {way:?}:\n{table}");
            held += 1;
        }
    }
    println!("{table}sharing cases: {held} held: {held}");
}
