use super::*;
use crate::boot::one_shot;
use crate::deploy::layout;
use crate::deploy::records::{DENIED, HEALTH, NOTES};
use crate::flow::testing::{id, image, manifest, TestHost};
use crate::model::update::{Denied, DeniedImage, FailureKind, Health, Notes};
use crate::model::DeploymentId;
use crate::sys::{Fault, FaultPlan};
use cfs_init::fallback::RefusalRecord;

fn settled(host: &TestHost) -> Settled {
    settle(&host.host(), &Sys::real()).unwrap()
}

fn denied(host: &TestHost) -> Vec<DeniedImage> {
    records::read::<Denied>(&host.sysroot().join(DENIED)).unwrap().map(|denied| denied.images).unwrap_or_default()
}

fn notes(host: &TestHost) -> Vec<String> {
    let notes = records::read::<Notes>(&host.sysroot().join(NOTES)).unwrap();
    notes.map(|notes| notes.notes.into_iter().map(|note| note.why).collect()).unwrap_or_default()
}

fn entries(host: &TestHost) -> Vec<String> {
    host.esp().entries().unwrap().iter().map(|entry| entry.name.to_string()).collect()
}

/// The trial armed, and the machine where this says.
fn armed(then: impl Fn(&TestHost)) -> TestHost {
    let host = TestHost::new();
    host.arm(2);
    then(&host);
    host
}

fn on_trial() -> TestHost {
    let host = armed(|host| assert_eq!(host.reboot(), id(2)));
    assert_eq!(settled(&host), Settled::OnTrial);
    host
}

fn refusal(entry: &str) -> RefusalRecord {
    RefusalRecord { n: 1, entry: entry.into(), uki: String::new(), rule: 13, why: "unknown key".into() }
}

fn check(host: &TestHost, script: &str) {
    host.put("etc/cfs-host/health.d/required/10-test", &format!("#!/bin/sh\n{script}\n"), 0o755);
}

