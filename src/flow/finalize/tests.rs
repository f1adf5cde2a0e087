use super::*;
use crate::deploy::records::NOTES;
use crate::flow::testing::{id, TestHost};
use crate::flow::trial::{settle, Settled};
use crate::model::update::Notes;
use crate::sys::{Fault, FaultPlan};
use std::cell::Cell;

fn staged() -> TestHost {
    let host = TestHost::new();
    host.stage(2);
    host
}

fn run(host: &TestHost, sys: &Sys) -> anyhow::Result<Option<DeploymentId>> {
    finalize_with(&host.host(), sys, &|_| Ok(()))
}

fn notes(host: &TestHost) -> Vec<String> {
    let notes = records::read::<Notes>(&host.sysroot().join(NOTES)).unwrap();
    notes.map(|notes| notes.notes.into_iter().map(|note| note.why).collect()).unwrap_or_default()
}

#[test]
fn what_is_staged_is_tried_once_and_then_the_default_boots() {
    let host = staged();
    assert_eq!(run(&host, &Sys::real()).unwrap(), Some(id(2)));
    assert_eq!(host.trial().unwrap().phase, Phase::Armed);
    assert_eq!((host.load(), host.load()), (id(2), id(1)));
}

#[test]
fn nothing_is_written_when_nothing_is_to_be_finalized() {
    let host = TestHost::new();
    let before = host.lasting();
    assert_eq!(run(&host, &Sys::real()).unwrap(), None);
    host.stage(2);
    let downloaded = Staged { download_only: true, ..host.host().staged().unwrap().unwrap() };
    records::write(&Sys::real(), &host.root().join(records::STAGED), &downloaded).unwrap();
    assert_eq!(run(&host, &Sys::real()).unwrap(), None);
    assert_eq!(host.lasting(), before);
}

#[test]
fn a_second_shutdown_arms_anew_and_disarms_while_etc_is_changed() {
    let host = staged();
    run(&host, &Sys::real()).unwrap();
    let looked = Cell::new(false);
    let refresh = |_: &Path| {
        assert_eq!(host.trial().unwrap().phase, Phase::Arming);
        assert_eq!((one_shot::get(host.root()), host.esp().entries()?.len()), (None, 1));
        looked.set(true);
        Ok(())
    };
    finalize_with(&host.host(), &Sys::real(), &refresh).unwrap();
    assert!(looked.get());
    assert_eq!(host.load(), id(2));
}

#[test]
fn a_failure_is_noted_and_taken_back() {
    let host = staged();
    let before = host.lasting();
    let refresh = |_: &Path| Err(Refused("/etc is odd".into()).into());
    assert!(finalize_with(&host.host(), &Sys::real(), &refresh).is_err());
    assert_eq!(notes(&host), ["/etc is odd"]);
    std::fs::remove_file(host.sysroot().join(NOTES)).unwrap();
    assert_eq!(host.lasting(), before);
}

#[test]
fn a_damaged_uki_is_not_armed() {
    let host = staged();
    host.put(&format!("esp/EFI/cfs/{}", host.uki(2)), "other", 0o644);
    assert!(run(&host, &Sys::real()).unwrap_err().to_string().contains("missing or damaged"));
    assert_eq!((host.trial(), host.load()), (None, id(1)));
    assert_eq!(notes(&host).len(), 1);
}

#[test]
fn what_was_staged_on_an_unpromoted_trial_does_not_replace_it() {
    let host = TestHost::new();
    host.arm(2);
    host.reboot();
    settle(&host.host(), &Sys::real()).unwrap();
    host.deploy(3);
    host.stage(3);
    let trial = host.trial();
    assert!(run(&host, &Sys::real()).unwrap_err().to_string().contains("on trial itself"));
    assert_eq!((host.trial(), host.load()), (trial, id(1)));
}

/// Whatever step fails, the next start finds something good; nobody is denied; what was armed is tried.
#[test]
fn a_failed_step_leaves_a_bootable_host_and_blames_nobody() {
    let counted = Sys::real();
    run(&staged(), &counted).unwrap();
    assert!(counted.steps() > 15, "{} steps", counted.steps());
    for at in 1..=counted.steps() {
        let host = staged();
        let _ = run(&host, &Sys::with_fault(FaultPlan { at, fault: Fault::Errno(28) }));
        let next = host.reboot();
        let settled = settle(&host.host(), &Sys::real()).unwrap();
        match settled {
            Settled::OnTrial => assert_eq!(next, id(2), "step {at}"),
            Settled::Nothing | Settled::Interrupted(_) => assert_eq!(next, id(1), "step {at}"),
            other => panic!("step {at}: {other:?}"),
        }
        assert_eq!(host.load(), id(1), "step {at}");
    }
}
