//! An image of podman's storage costs the host next to nothing more, and podman keeps what it has: on ext4, xfs and btrfs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use fixture::apps::usual;
use fixture::podman_root::Podman;
use fixture::run;
use fixture::stores::{Lab, Mounted};
use serde_json::Value;

/// Name, what makes it, and the field of the objects that are shared there.
const DISKS: [(&str, &[&str], &str); 3] = [
    ("ext4", &["mkfs.ext4", "-q"], "objectsLinked"),
    ("xfs", &["mkfs.xfs", "-q", "-m", "reflink=1"], "objectsCloned"),
    ("btrfs", &["mkfs.btrfs", "-q"], "objectsCloned"),
];
const SIZE: u64 = 3 << 30;
/// Files of 100 bytes to 35 KB, and of 5 MB.
const SMALL: usize = 1500;
const LARGE: usize = 90;
const IMAGE: &str = "localhost/host:v1";

/// What podman builds the image of, and one on it.
fn context(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let [lower, upper] = usual(SMALL, LARGE);
    fs::write(folder.join("lower.tar"), lower).unwrap();
    fs::write(folder.join("upper.tar"), upper).unwrap();
    fs::write(folder.join("Containerfile"), "FROM scratch\nADD lower.tar /\nADD upper.tar /\n").unwrap();
    let derived = format!(
        "FROM {IMAGE}\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"{}\"]\n",
        "busybox chmod 600 /usr/lib/firmware/f1; busybox mv /usr/share /usr/moved; echo more >>/usr/bin/setuid"
    );
    fs::write(folder.join("derived"), derived.replace("busybox ", "/bin/busybox ")).unwrap();
}