/// The state in which settle finds a host, and how the trial failed.
type Failure = (FailureKind, &'static str, fn() -> TestHost);

const FAILURES: [Failure; 6] = [
    (FailureKind::Refused, "rule 13: unknown key", || {
        armed(|host| {
            let entry = format!("cfs-{}.0.conf", id(2));
            assert_eq!(host.reboot_twice(Some(refusal(&entry))), id(1));
        })
    }),
    (FailureKind::NotStarted, "did not start", || armed(|host| drop(host.reboot_twice(None)))),
    (FailureKind::Panic, "panicked: v4", || {
        armed(|host| {
            host.put("sys/fs/pstore/dmesg-efi-1", "<0>[ 1.0] Kernel panic - not syncing: v4\n", 0o600);
            host.reboot_twice(None);
        })
    }),
    (FailureKind::Panic, "panicked: late", || {
        let host = on_trial();
        host.put("var/lib/systemd/pstore/17/dmesg.txt", "<0>[ 9.0] Kernel panic - not syncing: late\n", 0o600);
        host.reboot();
        host
    }),
    (FailureKind::Stopped, "not heard of again", || {
        let host = on_trial();
        assert_eq!(host.reboot(), id(1));
        host
    }),
    (FailureKind::Unhealthy, "exit code 3: no database", || {
        let host = on_trial();
        check(&host, "echo no database; exit 3");
        assert!(check_health(&host.host(), &Sys::real()).unwrap().ends_trial);
        assert_eq!(host.reboot(), id(1));
        host
    }),
];

#[test]
fn every_failure_is_recognized_and_denied_with_its_reason() {
    for (kind, why, make) in FAILURES {
        let host = make();
        let Settled::Failed(failure) = settled(&host) else { panic!("{kind:?}") };
        assert_eq!(failure.kind, kind, "{}", failure.why);
        assert!(failure.why.contains(why), "{kind:?}: {}", failure.why);
        assert_eq!((&failure.manifest_digest, failure.image), (&manifest(2), image(2)));
        assert_eq!(denied(&host), [*failure]);
        assert_eq!((host.trial(), entries(&host)), (None, vec![format!("cfs-{}.1", id(1))]));
        assert_eq!(settled(&host), Settled::Nothing, "{kind:?}");
        assert_eq!(host.load(), id(1));
    }
}

#[test]
fn the_refusal_of_another_entry_is_not_this_trials() {
    let other = format!("cfs-{}.1.conf", id(1));
    let host = armed(|host| drop(host.reboot_twice(Some(refusal(&other)))));
    let Settled::Failed(failure) = settled(&host) else { panic!() };
    assert_eq!(failure.kind, FailureKind::NotStarted);
}

fn left(phase: Phase, why: Option<&str>) -> TestHost {
    let host = TestHost::new();
    host.enter(2, 0);
    host.put_trial(2, phase, why);
    host
}

fn left_text(text: &str) -> TestHost {
    let host = TestHost::new();
    host.enter(2, 0);
    host.put("sysroot/cfs/trial.json", text, 0o644);
    host
}

/// What is said, and the state in which settle finds a host.
type Innocent = (&'static str, fn() -> TestHost);

/// The states that blame nobody.
const INNOCENTS: [Innocent; 7] = [
    ("shutdown was interrupted", || left(Phase::Arming, None)),
    ("promotion was interrupted", || left(Phase::Healthy, None)),
    ("promotion failed: full", || left(Phase::Healthy, Some("promotion failed: full"))),
    ("newer cfs-host", || left(Phase::Other, None)),
    ("record is lost", || left_text("{")),
    ("record is lost", || left_text(r#"{"version":2}"#)),
    ("taken back", || {
        let host = TestHost::new();
        host.put_trial(2, Phase::Armed, None);
        host
    }),
];

#[test]
fn what_is_not_the_images_fault_is_noted_and_nobody_is_denied() {
    for (why, make) in INNOCENTS {
        let host = make();
        let Settled::Interrupted(said) = settled(&host) else { panic!("{why}") };
        assert!(said.contains(why), "{said}");
        assert_eq!(notes(&host), [said]);
        assert_eq!(denied(&host), []);
        assert!(!host.sysroot().join(TRIAL).exists());
        assert_eq!(entries(&host), [format!("cfs-{}.1", id(1))], "{why}");
    }
}

#[test]
fn a_trial_that_is_armed_and_did_not_get_its_shutdown_is_left_alone() {
    let host = TestHost::new();
    host.stage(2);
    host.arm(2);
    let before = host.lasting();
    assert_eq!(settled(&host), Settled::Nothing);
    assert_eq!(host.lasting(), before);
    assert_eq!(host.load(), id(2));
}

#[test]
fn a_loader_that_did_not_forget_the_wish_is_helped() {
    let host = armed(|host| host.runs(2, None));
    assert!(one_shot::get(host.root()).is_some());
    assert_eq!(settled(&host), Settled::OnTrial);
    assert_eq!(one_shot::get(host.root()), None);
    assert_eq!(host.load(), id(1));
}

#[test]
fn entries_of_order_0_without_a_trial_go_and_the_wishes_of_others_stay() {
    let host = TestHost::new();
    host.enter(2, 0);
    let foreign = "cfs-0123456789abcdef.0.5".parse().unwrap();
    one_shot::set(&Sys::real(), host.root(), &foreign).unwrap();
    assert_eq!(settled(&host), Settled::Nothing);
    assert_eq!(entries(&host), [format!("cfs-{}.1", id(1))]);
    assert!(one_shot::get(host.root()).is_some());
}

#[test]
fn what_ended_runs_left_goes_and_the_entries_are_published() {
    let host = TestHost::new();
    host.put("esp/EFI/cfs/.tmp-x.efi-1", "", 0o644);
    host.put("sysroot/cfs/deploy/.tmp-0000000000000000.0/etc/a", "", 0o644);
    host.put("sysroot/cfs/deploy/.tmp-file", "", 0o644);
    settled(&host);
    assert!(host.lasting().keys().all(|name| !name.contains(".tmp-")), "{:?}", host.lasting().keys());
    let now = std::fs::read_to_string(host.root().join(crate::flow::host::ENTRIES_NOW)).unwrap();
    assert!(now.contains(&format!("cfs-{}.1", id(1))), "{now}");
}

#[test]
fn a_healthy_trial_becomes_the_default_and_old_notes_go() {
    let host = on_trial();
    host.put("sysroot/cfs/notes.json", r#"{"version":1,"notes":[]}"#, 0o644);
    check(&host, "exit 0");
    let verdict = check_health(&host.host(), &Sys::real()).unwrap();
    assert!(verdict.health.healthy && !verdict.ends_trial);
    assert_eq!(promote(&host.host(), &Sys::real()).unwrap(), Some(id(2)));
    assert_eq!(entries(&host), [format!("cfs-{}.1", id(1)), format!("cfs-{}.2", id(2))]);
    assert_eq!((host.trial(), notes(&host), denied(&host)), (None, vec![], vec![]));
    assert!(!host.sysroot().join(NOTES).exists());
    assert_eq!(host.reboot(), id(2));
    assert_eq!(settled(&host), Settled::Nothing);
    assert_eq!(promote(&host.host(), &Sys::real()).unwrap(), None);
}

#[test]
fn a_good_deployment_that_gets_unhealthy_keeps_its_place() {
    let host = TestHost::new();
    check(&host, "exit 1");
    let verdict = check_health(&host.host(), &Sys::real()).unwrap();
    assert!(!verdict.health.healthy && !verdict.ends_trial);
    assert!(!give_up(&host.host(), &Sys::real(), "late").unwrap());
    let path = layout::deployment(&host.sysroot(), &id(1)).join(HEALTH);
    assert_eq!(records::read::<Health>(&path).unwrap(), Some(verdict.health));
    assert_eq!((host.trial(), host.load()), (None, id(1)));
}

#[test]
fn greenboots_programs_run_after_the_verdict_and_do_not_count() {
    let host = on_trial();
    host.put("etc/greenboot/red.d/10.sh", &format!("echo >>{}/ran; exit 1", host.root().display()), 0o644);
    assert!(check_health(&host.host(), &Sys::real()).unwrap().health.healthy);
    assert!(!host.root().join("ran").exists());
    check(&host, "exit 1");
    assert!(check_health(&host.host(), &Sys::real()).unwrap().ends_trial);
    assert!(host.root().join("ran").exists());
}

#[test]
fn an_unhealthy_trial_is_not_promoted() {
    let host = on_trial();
    check(&host, "exit 1");
    check_health(&host.host(), &Sys::real()).unwrap();
    assert!(promote(&host.host(), &Sys::real()).unwrap_err().to_string().contains("10-test"));
    assert_eq!(host.load(), id(1));
}

#[test]
fn a_trial_that_is_given_up_says_why_and_keeps_its_first_reason() {
    let host = on_trial();
    assert!(give_up(&host.host(), &Sys::real(), "not healthy within 15 min").unwrap());
    assert!(give_up(&host.host(), &Sys::real(), "other").unwrap());
    let trial = host.trial().unwrap();
    assert_eq!((trial.phase, trial.why.as_deref()), (Phase::Unhealthy, Some("not healthy within 15 min")));
}

#[test]
fn a_trial_is_given_up_even_if_that_cannot_be_noted() {
    let host = on_trial();
    let sys = Sys::with_fault(FaultPlan { at: 1, fault: Fault::Errno(28) });
    assert!(give_up(&host.host(), &sys, "late").unwrap());
    let _held = host.host().lock(&Sys::real(), "other", PATIENCE, &|_| ()).unwrap();
    assert_eq!(host.trial().unwrap().phase, Phase::Running);
}

#[test]
fn a_failed_promotion_is_told_and_the_image_is_not_denied() {
    let host = on_trial();
    std::fs::remove_file(host.root().join("esp/EFI/cfs").join(host.uki(2))).unwrap();
    assert!(format!("{:#}", promote(&host.host(), &Sys::real()).unwrap_err()).contains("is gone"));
    assert!(!give_up(&host.host(), &Sys::real(), "late").unwrap(), "a healthy system is not restarted");
    host.deploy_uki(2);
    host.reboot();
    let Settled::Interrupted(why) = settled(&host) else { panic!() };
    assert!(why.contains("its promotion failed") && denied(&host).is_empty(), "{why}");
}

#[test]
fn a_promotion_that_failed_can_be_done_again() {
    let host = on_trial();
    let sys = Sys::with_fault(FaultPlan { at: 8, fault: Fault::Errno(28) });
    assert!(promote(&host.host(), &sys).is_err());
    assert_eq!(promote(&host.host(), &Sys::real()).unwrap(), Some(id(2)));
    assert_eq!(host.load(), id(2));
}

/// Runs `act` failing at every step, then what the next boot does: whatever step failed, `end` judges the host.
fn every_step(
    make: &dyn Fn() -> TestHost,
    act: &dyn Fn(&TestHost, &Sys) -> bool,
    end: &dyn Fn(&TestHost, DeploymentId, u64),
) -> u64 {
    let counted = Sys::real();
    assert!(act(&make(), &counted));
    for at in 1..=counted.steps() {
        let host = make();
        act(&host, &Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) }));
        let next = host.reboot();
        settled(&host);
        end(&host, next, at);
        assert!(entries(&host).len() <= 2, "step {at}");
    }
    counted.steps()
}

#[test]
fn settling_ends_the_same_whatever_step_was_interrupted() {
    for (name, _, make) in FAILURES {
        let reference = make();
        settled(&reference);
        let act = |host: &TestHost, sys: &Sys| settle(&host.host(), sys).is_ok();
        // The refusal is gone after one boot: what it said has to be in the list by then, or the image is denied all the same.
        let soften = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| !line.contains("\"kind\"") && !line.contains("\"why\""))
                .map(str::to_owned)
                .collect()
        };
        let steps = every_step(&make, &act, &|host, next, at| {
            assert_eq!(next, id(1), "{name:?}, step {at}");
            assert_eq!(denied(host).len(), 1, "{name:?}, step {at}");
            let (ours, theirs) = (host.lasting(), reference.lasting());
            assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{name:?}, step {at}");
            for (file, text) in &ours {
                assert_eq!(soften(text), soften(&theirs[file]), "{name:?}, step {at}, {file}");
            }
        });
        assert!(steps > 10, "{name:?}: {steps} steps");
    }
}

