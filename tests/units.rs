//! The units of `dist/` are what systemd takes, have no ordering cycle, run commands that the program has, and are
//! started in the order that a trial needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cfs_host::cli::Cli;
use clap::CommandFactory;

const UNITS: &str = "usr/lib/systemd/system";

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist")
}

/// Every unit of ours: name and text.
fn units() -> Vec<(String, String)> {
    let mut units = Vec::new();
    for entry in fs::read_dir(dist().join(UNITS)).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_file() {
            let name = entry.file_name().into_string().unwrap();
            units.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    units.sort();
    assert!(units.len() >= 9, "{units:?}");
    units
}

fn text(unit: &str) -> String {
    units().into_iter().find(|(name, _)| name == unit).unwrap().1
}

/// The words of all lines with this key.
fn words(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// A root directory with our units, this machine's own targets, and a program.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let own = Path::new("/").join(UNITS);
    let units = root.path().join(UNITS);
    fs::create_dir_all(&units).unwrap();
    fs::create_dir_all(root.path().join("usr/bin")).unwrap();
    for entry in fs::read_dir(&own).expect("systemd is not installed here").map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_file() && (name.ends_with(".target") || name == "systemd-journal-flush.service") {
            fs::copy(entry.path(), units.join(name)).unwrap();
        }
    }
    let copied = Command::new("cp").arg("-a").arg(dist().join(".")).arg(root.path()).status().unwrap();
    assert!(copied.success());
    fs::copy("/bin/true", root.path().join("usr/bin/cfs-host")).unwrap();
    root
}

/// What systemd says of our units in this root directory; empty if all is well.
fn verify(root: &Path) -> String {
    let own = units().into_iter().map(|(name, _)| root.join(UNITS).join(name));
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(format!("--root={}", root.display()))
        .args(own)
        .args(["sysinit.target", "multi-user.target", "boot-complete.target"])
        .output()
        .expect("systemd-analyze is not installed: ci/setup");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => said,
        false => format!("{}: {said}", output.status),
    }
}

#[test]
fn systemd_takes_every_unit_and_finds_no_cycle() {
    assert_eq!(verify(root().path()), "");
}

/// Control: systemd does notice.
#[test]
fn systemd_notices_a_misspelt_key_and_a_cycle() {
    for (unit, from, to) in [
        ("cfs-host-finalize.service", "ExecStop=", "ExecStopp="),
        ("cfs-host-promote.service", "DefaultDependencies=no", ""),
    ] {
        let root = root();
        let path = root.path().join(UNITS).join(unit);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).unwrap();
        assert_ne!(verify(root.path()), "", "{unit}");
    }
}

