use proptest::prelude::*;

use super::*;

const CONF: &str = "cfs-0123456789abcdef.3.12.conf";
const EFI: &str = "cfs-0123456789abcdef.3.12.efi";
const SHARED: &str = r"\EFI\cfs\fedcba9876543210.efi";
const OWN: &str = r"\EFI\Linux\cfs-0123456789abcdef.3.12.efi";
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

fn variable(attributes: u32, text: &str) -> Option<Vec<u8>> {
    let units = text.encode_utf16().chain([0]);
    Some(attributes.to_le_bytes().into_iter().chain(units.flat_map(u16::to_le_bytes)).collect())
}

fn raw(selected: Option<&str>, stub: Option<&str>) -> RawVariables {
    RawVariables {
        entry_selected: selected.and_then(|text| variable(6, text)),
        stub_image: stub.and_then(|text| variable(6, text)),
        device_part_uuid: variable(6, ESP),
        entries: None,
    }
}

#[track_caller]
fn refused(raw: &RawVariables, rule: u8, words: &str) {
    let refusal = claim(raw).expect_err(words);
    assert!(refusal.rule == rule && refusal.why.contains(words), "{refusal}");
}

#[test]
fn every_way_of_starting_that_was_seen_is_understood() {
    use ChosenBy::{LoaderEntrySelected, StubImageIdentifier};
    for (selected, stub, file, by) in [
        (Some(CONF), SHARED, CONF, LoaderEntrySelected),
        (Some("cfs-0123456789abcdef.3.12+3.conf"), SHARED, CONF, LoaderEntrySelected),
        (Some("cfs-0123456789abcdef.3.12+2-1.conf"), SHARED, CONF, LoaderEntrySelected),
        (Some(CONF), r"\efi\CFS\FEDCBA9876543210.EFI", CONF, LoaderEntrySelected),
        (Some(EFI), OWN, EFI, LoaderEntrySelected),
        (Some(EFI), r"\EFI\Linux\cfs-0123456789abcdef.3.12+2-1.efi", EFI, LoaderEntrySelected),
        (Some("cfs-0123456789abcdef.3.12+3.efi"), OWN, EFI, LoaderEntrySelected),
        (None, OWN, EFI, StubImageIdentifier),
        (None, r"\EFI\LINUX\CFS-0123456789ABCDEF.3.12+3.EFI", EFI, StubImageIdentifier),
    ] {
        let claim = claim(&raw(selected, Some(stub))).unwrap();
        assert_eq!((claim.entry_file(), claim.chosen_by()), (file, by));
        assert_eq!(claim.entry().to_string(), "cfs-0123456789abcdef.3.12");
        assert_eq!(claim.esp(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert!(claim.ignored().is_empty());
    }
}

#[test]
fn selected_entry_and_running_uki_must_agree() {
    for (selected, stub) in [
        (CONF, None),
        (EFI, None),
        (CONF, Some(OWN)),
        (EFI, Some(SHARED)),
        (EFI, Some(r"\EFI\Linux\cfs-0123456789abcdef.3.13.efi")),
        (EFI, Some(r"\EFI\Linux\cfs-0123456789abcdef.4.12.efi")),
        (CONF, Some(r"\EFI\cfs\evil.efi")),
        (CONF, Some(r"\EFI\cfs\..\fedcba9876543210.efi")),
        (CONF, Some(r"\EFI\cfs\x\fedcba9876543210.efi")),
        (CONF, Some(r"\fedcba9876543210.efi")),
        (CONF, Some(r"EFI\cfs\fedcba9876543210.efi")),
        (CONF, Some("/EFI/cfs/fedcba9876543210.efi")),
        (CONF, Some("")),
    ] {
        refused(&raw(Some(selected), stub), 6, "but the UKI that runs");
    }
}

#[test]
fn entries_of_others_are_refused() {
    for foreign in
        ["windows.conf", "", "auto-efi-shell", "cfs-0123456789abcdef.3.12", "cfs-0123456789abcdef.3.12.conf/x"]
    {
        refused(&raw(Some(foreign), Some(SHARED)), 6, "not an entry of cfs-host");
    }
}

#[test]
fn without_a_name_nothing_is_chosen() {
    refused(&raw(None, None), 6, "no boot entry is known");
    refused(&raw(None, None), 6, "not known)");
    refused(&raw(None, Some(SHARED)), 6, "no boot entry is known");
    refused(&raw(None, Some(SHARED)), 6, "fedcba9876543210");
    refused(&raw(None, Some(r"\EFI\Linux\cfs-0123456789abcdef.3.12.conf")), 6, "no boot entry is known");
    refused(&raw(None, Some(r"\EFI\BOOT\BOOTX64.EFI")), 6, "no boot entry is known");
}

#[test]
fn planted_variables_are_absent_and_reported() {
    for attributes in [0x7, 0x2, 0x4, 0x0, 0x26, 0x106] {
        let mut planted = raw(None, Some(OWN));
        planted.entry_selected = variable(attributes, "cfs-ffffffffffffffff.0.0.efi");
        let claim = claim(&planted).unwrap();
        assert_eq!((claim.entry_file(), claim.chosen_by()), (EFI, ChosenBy::StubImageIdentifier));
        assert_eq!(claim.ignored().len(), 1);
        assert!(claim.ignored()[0].contains("LoaderEntrySelected: not set by the loader"));
    }
    let stub = RawVariables { stub_image: variable(7, OWN), ..raw(Some(EFI), None) };
    refused(&stub, 6, "but the UKI that runs");
    refused(&stub, 6, "(not counted: StubImageIdentifier: not set by the loader");
    let device = RawVariables { device_part_uuid: variable(7, ESP), ..raw(Some(EFI), Some(OWN)) };
    refused(&device, 7, "LoaderDevicePartUUID");
    refused(&device, 7, "(not counted: LoaderDevicePartUUID: not set by the loader");
    assert!(!claim(&raw(None, None)).unwrap_err().why.contains("not counted"));
}

#[test]
fn malformed_values_are_absent_and_reported() {
    let good = variable(6, CONF).unwrap();
    let no_nul = &good[..good.len() - 2];
    let odd = [&good[..], &[0]].concat();
    let two_nuls = [&good[..], &[0, 0]].concat();
    let surrogate = [&[6, 0, 0, 0, 0, 0xd8, 0, 0][..]].concat();
    let long = variable(6, &"x".repeat(512)).unwrap();
    for bad in [no_nul, &odd, &two_nuls, &surrogate, &long, &[6, 0, 0, 0], &[6, 0, 0], &[]] {
        let variables = RawVariables { entry_selected: Some(bad.to_vec()), ..raw(None, Some(OWN)) };
        assert_eq!(claim(&variables).unwrap().ignored().len(), 1, "{bad:?}");
    }
    let longest = RawVariables { entry_selected: variable(6, &"x".repeat(511)), ..raw(None, Some(OWN)) };
    refused(&longest, 6, "not an entry of cfs-host");
}

#[test]
fn the_esp_must_be_named_by_a_uuid() {
    for bad in [
        "",
        "C12A7328",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93BB",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93G",
        "C12A7328F-81F-11D2-BA4B-00A0C93EC93B",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC9-B",
    ] {
        refused(
            &RawVariables { device_part_uuid: variable(6, bad), ..raw(Some(CONF), Some(SHARED)) },
            7,
            "LoaderDevicePartUUID",
        );
    }
    refused(&RawVariables { device_part_uuid: None, ..raw(Some(CONF), Some(SHARED)) }, 7, "LoaderDevicePartUUID");
}

#[test]
fn counters_are_digits() {
    for good in ["+3", "+0-3", "+4294967295-4294967295"] {
        assert!(entry_name(&format!("cfs-0123456789abcdef.3.12{good}.conf")).is_some(), "{good}");
    }
    for bad in ["+", "+-", "+3-", "+-3", "+x", "+3-x", "+3+3", "+3-3-3", "+12345678901", "-3"] {
        assert_eq!(entry_name(&format!("cfs-0123456789abcdef.3.12{bad}.conf")), None, "{bad}");
    }
}

#[test]
fn a_list_is_split_at_its_nuls() {
    let ids = |raw: &Option<Vec<u8>>| list(raw.as_deref());
    assert_eq!(ids(&variable(6, &format!("{CONF}\0{EFI}\0\0windows"))), [CONF, EFI, "windows"]);
    assert_eq!(ids(&None), [""; 0]);
    assert_eq!(ids(&variable(6, "")), [""; 0]);
    assert_eq!(ids(&variable(7, CONF)), [""; 0]);
    assert_eq!(ids(&variable(6, &"entry\0".repeat(300))).len(), 256);
    assert_eq!(
        ids(&variable(6, &format!("{}\0a\0{}", "x".repeat(513), "y".repeat(512)))),
        ["a".to_owned(), "y".repeat(512)]
    );
    assert_eq!(ids(&variable(6, &"x\0".repeat(16 * 1024))), [""; 0]);
    assert_eq!(ids(&Some([&variable(6, "a").unwrap()[..], &[0, 0xd8, 0, 0, b'b', 0]].concat())), ["a", "b"]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(selected: Option<Vec<u8>>, stub: Option<Vec<u8>>, device: Option<Vec<u8>>, entries: Option<Vec<u8>>) {
        let raw = RawVariables { entry_selected: selected, stub_image: stub, device_part_uuid: device, entries };
        prop_assert!(claim(&raw).is_err());
        prop_assert!(list(raw.entries.as_deref()).is_empty());
    }

    #[test]
    fn any_texts_are_read_or_refused(selected: Option<String>, stub in r"\\EFI\\(cfs|Linux)\\.*") {
        let raw = raw(selected.as_deref(), Some(&stub));
        if let Ok(claim) = claim(&raw) {
            prop_assert_eq!(claim.entry_file().rsplit_once('.').unwrap().0, claim.entry().to_string());
        }
    }

    #[test]
    fn a_selected_entry_comes_back(serial: u32, order: u32, hex in "[0-9a-f]{16}", counter in "(\\+[0-9](-[0-9])?)?") {
        let name = format!("cfs-{hex}.{serial}.{order}");
        let claim = claim(&raw(Some(&format!("{name}{counter}.conf")), Some(SHARED))).unwrap();
        prop_assert_eq!(claim.entry().to_string(), name);
    }
}
