//! The real program, stopped as by a power cut before each of its durable steps, or with a full or failing disk at it
//! (`CFS_HOST_FAULT`): what it makes is there whole or not at all, and the next run succeeds and removes what was left.
//! Every 15th step is tried, every `CRASH_STRIDE`-th if that is set (`ci/test crash`: every one).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fixture::programs::{tiny_pe, tiny_program};
use fixture::{base, layout, run, Pack};

const ABORTED: i32 = 6;

/// ENOSPC and EIO.
const ERRORS: [&str; 2] = ["errno:28", "errno:5"];

/// Runs cfs-host, with a fault if there is one.
fn cfs_host(arguments: &[&str], fault: Option<String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
    command.args(arguments).env_remove("CFS_HOST_FAULT");
    if let Some(fault) = fault {
        command.env("CFS_HOST_FAULT", fault);
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
}

impl Act<'_> {
    /// Lets one step after the other be the last, or fail, until the command gets through; counts them.
    fn hold(&self) -> usize {
        let stride = std::env::var("CRASH_STRIDE").map_or(15, |text| text.parse().unwrap());
        let mut held = 0;
        for step in (1..).step_by(stride) {
            let stopped = self.run(&format!("stop:{step}")).status;
            if stopped.success() {
                break;
            }
            assert_eq!(stopped.signal(), Some(ABORTED), "{:?}, step {step}", self.arguments);
            self.finish(&format!("a stop at step {step}"));
            for error in ERRORS {
                let failed = self.run(&format!("{error}:{step}"));
                let words = String::from_utf8_lossy(&failed.stderr);
                // A step that only tidies up may fail without a failure of the command.
                assert!(failed.status.success() || words.contains("error: "), "{error} at step {step}: {words}");
                self.finish(&format!("{error} at step {step}"));
            }
            held += 1 + ERRORS.len();
        }
        assert!(held > 3 && (self.made)(&self.directory.join(self.target)), "{:?}: {held}", self.arguments);
        held
    }

    /// Runs the command in an empty directory.
    fn run(&self, fault: &str) -> Output {
        let _ = fs::remove_dir_all(self.directory);
        fs::create_dir(self.directory).unwrap();
        cfs_host(&self.arguments, Some(fault.to_owned()))
    }

    /// The thing is there whole, or the next run makes it and leaves nothing else.
    fn finish(&self, after: &str) {
        let target = self.directory.join(self.target);
        if (self.made)(&target) {
            return;
        }
        succeed(&self.arguments);
        assert!((self.made)(&target), "{:?} after {after}", self.arguments);
        let left = names(self.directory);
        assert!(left.iter().all(|name| !name.contains("/.")), "{after} left something: {left:?}");
        assert_eq!(fs::read_dir(self.directory).unwrap().count(), 1, "{after} left something: {left:?}");
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
        Act { directory, target: "keys", arguments: vec!["keys", "generate", &keys], made: &whole_keys },
        Act { directory, target: "oci", arguments: seal, made: &whole_seal },
        Act { directory, target: "host.efi", arguments: build, made: &whole_uki },
        Act { directory, target: "disk.img", arguments: install.to_vec(), made: &disk_is_whole },
    ];
    let mut points = 0;
    for act in &acts {
        let held = act.hold();
        println!("{}: {held}", act.target);
        points += held;
    }
    println!("crash points: {points} held: {points}");
}