#[test]
fn units_run_commands_that_the_program_has() {
    let mut seen = 0;
    for (name, text) in units() {
        for line in text.lines().filter(|line| line.starts_with("Exec")) {
            let command = line.split_once('=').unwrap().1.strip_prefix("/usr/bin/").unwrap();
            // One argument in quotes at most, the last one; a variable is the machine's.
            let (plain, quoted) = command.split_once('"').unwrap_or((command, ""));
            let mut words: Vec<&str> = plain.split_whitespace().filter(|word| !word.starts_with('$')).collect();
            words.extend(quoted.strip_suffix('"'));
            let error = Cli::command().try_get_matches_from(words).err();
            assert!(error.is_none(), "{name}: {line}: {}", error.unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen} commands");
}

#[test]
fn no_unit_does_anything_where_cfs_host_did_not_boot() {
    for (name, text) in units() {
        assert!(text.contains("ConditionPathExists=/run/cfs-host/booted.json\n"), "{name}");
    }
}

#[test]
fn everything_but_the_upgrade_timer_is_started_without_being_enabled() {
    let mut wanted = Vec::new();
    for target in ["sysinit", "multi-user", "boot-complete"] {
        let path = dist().join(UNITS).join(format!("{target}.target.d/50-cfs-host.conf"));
        let text = fs::read_to_string(path).unwrap();
        wanted.extend(words(&text, "Wants"));
        wanted.extend(words(&text, "Requires"));
    }
    wanted.sort();
    // The others are started by these, or not at all.
    let started = [
        "finalize.service",
        "health.service",
        "promote.service",
        "settle.service",
        "share.path",
        "share.service",
        "trial-deadline.timer",
    ];
    assert_eq!(wanted, started.map(|unit| format!("cfs-host-{unit}")));
    for (name, text) in units() {
        assert_eq!(text.contains("[Install]"), name == "cfs-host-upgrade.timer", "{name}");
        // Else the target that wants it would wait for it.
        assert!(!wanted.contains(&name) || text.contains("DefaultDependencies=no\n"), "{name}");
    }
}

#[test]
fn a_failure_of_whatever_boot_complete_requires_ends_a_trial() {
    let promote = text("cfs-host-promote.service");
    for key in ["Requires", "After"] {
        assert!(words(&promote, key).contains(&"boot-complete.target".to_owned()), "{key}");
    }
    assert_eq!(words(&promote, "OnFailure"), ["cfs-host-trial-failed.service"]);
    assert!(words(&text("cfs-host-health.service"), "Before").contains(&"boot-complete.target".to_owned()));
}

#[test]
fn finalize_stops_after_services_and_before_the_disk() {
    let finalize = text("cfs-host-finalize.service");
    assert!(words(&finalize, "Before").contains(&"basic.target".to_owned()));
    assert_eq!(words(&finalize, "Conflicts"), ["final.target"]);
    assert_eq!(words(&finalize, "RequiresMountsFor"), ["/sysroot"]);
    assert!(words(&finalize, "After").contains(&"local-fs.target".to_owned()));
}

/// A quadlet that a host's image binds says nothing of us: it comes after `basic.target`, as every ordinary service.
#[test]
fn images_are_shown_to_podman_before_an_ordinary_service_starts() {
    assert!(words(&text("cfs-host-share.service"), "Before").contains(&"basic.target".to_owned()));
}

/// podman refuses every command where the directory of an additional store is missing.
#[test]
fn what_podman_needs_of_the_shared_store_is_there_before_any_service() {
    let directory = Path::new("/").join(cfs_host::flow::share::DIRECTORY);
    let conf = fs::read_to_string(dist().join("usr/share/cfs-host/storage.conf")).unwrap();
    assert!(conf.contains(&format!("additionalimagestores = [\"{}\"]", directory.display())), "{conf}");
    // What the program makes itself, in a directory in memory.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let made = memory.path().join("containers");
    cfs_host::share::Directory::at(&made).create(&cfs_host::sys::Sys::real()).unwrap();
    let mut expected = Vec::new();
    let mut open = vec![made.clone()];
    while let Some(path) = open.pop() {
        let (metadata, name) = (fs::metadata(&path).unwrap(), path.strip_prefix(&made).unwrap());
        let kind = if metadata.is_dir() { "d" } else { "f" };
        let mode = metadata.permissions().mode() & 0o7777;
        let mut line = format!("{kind} {} {mode:04o} root root -", directory.join(name).display());
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.len() > 0 {
            line = format!("{line} {}", fs::read_to_string(&path).unwrap());
        }
        expected.push(line.replace("containers/ ", "containers "));
    }
    expected.push("d /run/cfs-host 0755 root root -".to_owned());
    expected.sort();
    let tmpfiles = fs::read_to_string(dist().join("usr/lib/tmpfiles.d/cfs-host-share.conf")).unwrap();
    let lines = tmpfiles.lines().filter(|line| !line.starts_with('#'));
    let mut lines: Vec<String> = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort();
    assert_eq!(lines, expected);
}

#[test]
fn the_checks_that_are_shipped_can_be_run() {
    let checks = dist().join("usr/lib/cfs-host/health.d/wanted");
    for entry in fs::read_dir(checks).unwrap().map(|entry| entry.unwrap()) {
        assert!(entry.metadata().unwrap().permissions().mode() & 0o111 != 0, "{:?}", entry.path());
        let checked = Command::new("sh").arg("-n").arg(entry.path()).status().unwrap();
        assert!(checked.success(), "{:?}", entry.path());
    }
}