#[test]
fn settling_again_in_the_same_boot_ends_exactly_the_same() {
    for (kind, _, make) in FAILURES {
        let (reference, counted) = (make(), Sys::real());
        settle(&reference.host(), &counted).unwrap();
        for at in 1..=counted.steps() {
            let host = make();
            let _ = settle(&host.host(), &Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) }));
            settled(&host);
            assert_eq!(host.lasting(), reference.lasting(), "{kind:?}, step {at}");
        }
    }
}

#[test]
fn an_interrupted_note_is_one_note_whatever_step_fails() {
    for (why, make) in INNOCENTS {
        let (reference, counted) = (make(), Sys::real());
        settle(&reference.host(), &counted).unwrap();
        for at in 1..=counted.steps() {
            let host = make();
            let _ = settle(&host.host(), &Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) }));
            settled(&host);
            assert_eq!(notes(&host).len(), 1, "{why}, step {at}");
            assert_eq!(entries(&host), entries(&reference), "{why}, step {at}");
            assert_eq!((denied(&host), host.load()), (vec![], id(1)), "{why}, step {at}");
        }
    }
}

#[test]
fn a_promotion_leaves_the_old_default_or_the_new_one_whatever_step_fails() {
    let act = |host: &TestHost, sys: &Sys| promote(&host.host(), sys).is_ok();
    let steps = every_step(&on_trial, &act, &|host, next, at| {
        let denied = denied(host);
        // Before its first write is done nobody knows that it was healthy.
        assert!(denied.is_empty() || (denied[0].kind == FailureKind::Stopped && at <= 7), "step {at}: {denied:?}");
        assert_eq!(host.trial(), None, "step {at}");
        assert_eq!(host.load(), next, "step {at}");
        let own = entries(host).iter().filter(|name| name.contains(&id(2).to_string())).count();
        assert_eq!(own, usize::from(next == id(2)), "step {at}: {:?}", entries(host));
    });
    assert!(steps > 15, "{steps}");
}

#[test]
fn the_verdict_on_a_trial_ends_in_the_old_default_whatever_step_fails() {
    let make = || {
        let host = on_trial();
        check(&host, "exit 1");
        host
    };
    let act = |host: &TestHost, sys: &Sys| check_health(&host.host(), sys).is_ok();
    every_step(&make, &act, &|host, next, at| {
        let kinds: Vec<FailureKind> = denied(host).iter().map(|denied| denied.kind).collect();
        assert!(matches!(kinds[..], [FailureKind::Unhealthy | FailureKind::Stopped]), "step {at}: {kinds:?}");
        assert_eq!(next, id(1), "step {at}");
    });
}
