use std::fs;

use super::testing::Fixture;
use super::*;
use crate::boot::{entry::UKIS, one_shot};
use crate::deploy::layout::{self, REPOSITORY};
use crate::deploy::records::STAGED;
use crate::flow::host::{ENTRIES_NOW, REBOOT_REQUIRED};
use crate::flow::stage::unlock;
use crate::model::update::{EntriesNow, Phase};
use crate::sys::{Fault, FaultPlan};

fn run(host: &Host, to: Option<&DeploymentId>) -> anyhow::Result<RolledBack> {
    rollback(host, &Sys::real(), to, false)
}

fn refused(host: &Host, to: Option<&DeploymentId>) -> String {
    format!("{:#}", run(host, to).unwrap_err())
}

/// Three good ones, the last of which runs.
fn three() -> (Fixture, Host, [DeploymentId; 3]) {
    let fixture = Fixture::new();
    let ids = [('a', 1), ('b', 2), ('c', 3)].map(|(letter, order)| fixture.deployment(letter, order));
    let host = fixture.boot(&ids[2]);
    (fixture, host, ids)
}

#[test]
fn it_goes_to_what_was_the_default_before_and_the_second_time_back() {
    let (fixture, host, [_, b, c]) = three();
    let first = run(&host, None).unwrap();
    assert_eq!((first.before, first.now, first.restart), (Some(c.to_string()), b.to_string(), true));
    assert_eq!(fixture.starts(), Some(b.clone()));
    let second = run(&host, None).unwrap();
    assert_eq!((second.before, second.now, second.restart), (Some(b.to_string()), c.to_string(), false));
    assert_eq!(fixture.starts(), Some(c.clone()));
    let orders: Vec<u32> = fixture.esp().entries().unwrap().iter().map(|entry| entry.name.order).collect();
    assert_eq!(orders, [1, 4, 5], "each has one entry");
}

#[test]
fn a_named_target_is_taken_and_naming_the_default_changes_nothing() {
    let (fixture, host, [a, _, c]) = three();
    run(&host, Some(&a)).unwrap();
    assert_eq!(fixture.starts(), Some(a.clone()));
    let entries = fixture.esp().entries().unwrap();
    let again = run(&host, Some(&a)).unwrap();
    assert_eq!(again.before, Some(a.to_string()));
    assert_eq!(fixture.esp().entries().unwrap(), entries);
    run(&host, Some(&c)).unwrap();
    assert_eq!(fixture.starts(), Some(c));
}

#[test]
fn those_who_may_not_look_at_the_esp_are_told() {
    let (fixture, host, [_, b, _]) = three();
    run(&host, None).unwrap();
    let bytes = fs::read(fixture.root().join(ENTRIES_NOW)).unwrap();
    let now: EntriesNow = serde_json::from_slice(&bytes).unwrap();
    assert!(now.entries.contains(&format!("cfs-{b}.4")), "{now:?}");
    let status = crate::flow::status::observe(fixture.root());
    assert_eq!(status.next.unwrap().deployment, Some(b.to_string()));
}

#[test]
fn what_is_staged_is_not_thrown_away_by_the_way() {
    let (fixture, host, [_, b, c]) = three();
    let staged = fixture.stage('d');
    assert!(refused(&host, None).contains(&format!("{staged} is staged")));
    assert!(fixture.root().join(STAGED).exists());
    assert_eq!(fixture.starts(), Some(c));
    let done = rollback(&host, &Sys::real(), None, true).unwrap();
    assert!(done.discarded && fixture.starts() == Some(b));
    assert!(!fixture.root().join(STAGED).exists() && !fixture.root().join(REBOOT_REQUIRED).exists());
    assert!(!layout::deployment(&host.sysroot(), &staged).exists());
    assert!(!rollback(&host, &Sys::real(), None, true).unwrap().discarded);
}

/// kured's check is that a file is there; `/var/run` is `/run`.
#[test]
fn kured_finds_its_file_while_something_waits_for_the_shutdown_and_only_then() {
    let (fixture, host, _) = three();
    let sentinel = fixture.root().join("run/reboot-required");
    assert!(unlock(&host, &Sys::real()).is_err() && !sentinel.exists());
    fixture.stage('d');
    fs::remove_file(&sentinel).unwrap();
    unlock(&host, &Sys::real()).unwrap();
    assert!(sentinel.is_file());
    rollback(&host, &Sys::real(), None, true).unwrap();
    assert!(!sentinel.exists());
}

