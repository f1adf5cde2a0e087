//! The real program, stopped as by a power cut before each of its durable steps (`CFS_HOST_FAULT`): what it makes is
//! there whole or not at all, and the next run succeeds and removes what was left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fixture::programs::{tiny_pe, tiny_program};
use fixture::{base, layout, run, Pack};

const ABORTED: i32 = 6;

/// Runs cfs-host, stopped before this step if there is one.
fn cfs_host(arguments: &[&str], stop: Option<usize>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
    command.args(arguments).env_remove("CFS_HOST_FAULT");
    if let Some(step) = stop {
        command.env("CFS_HOST_FAULT", format!("stop:{step}"));
    }
    command.output().unwrap()
}

fn succeed(arguments: &[&str]) {
    let output = cfs_host(arguments, None);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A command that makes one thing.
struct Act<'a> {
    /// In a directory of its own, which is empty before each stop.
    directory: &'a Path,
    /// What it makes there.
    target: &'a str,
    arguments: Vec<&'a str>,
    /// Tells whether the thing has its final name; fails if it is not whole.
    made: &'a dyn Fn(&Path) -> bool,
    /// Every so many steps are tried.
    stride: usize,
}

impl Act<'_> {
    /// Stops before one step after the other until the command gets through; counts the stops.
    fn hold(&self) -> usize {
        let target = self.directory.join(self.target);
        for (held, step) in (1..).step_by(self.stride).enumerate() {
            let _ = fs::remove_dir_all(self.directory);
            fs::create_dir(self.directory).unwrap();
            let stopped = cfs_host(&self.arguments, Some(step)).status;
            if stopped.success() {
                assert!(held > 3 && (self.made)(&target), "{:?} was stopped {held} times", self.arguments);
                return held;
            }
            assert_eq!(stopped.signal(), Some(ABORTED), "{:?}, step {step}", self.arguments);
            if !(self.made)(&target) {
                succeed(&self.arguments);
                assert!((self.made)(&target), "{:?} after a stop at step {step}", self.arguments);
                let left = names(self.directory);
                assert!(left.iter().all(|name| !name.contains("/.")), "step {step} left something: {left:?}");
                let top = fs::read_dir(self.directory).unwrap().count();
                assert_eq!(top, 1, "step {step} left something: {left:?}");
            }
        }
        unreachable!("the steps of a command end")
    }
}

/// Everything below a directory, each as `/` and its path in there.
fn names(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let name = format!("/{}", entry.file_name().display());
        if entry.path().is_dir() {
            found.extend(names(&entry.path()).into_iter().map(|below| format!("{name}{below}")));
        }
        found.push(name);
    }
    found
}

/// The partition table holds, and so does the root file system.
fn disk_is_whole(disk: &Path) -> bool {
    if disk.exists() {
        assert!(run(Command::new("sgdisk").arg("-v").arg(disk)).contains("No problems found"));
        let root = run(Command::new("sgdisk").args(["-i", "2"]).arg(disk));
        let first = root.lines().find_map(|line| line.strip_prefix("First sector: ")).unwrap();
        let sector: u64 = first.split(' ').next().unwrap().parse().unwrap();
        run(Command::new("e2fsck").arg("-fn").arg(format!("{}?offset={}", disk.display(), sector * 512)));
    }
    disk.exists()
}

/// What a distribution's packages bring.
fn host_image(folder: &Path) {
    let builtin = b"a/erofs.ko\na/overlay.ko\na/efivarfs.ko\na/ext4.ko\n";
    let folders = ["modules", "modules/6.1", "systemd", "systemd/boot", "systemd/boot/efi"];
    let layer = folders.iter().fold(base(), |layer, name| layer.dir(&format!("usr/lib/{name}")));
    let layer = layer
        .file("usr/lib/os-release", b"PRETTY_NAME=\"Example OS\"\n")
        .file("usr/lib/modules/6.1/vmlinuz", &tiny_pe())
        .file("usr/lib/modules/6.1/modules.dep", b"")
        .file("usr/lib/modules/6.1/modules.builtin", builtin)
        .file("usr/lib/systemd/boot/efi/linuxx64.efi.stub", &tiny_pe())
        .file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", &tiny_pe())
        .file("etc/hostname", b"example\n");
    layout(folder, &[layer.finish()], Pack::Gzip);
}

#[test]
fn whatever_step_is_the_last_one_nothing_is_half_made() {
    let top = tempfile::tempdir().unwrap();
    let path = |name: &str| -> (PathBuf, String) {
        let path = top.path().join(name);
        (path.clone(), path.display().to_string())
    };
    let (image, _) = path("image");
    let (init, init_name) = path("cfs-init");
    let (good, good_name) = path("keys");
    host_image(&image);
    fs::write(&init, tiny_program()).unwrap();
    succeed(&["keys", "generate", &good_name]);
    let source = format!("oci:{}:v1", image.display());
    let sealed = format!("oci:{}:v1", path("sealed").1);
    succeed(&["seal", &source, &sealed, "--keys", &good_name, "--init", &init_name]);

    let (directory, _) = path("work");
    let inside = |name: &str| directory.join(name).display().to_string();
    let (keys, oci, uki, disk) =
        (inside("keys"), format!("oci:{}:v1", inside("oci")), inside("host.efi"), inside("disk.img"));
    let whole_keys = |keys: &Path| {
        if keys.exists() {
            assert_eq!(names(keys).len(), names(&good).len(), "{:?}", names(keys));
        }
        keys.exists()
    };
    let whole_seal = |out: &Path| {
        let published = fs::read_to_string(out.join("index.json")).is_ok_and(|index| index.contains("v1"));
        if published {
            succeed(&["image", "verify", &oci, "--keys", &good_name]);
        }
        published
    };
    let whole_uki = |file: &Path| {
        if file.exists() {
            succeed(&["uki", "inspect", &uki]);
        }
        file.exists()
    };
    let ingredients = ["--keys", &good_name, "--init", &init_name];
    let seal = [&["seal", &source, &oci][..], &ingredients].concat();
    let build = [&["uki", "build", &source, "-o", &uki][..], &ingredients].concat();
    let install = ["install", "to-disk", "--image", &sealed, "--size", "300M", "--esp-size", "64M", &disk];
    let directory = &directory;
    let acts = [
        Act { directory, target: "keys", arguments: vec!["keys", "generate", &keys], made: &whole_keys, stride: 5 },
        Act { directory, target: "oci", arguments: seal, made: &whole_seal, stride: 5 },
        Act { directory, target: "host.efi", arguments: build, made: &whole_uki, stride: 5 },
        Act { directory, target: "disk.img", arguments: install.to_vec(), made: &disk_is_whole, stride: 5 },
    ];
    let mut points = 0;
    for act in &acts {
        let held = act.hold();
        println!("{}: stopped {held} times", act.target);
        points += held;
    }
    println!("crash points: {points} held: {points}");
}
