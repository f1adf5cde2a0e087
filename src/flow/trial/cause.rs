//! Why a trial was not promoted: its own last words, `/init`'s refusal, the kernel's crash record. Reads only; all of them are hints.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::host::Host;
use super::super::status::refusal_hint;
use crate::model::update::{FailureKind, Phase, Trial};
use crate::model::EntryName;

/// Where the kernel's crash records are, and where systemd moves them to.
const CRASHES: [&str; 2] = ["sys/fs/pstore", "var/lib/systemd/pstore"];
/// systemd makes a directory for each, and in it at most one more.
const MAX_DEPTH: usize = 2;
/// The most names that are looked at.
const MAX_NAMES: usize = 1024;
/// How much of a record is read.
const MAX_BYTES: u64 = 64 << 10;
/// The line that says why.
const PANIC: &str = "Kernel panic - not syncing: ";

/// Why it ended.
#[derive(Debug, PartialEq)]
pub(super) enum Cause {
    /// The image failed here.
    Failed(FailureKind, String),
    /// Something else did.
    Innocent(String),
}

/// Why this trial, which is not what runs, was not promoted. `has_entry`: its entry is still on the ESP.
pub(super) fn of(host: &Host, trial: &Trial, has_entry: bool) -> Cause {
    let failed = Cause::Failed;
    if let Some(why) = refusal(host, trial) {
        return failed(FailureKind::Refused, why);
    }
    let said = |default: &str| trial.why.clone().unwrap_or_else(|| default.to_owned());
    let or_panic = |kind, why: &str| match crash(host.root(), &trial.at) {
        Some(panic) => failed(FailureKind::Panic, panic),
        None => failed(kind, why.to_owned()),
    };
    match trial.phase {
        Phase::Arming => Cause::Innocent("the shutdown was interrupted before it was armed: upgrade again".into()),
        Phase::Armed if !has_entry => Cause::Innocent("it was taken back before it started".into()),
        Phase::Armed => or_panic(
            FailureKind::NotStarted,
            "it did not start: firmware or loader refused its UKI, its kernel stopped early, or the power went",
        ),
        Phase::Running => or_panic(
            FailureKind::Stopped,
            "it started and was not heard of again: it hung, was reset, or the power went before it was found healthy",
        ),
        Phase::Unhealthy => failed(FailureKind::Unhealthy, said("its health checks failed")),
        Phase::Healthy => Cause::Innocent(said("it was healthy, but its promotion was interrupted: upgrade again")),
        Phase::Other => Cause::Innocent("a newer cfs-host left its record in a state unknown to this one".into()),
    }
}

/// What `/init` said when it refused this very entry.
fn refusal(host: &Host, trial: &Trial) -> Option<String> {
    let record = refusal_hint(host.root(), Some(&host.booted))?;
    let entry: EntryName = record.entry.trim_end_matches(".conf").parse().ok()?;
    (entry == trial.entry).then(|| format!("cfs-init refused it: rule {}: {}", record.rule, record.why))
}

/// The kernel's own words, if it left a crash record after this time.
fn crash(root: &Path, since: &str) -> Option<String> {
    let since = since.parse::<der::DateTime>().ok()?.unix_duration();
    let mut files = Vec::new();
    for directory in CRASHES {
        records(&root.join(directory), since, MAX_DEPTH, &mut files);
    }
    files.sort();
    let text = |file: &PathBuf| {
        use std::io::Read;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(file).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        read.ok().map(|_| String::from_utf8_lossy(&bytes).into_owned())
    };
    let reason = files.iter().filter_map(text).find_map(|text| panic_line(&text));
    let found = files.first().map(|file| format!("its kernel left a crash record, {}", file.display()));
    reason.map(|reason| format!("its kernel panicked: {reason}")).or(found)
}

/// Crash records below a directory that are newer.
fn records(directory: &Path, since: Duration, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(list) = std::fs::read_dir(directory) else { return };
    for entry in list.flatten().take(MAX_NAMES) {
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if metadata.is_dir() && depth > 0 {
            records(&entry.path(), since, depth - 1, found);
        } else if metadata.is_file() && age >= since && entry.file_name().as_encoded_bytes().starts_with(b"dmesg") {
            found.push(entry.path());
        }
    }
}

fn panic_line(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.split_once(PANIC))?.1;
    let shown: String = line.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reason_of_a_panic_is_one_line() {
        let text = "<6>[    1.0] x\n<0>[    1.1] Kernel panic - not syncing: sysrq \u{1b}[2Jtriggered crash\n<4>[ 1.2] CPU: 0\n";
        assert_eq!(panic_line(text).unwrap(), "sysrq [2Jtriggered crash");
        assert_eq!(panic_line("Oops#1 Part1\n"), None);
    }

    #[test]
    fn only_later_crash_records_count() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("var/lib/systemd/pstore/1700/001");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("dmesg.txt"), "Kernel panic - not syncing: v4").unwrap();
        std::fs::write(place.join("console.txt"), "Kernel panic - not syncing: other").unwrap();
        assert_eq!(crash(dir.path(), "2020-01-01T00:00:00Z").unwrap(), "its kernel panicked: v4");
        assert_eq!(crash(dir.path(), "2199-01-01T00:00:00Z"), None);
        std::fs::write(place.join("dmesg.txt"), [0xff; 10]).unwrap();
        assert!(crash(dir.path(), "2020-01-01T00:00:00Z").unwrap().contains("left a crash record"));
        assert_eq!(crash(dir.path(), "no time"), None);
    }

    proptest! {
        #[test]
        fn any_record_is_read(text: String) {
            let _ = panic_line(&text);
        }
    }
}
