use super::*;
use crate::sys::{Fault, FaultPlan};
use proptest::prelude::*;
use std::fs;

fn esp() -> (tempfile::TempDir, RunningEsp) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(DIRECTORY)).unwrap();
    let esp = RunningEsp::at(dir.path());
    (dir, esp)
}

fn entry(deployment: u32, order: u32) -> Entry {
    let name = format!("cfs-{deployment:016x}.0.{order}").parse().unwrap();
    Entry::new(name, "Example", format!("{deployment:016x}.efi"))
}

/// What the loader boots by default: the highest order.
fn default(esp: &RunningEsp) -> String {
    esp.entries().unwrap().last().unwrap().name.deployment.to_string()
}

#[test]
fn a_uki_has_the_name_of_its_hash_and_is_written_once() {
    let (dir, esp) = esp();
    let sys = Sys::real();
    let name = esp.put_uki(&sys, b"one").unwrap();
    assert_eq!(esp.read_uki(&name).unwrap().unwrap(), b"one");
    let steps = sys.steps();
    assert_eq!(esp.put_uki(&sys, b"one").unwrap(), name);
    assert_eq!(sys.steps(), steps, "it was written again");
    fs::write(dir.path().join(UKIS).join("foreign.efi"), b"x").unwrap();
    assert_eq!(esp.ukis().unwrap(), [name]);
}

#[test]
fn a_damaged_uki_is_replaced_unless_an_entry_names_it() {
    let (dir, esp) = esp();
    let sys = Sys::real();
    let name = esp.put_uki(&sys, b"one").unwrap();
    fs::write(dir.path().join(UKIS).join(&name), b"two").unwrap();
    assert_eq!(esp.put_uki(&sys, b"one").unwrap(), name);
    assert_eq!(esp.read_uki(&name).unwrap().unwrap(), b"one");
    fs::write(dir.path().join(UKIS).join(&name), b"two").unwrap();
    esp.put_entry(&sys, &Entry { uki: name.clone(), ..entry(1, 1) }).unwrap();
    assert!(matches!(esp.put_uki(&sys, b"one"), Err(Error::Damaged(_))));
}

#[test]
fn what_others_put_there_is_neither_seen_nor_touched() {
    let (dir, esp) = esp();
    let sys = Sys::real();
    let folder = dir.path().join(DIRECTORY);
    let foreign = [("arch.conf", "linux /vmlinuz\n"), ("cfs-0000000000000001.0.9.conf", "linux /evil\n")];
    for (name, text) in foreign {
        fs::write(folder.join(name), text).unwrap();
    }
    esp.put_entry(&sys, &entry(1, 1)).unwrap();
    assert_eq!(esp.entries().unwrap(), [entry(1, 1)]);
    esp.promote(&sys, &entry(1, 1)).unwrap();
    esp.remove_leftovers(&sys).unwrap();
    esp.remove_unnamed_ukis(&sys, &[]).unwrap();
    for (name, text) in foreign {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), text);
    }
}

#[test]
fn whatever_step_of_a_promotion_fails_something_good_is_the_default() {
    let before = [entry(1, 1), entry(2, 0)];
    let make = || {
        let (dir, esp) = esp();
        before.iter().for_each(|entry| esp.put_entry(&Sys::real(), entry).unwrap());
        (dir, esp)
    };
    let counted = Sys::real();
    let (_dir, whole) = make();
    assert_eq!(whole.promote(&counted, &before[1]).unwrap().order, 2);
    assert_eq!(whole.entries().unwrap(), [entry(1, 1), entry(2, 2)]);
    for at in 1..=counted.steps() {
        let (_dir, esp) = make();
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
        assert!(esp.promote(&sys, &before[1]).is_err(), "step {at}");
        let ids: Vec<String> = before.iter().map(|entry| entry.name.deployment.to_string()).collect();
        assert!(ids.contains(&default(&esp)), "step {at}");
        esp.promote(&Sys::real(), &before[1]).unwrap();
        assert_eq!(esp.entries().unwrap(), [entry(1, 1), entry(2, 2)], "step {at}: the second run did not finish it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_promoted_deployment_is_the_default_with_one_name(orders in prop::collection::btree_set((0u32..4, 0u32..6), 1..8), chosen in 0u32..4) {
        let (_dir, esp) = esp();
        let sys = Sys::real();
        for (deployment, order) in &orders {
            esp.put_entry(&sys, &entry(*deployment, *order)).unwrap();
        }
        let name = esp.promote(&sys, &entry(chosen, 0)).unwrap();
        let entries = esp.entries().unwrap();
        prop_assert_eq!(&entries.last().unwrap().name, &name);
        prop_assert!(name.order > 0);
        let own = entries.iter().filter(|entry| entry.name.deployment == name.deployment).count();
        prop_assert_eq!(own, 1);
        // Nothing of the others changed.
        for (deployment, order) in orders.iter().filter(|(deployment, _)| *deployment != chosen) {
            prop_assert!(entries.contains(&entry(*deployment, *order)));
        }
    }
}

#[test]
fn temporary_names_of_ended_runs_go() {
    let (dir, esp) = esp();
    fs::create_dir_all(dir.path().join(UKIS)).unwrap();
    let left = dir.path().join(UKIS).join(".tmp-0123456789abcdef.efi-77");
    fs::write(&left, b"x").unwrap();
    esp.remove_leftovers(&Sys::real()).unwrap();
    assert!(!left.exists());
}

#[test]
fn an_entry_without_a_byte_is_what_a_repair_left() {
    let (dir, esp) = esp();
    let folder = dir.path().join(DIRECTORY);
    fs::create_dir_all(&folder).unwrap();
    let left = folder.join(entry(1, 1).name.conf());
    fs::write(&left, b"").unwrap();
    esp.remove_leftovers(&Sys::real()).unwrap();
    assert!(!left.exists());
}

#[test]
fn of_two_entries_of_a_deployment_the_lower_is_left_over() {
    let (_dir, esp) = esp();
    let sys = Sys::real();
    for entry in [entry(1, 1), entry(2, 2), entry(1, 3), entry(3, 0), entry(3, 4)] {
        esp.put_entry(&sys, &entry).unwrap();
    }
    esp.remove_leftovers(&sys).unwrap();
    assert_eq!(esp.entries().unwrap(), [entry(2, 2), entry(1, 3), entry(3, 4)]);
}