/// All that podman may miss of its files, and would call damage.
fn state(storage: &Path) -> BTreeMap<PathBuf, (u32, u32, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let layers = fs::read_dir(storage.join("overlay")).unwrap().map(|entry| entry.unwrap().path().join("diff"));
    let mut open: Vec<_> = layers.filter(|path| path.is_dir()).collect();
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        found.insert(path.clone(), (meta.mode(), meta.uid(), meta.len(), meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// A file system with podman's storage, and stores.
struct Bench<'a> {
    lab: &'a Lab,
    disk: Mounted,
    podman: Podman,
    name: &'static str,
}

impl Bench<'_> {
    fn store(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn build(&self, file: &str, tag: &str) {
        let context = self.lab.text("context");
        let file = self.lab.text(&format!("context/{file}"));
        let isolation = ["build", "-q", "--isolation=chroot", "--network=host", "--layers=false"];
        self.podman.run(&[&isolation[..], &["-f", &file, "-t", tag, &context]].concat());
    }

    /// What the files of an image hold, by a container of it.
    fn contents(&self, image: &str) -> String {
        let script =
            "/bin/busybox find /usr /bin -type f | /bin/busybox sort | /bin/busybox xargs /bin/busybox sha256sum";
        // What a machine without systemd, and limits of its own, lets a container have.
        let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--security-opt=seccomp=unconfined"];
        let run = ["--runtime=runc", "--cgroup-manager=cgroupfs", "run", "--rm", "--network=none"];
        self.podman.run(&[&run[..], &limits, &[image, "/bin/busybox", "sh", "-c", script]].concat())
    }

    /// Pulls into a new store; what it told, the bytes it took of the disk, and the time.
    fn pull(&self, store: &str, reference: &str) -> (Value, u64, f64) {
        let (before, begun) = (self.disk.used(), Instant::now());
        let pulled = self.lab.json(&self.store(store), &["image", "pull", reference]);
        let took = begun.elapsed().as_secs_f64();
        (pulled, self.disk.used().saturating_sub(before), took)
    }
}

/// Takes the image by sharing and by copying; gives the table's row.
fn costs(bench: &Bench, field: &str) -> String {
    let layout = format!("oci:{}:v1", bench.lab.text(&format!("{}-layout", bench.name)));
    bench.podman.run(&["push", "-q", IMAGE, &layout]);
    let files = state(&bench.disk.0.join("storage"));
    let (shared, little, fast) = bench.pull("shared", &bench.podman.reference(IMAGE));
    let (copied, much, slow) = bench.pull("copied", &layout);
    assert!(files == state(&bench.disk.0.join("storage")), "podman's files have other modes or times");
    for same in ["imageDigest", "bootableDigest", "objectsNew", "objectsTotal"] {
        assert_eq!(shared[same], copied[same], "{same}");
    }
    let number = |of: &Value, field: &str| of[field].as_u64().unwrap();
    let own = if bench.name == "ext4" { 2 } else { 0 };
    assert_eq!(number(&shared, field), number(&shared, "objectsTotal") - own, "{shared}");
    assert_eq!(number(&shared, "bytesWritten") + number(&shared, "bytesShared"), number(&copied, "bytesWritten"));
    assert_eq!(shared["copiedBecause"].is_string(), own > 0, "{shared}");
    let share = little as f64 * 100.0 / much as f64;
    assert!(share < 1.0, "{}: {little} bytes more, {much} by copying", bench.name);
    let mib = |bytes: u64| bytes as f64 / 1048576.0;
    format!("{:8}{:>10.1}{:>10.1}{share:>9.2}{fast:>9.2}{slow:>9.2}\n", bench.name, mib(much), mib(little))
}

/// An image that podman pulled is shared as well; gives what it cost.
fn pulled(bench: &Bench) -> f64 {
    let other = Podman::new(&bench.disk.0.join("other"));
    // podman 4.3 takes no name for what it pulls from a layout; skopeo unpacks with the same library.
    let (layout, name) =
        (format!("oci:{}:v1", bench.lab.text(&format!("{}-layout", bench.name))), other.reference(IMAGE));
    run(Command::new("skopeo").args(["copy", "-q", "--insecure-policy", &layout, &name]));
    let (shared, little, _) = bench.pull("pulled", &name);
    let copied = bench.lab.json(&bench.store("copied"), &["image", "list"]);
    assert_eq!(shared["bootableDigest"], copied["images"][0]["bootableDigest"]);
    let share = little as f64 * 100.0 / shared["bytesShared"].as_u64().unwrap() as f64;
    assert!(share < 1.0, "{}: {little} bytes more, {shared}", bench.name);
    share
}

/// `storage df` tells what is there once.
fn storage_df(bench: &Bench) {
    let settings = bench.lab.path("storage.conf");
    let storage = bench.disk.0.join("storage");
    fs::write(&settings, format!("[storage]\ndriver = \"overlay\"\ngraphroot = {storage:?}\n")).unwrap();
    let df = |arguments: &[&str]| {
        let mut command = bench.lab.command(&bench.store("shared"), &[&["storage", "df"], arguments].concat());
        run(command.env("CONTAINERS_STORAGE_CONF", &settings))
    };
    let used: Value = serde_json::from_str(&df(&["--json"])).unwrap();
    let bytes = |field: &str| used[field]["bytes"].as_u64().unwrap();
    assert_eq!(used["images"]["count"], 1, "{used}");
    // Built without intermediate layers.
    assert_eq!(used["podman"]["count"], 1, "{used}");
    let (shared, stored) = (bytes("linked") + used["clonedBytes"].as_u64().unwrap(), used["bytesStored"].as_u64());
    assert!(shared > 300 << 20 && shared < bytes("objects"), "{used}");
    assert_eq!(stored.unwrap(), bytes("objects") + bytes("podman") - shared);
    assert_eq!(bytes("linked") > 0, bench.name == "ext4");
    let told = df(&[]);
    assert!(told.starts_with("TYPE ") && told.contains(&storage.display().to_string()), "{told}");
}

/// Both sides read all they should, whatever the other one does.
fn live_together(bench: &Bench) {
    let (lab, store) = (bench.lab, bench.store("shared"));
    let contents = bench.contents(IMAGE);
    assert_eq!(contents.lines().count(), SMALL + LARGE + 4);
    bench.build("derived", "localhost/derived:v1");
    let derived = bench.contents("localhost/derived:v1");
    let sums =
        |text: &str, name: &str| text.lines().find(|line| line.ends_with(name)).map(|line| line[..64].to_owned());
    assert_eq!(sums(&derived, "firmware/f1"), sums(&contents, "firmware/f1"));
    assert_eq!(sums(&derived, "moved/f7"), sums(&contents, "share/f7"));
    assert_ne!(sums(&derived, "bin/setuid"), sums(&contents, "bin/setuid"));
    assert_eq!(bench.contents(IMAGE), contents);
    lab.clean(&store);
    // The host lets go of a derived image, podman of all: neither takes from the other.
    let reference = bench.podman.reference("localhost/derived:v1");
    lab.ok(&store, &["image", "pull", &reference]);
    lab.ok(&store, &["image", "rm", &reference]);
    lab.ok(&store, &["prune"]);
    assert_eq!(bench.contents("localhost/derived:v1"), derived);
    bench.podman.run(&["rmi", "--all", "--force"]);
    lab.clean(&store);
    assert_eq!(lab.json(&store, &["image", "digest", &bench.podman.reference(IMAGE)])["stored"], true);
}

#[test]
fn an_image_of_podmans_costs_under_one_percent_more() {
    let lab = Lab::new();
    context(&lab.path("context"));
    let mut table = "         copying  sharing      in %   s share   s copy (MiB)\n".to_owned();
    for (name, make, field) in DISKS {
        let disk = Mounted::disk(&lab, name, SIZE, make);
        let bench = Bench { lab: &lab, podman: Podman::new(&disk.0), disk, name };
        bench.build("Containerfile", IMAGE);
        table += &costs(&bench, field);
        println!("{name}: pulled by podman, {:.2} % more", pulled(&bench));
        storage_df(&bench);
        live_together(&bench);
    }
    println!("{table}");
}