#[test]
fn an_armed_trial_is_staged_too() {
    let (fixture, host, [_, b, _]) = three();
    let d = fixture.deployment('d', 0);
    fixture.trial(&d, Phase::Armed);
    one_shot::set(&Sys::real(), fixture.root(), &EntryName { deployment: d.clone(), order: 0 }).unwrap();
    assert_eq!(fixture.starts(), Some(d.clone()));
    assert!(refused(&host, None).contains(&d.to_string()));
    rollback(&host, &Sys::real(), None, true).unwrap();
    assert_eq!((fixture.starts(), one_shot::get(fixture.root())), (Some(b), None));
}

#[test]
fn an_unreadable_record_of_what_is_staged_can_be_dropped_and_is_not_overlooked() {
    let (fixture, host, _) = three();
    fs::write(fixture.root().join(STAGED), b"{").unwrap();
    assert!(refused(&host, None).contains("staged.json"));
    rollback(&host, &Sys::real(), None, true).unwrap();
}

/// The third one runs, and is not promoted yet.
fn on_trial() -> (Fixture, Host, [DeploymentId; 3]) {
    let fixture = Fixture::new();
    let ids = [('a', 1), ('b', 2), ('c', 0)].map(|(letter, order)| fixture.deployment(letter, order));
    fixture.trial(&ids[2], Phase::Running);
    let host = fixture.boot(&ids[2]);
    (fixture, host, ids)
}

#[test]
fn a_trial_that_runs_is_given_up_and_its_image_denied() {
    let (fixture, host, [_, b, c]) = on_trial();
    let done = run(&host, None).unwrap();
    assert_eq!((done.before, done.now), (Some(b.to_string()), b.to_string()));
    assert_eq!((done.gave_up, done.restart), (Some(c.to_string()), true));
    let denied = records::denial(&host.sysroot(), "sha256:c").unwrap().unwrap();
    assert_eq!(denied.kind, FailureKind::RolledBack);
    assert!(!host.sysroot().join(TRIAL).exists());
    assert_eq!(fixture.esp().entries().unwrap().len(), 2);
    assert_eq!(fixture.starts(), Some(b.clone()));
    // Once more there is nothing to give up, and no further step back.
    let again = run(&host, None).unwrap();
    assert_eq!((again.now, again.gave_up), (b.to_string(), None));
}

#[test]
fn from_a_trial_an_older_one_can_be_named_but_not_the_trial_itself() {
    let (fixture, host, [a, _, c]) = on_trial();
    assert!(refused(&host, Some(&c)).contains("never promoted"));
    assert!(host.sysroot().join(TRIAL).exists());
    run(&host, Some(&a)).unwrap();
    assert_eq!(fixture.starts(), Some(a));
}

#[test]
fn a_promotion_that_was_interrupted_counts() {
    let (fixture, host, [_, b, c]) = on_trial();
    fixture.entry(&c, 3);
    let done = run(&host, None).unwrap();
    assert_eq!((done.now, done.gave_up), (b.to_string(), None));
    let denied = records::denial(&host.sysroot(), "sha256:c").unwrap().unwrap();
    assert!(denied.why.contains(&format!("rolled back from it to {b}")), "it was left as a good one: {denied:?}");
    assert!(!host.sysroot().join(TRIAL).exists());
    assert!(fixture.esp().entries().unwrap().iter().all(|entry| entry.name.order > 0));
}

#[test]
fn a_target_that_would_not_boot_is_refused_by_name_and_nothing_is_written() {
    let (_, _, [_, b, _]) = three();
    let parts = [
        format!("sysroot/cfs/deploy/{b}/image.sig"),
        format!("sysroot/cfs/deploy/{b}/origin.json"),
        format!("sysroot/cfs/deploy/{b}/etc"),
        format!("sysroot/cfs/deploy/{b}"),
    ];
    for part in parts {
        let (fixture, host, [_, _, c]) = three();
        fixture.stage('d');
        let path = fixture.root().join(&part);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        let entries = fixture.esp().entries().unwrap();
        let error = format!("{:#}", rollback(&host, &Sys::real(), None, true).unwrap_err());
        let name = part.rsplit('/').next().unwrap();
        assert!(error.contains(name) && error.contains(&b.to_string()), "{error}");
        assert_eq!(fixture.esp().entries().unwrap(), entries);
        assert!(fixture.root().join(STAGED).exists(), "what was staged is gone");
        assert_eq!(fixture.starts(), Some(c));
    }
}

