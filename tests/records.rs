//! The records on the disk outlive programs: after a rollback an older program reads what a newer one wrote.
//!
//! `tests/records/` holds each file as version 1 writes it. It is written so for ever, and read with whatever a newer
//! program adds; a newer version is refused with words that help.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use cfs_host::deploy::records::{parse, write, Record};
use cfs_host::model::update::{Denied, FailureKind, Health, Notes, Outcome, Phase, Staged, Trial};
use cfs_host::sys::Sys;
use serde_json::{json, Value};

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Both ways: read and written again it is the same file; with additions nothing is lost.
fn both_ways<T: Record>(name: &str) {
    let text = golden(name);
    let record: T = parse(text.as_bytes()).unwrap_or_else(|why| panic!("{name}: {why}"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    write(&Sys::real(), &path, &record).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{name} is written differently");

    let mut newer: Value = serde_json::from_str(&text).unwrap();
    newer["invented"] = json!({"later": [1, 2]});
    write(&Sys::real(), &path, &parse::<T>(newer.to_string().as_bytes()).unwrap()).unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept, newer, "{name} lost what a newer program wrote");

    newer["version"] = json!(2);
    let Err(why) = parse::<T>(newer.to_string().as_bytes()) else { panic!("{name} of version 2 was read") };
    assert!(why.contains("update cfs-host"), "{name}: {why}");
}

#[test]
fn every_record_is_read_and_written_as_version_1() {
    both_ways::<Staged>("staged.json");
    both_ways::<Trial>("trial.json");
    both_ways::<Denied>("denied.json");
    both_ways::<Notes>("notes.json");
    both_ways::<Health>("health.json");
}

#[test]
fn a_word_that_a_newer_program_invents_is_no_obstacle() {
    let other = |name: &str, from: &str| golden(name).replace(from, "\"melted\"");
    let trial: Trial = parse(other("trial.json", "\"unhealthy\"").as_bytes()).unwrap();
    assert_eq!(trial.phase, Phase::Other);
    let denied: Denied = parse(other("denied.json", "\"not-started\"").as_bytes()).unwrap();
    assert_eq!(denied.images[0].kind, FailureKind::Other);
    let health: Health = parse(other("health.json", "\"timed-out\"").as_bytes()).unwrap();
    assert_eq!(health.checks[0].outcome, Outcome::Other);
}