#[test]
fn a_damaged_image_and_a_damaged_uki_are_refused() {
    let (fixture, host, [_, b, _]) = three();
    let origin = host.origin(&b).unwrap();
    let object = host.sysroot().join(REPOSITORY).join(origin.image.object_path());
    let whole = fs::read(&object).unwrap();
    fs::write(&object, b"other").unwrap();
    assert!(refused(&host, None).contains("damaged"));
    fs::write(&object, whole).unwrap();
    let uki = cfs_init::names::uki_file_name(origin.uki.as_bytes());
    fs::write(fixture.root().join("esp").join(UKIS).join(&uki), b"other").unwrap();
    assert!(refused(&host, None).contains(&uki));
    // Gone, and the store has no image to take it from.
    fs::remove_file(fixture.root().join("esp").join(UKIS).join(&uki)).unwrap();
    assert!(refused(&host, None).contains(&format!("{uki} is not on the EFI system partition")));
}

#[test]
fn without_another_good_one_there_is_nothing_to_do() {
    let fixture = Fixture::new();
    let a = fixture.deployment('a', 1);
    let host = fixture.boot(&a);
    assert!(refused(&host, None).contains("no other good deployment"));
}

#[test]
fn one_without_an_entry_gets_a_new_one_if_it_was_healthy() {
    let (fixture, host, _) = three();
    let d = fixture.without_entry('d');
    assert!(refused(&host, Some(&d)).contains("never promoted"));
    fixture.healthy(&d, false);
    assert!(refused(&host, Some(&d)).contains("never promoted"));
    fixture.healthy(&d, true);
    run(&host, Some(&d)).unwrap();
    assert_eq!(fixture.starts(), Some(d));
}

#[test]
fn a_timer_does_not_take_again_what_was_rolled_back_from() {
    let (fixture, host, [_, b, c]) = three();
    run(&host, None).unwrap();
    let denied = |digest| records::denial(&host.sysroot(), digest).unwrap().map(|denied| denied.kind);
    assert_eq!(denied("sha256:c"), Some(FailureKind::RolledBack));
    assert_eq!(denied("sha256:b"), None);
    let host = fixture.boot(&b);
    // Undone: nobody has anything against either.
    run(&host, Some(&c)).unwrap();
    assert_eq!((denied("sha256:c"), denied("sha256:b")), (None, None));
    // Back again, and an operator may move the tag back to the older image as well.
    run(&fixture.boot(&c), None).unwrap();
    assert_eq!((denied("sha256:c"), denied("sha256:b")), (Some(FailureKind::RolledBack), None));
}

/// Stops before every durable step of it: a good deployment starts all the same, and the next run gets through.
fn held(make: &dyn Fn() -> (Fixture, Host, [DeploymentId; 3]), to: usize, named: bool) -> u64 {
    let target = |ids: &[DeploymentId; 3]| named.then(|| ids[to].clone());
    let counted = Sys::real();
    let (_fixture, host, ids) = make();
    rollback(&host, &counted, target(&ids).as_ref(), true).unwrap();
    for at in 1..=counted.steps() {
        let (fixture, host, ids) = make();
        let was = fixture.starts().unwrap();
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
        rollback(&host, &sys, target(&ids).as_ref(), true).unwrap_err();
        let starts = fixture.starts().unwrap_or_else(|| panic!("step {at}: nothing starts"));
        assert!(starts == was || ids.contains(&starts), "step {at}: {starts} starts");
        rollback(&host, &Sys::real(), Some(&ids[to]), true).unwrap();
        assert_eq!(fixture.starts(), Some(ids[to].clone()), "step {at}");
        assert!(!host.sysroot().join(TRIAL).exists() && !fixture.root().join(STAGED).exists(), "step {at}");
        let entries = fixture.esp().entries().unwrap();
        let mut owners: Vec<_> = entries.iter().map(|entry| &entry.name.deployment).collect();
        owners.dedup();
        assert_eq!(owners.len(), entries.len(), "step {at}: {entries:?}");
        assert_eq!(
            fs::read_dir(fixture.root().join("esp/loader/entries")).unwrap().count(),
            entries.len(),
            "step {at}"
        );
    }
    counted.steps()
}

#[test]
fn a_good_deployment_starts_whatever_step_fails_and_the_next_run_gets_through() {
    let staged = || {
        let (fixture, host, ids) = three();
        let d = fixture.stage('d');
        fixture.entry(&d, 0);
        fixture.trial(&d, Phase::Armed);
        one_shot::set(&Sys::real(), fixture.root(), &EntryName { deployment: d, order: 0 }).unwrap();
        (fixture, host, ids)
    };
    let steps = [
        held(&three, 1, false),
        held(&three, 0, true),
        held(&staged, 1, false),
        held(&on_trial, 1, false),
        held(&on_trial, 0, true),
    ];
    println!("rollback: crash points {steps:?}");
    assert!(steps.iter().all(|steps| *steps >= 6), "{steps:?}");
}
