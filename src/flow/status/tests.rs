//! Hosts as directory trees.

use std::fs;

use super::*;

const IMAGE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const RECORD: &str = r#"{"version":1,"mode":"enforce","deployment":"0123456789abcdef.0",
    "image":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "ukiId":"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210","securityVersion":3,
    "claims":{"role":"host-bootable","product":"example","security_version":4,
              "digest":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","uki_ids":[]},
    "signers":["Example image signer"],"secureBoot":true,"chosenBy":"LoaderEntrySelected",
    "entry":"cfs-0123456789abcdef.0.1.conf","objects":{"total":5017,"enabled":12},"ignored":[],
    "refusal":null,"problems":[],"timings":[{"step":"kernel","ms":2500}]}"#;

struct Host(tempfile::TempDir);

impl Host {
    /// A host that booted well.
    fn healthy() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        host.write("run/cfs-host/booted.json", RECORD.as_bytes());
        host.deployment("0123456789abcdef.0", "v1");
        host.deployment("00000000000000aa.2", "v0");
        host.variable("SecureBoot", GLOBAL, &[1]);
        host.variable("SetupMode", GLOBAL, &[0]);
        host.variable("LoaderInfo", LOADER, &utf16("systemd-boot 257.13"));
        let entries =
            ["cfs-0123456789abcdef.0.2.conf", "cfs-00000000000000aa.2.1.conf", "auto-reboot-to-firmware-setup"];
        host.variable("LoaderEntries", LOADER, &entries.iter().flat_map(|text| utf16(text)).collect::<Vec<_>>());
        host.write(
            "proc/self/mountinfo",
            b"1 0 0:1 / / ro - overlay o ro\n2 1 8:2 /e /etc rw,nosuid - ext4 d rw\n3 1 8:2 /v /var rw - ext4 d rw\n",
        );
        host
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn variable(&self, name: &str, vendor: &str, value: &[u8]) {
        self.write(&format!("{}/{name}-{vendor}", efivar::EFIVARS), &[&[6, 0, 0, 0], value].concat());
    }

    fn deployment(&self, id: &str, tag: &str) {
        let json = format!(
            r#"{{"version":1,"reference":"docker://example.org/host:{tag}","manifestDigest":"sha256:aa","configDigest":"sha256:bb",
                "image":"{IMAGE}","uki":"{IMAGE}","ukiPath":"usr/lib/modules/6.12/cfs-host.efi","deployedAt":"2026-01-01T00:00:00Z","deployedBy":"cfs-host 0.1.0"}}"#
        );
        self.write(&format!("sysroot/cfs/deploy/{id}/origin.json"), json.as_bytes());
    }

    fn kinds(&self) -> Vec<&'static str> {
        observe(self.0.path()).conditions.into_iter().map(|condition| condition.kind).collect()
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_healthy_host_has_no_conditions() {
    let status = observe(Host::healthy().0.path());
    assert_eq!(status.conditions, []);
    assert_eq!(status.tier, Tier::Verified);
    assert_eq!(status.writable, Writable { etc: Some(true), var: Some(true) });
    let marks: Vec<_> = status.deployments.iter().map(|d| (d.id.as_str(), d.booted, d.default)).collect();
    assert_eq!(marks, [("00000000000000aa.2", false, false), ("0123456789abcdef.0", true, true)]);
}

#[test]
fn both_forms_are_the_golden_ones() {
    let status = observe(Host::healthy().0.path());
    assert_eq!(crate::ui::status::status(&status), include_str!("healthy.txt"));
    assert_eq!(crate::ui::json(&status).unwrap(), include_str!("healthy.json"));
}

#[test]
fn an_empty_root_is_an_answer_too() {
    let dir = tempfile::tempdir().unwrap();
    let status = observe(dir.path());
    assert_eq!(status.tier, Tier::None);
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.conditions[0].kind, "NotBootedByCfsHost");
    assert!(crate::ui::status::status(&status).starts_with("ALARM: this system was not started by cfs-host"));
}

#[test]
fn each_oddity_is_named() {
    let change = |from: &str, to: &str| {
        let host = Host::healthy();
        assert!(RECORD.contains(from), "{from}");
        host.write("run/cfs-host/booted.json", RECORD.replace(from, to).as_bytes());
        host.kinds()
    };
    assert_eq!(change("\"enforce\"", "\"permissive\""), ["Permissive"]);
    assert_eq!(change("\"problems\":[]", "\"problems\":[\"rule 13: x\"]"), ["Overlooked"]);
    assert_eq!(change("\"secureBoot\":true", "\"secureBoot\":false"), ["SecureBootOff"]);
    assert_eq!(change("\"ignored\":[]", "\"ignored\":[\"x\"]"), ["HintIgnored"]);
    assert_eq!(
        change("\"refusal\":null", "\"refusal\":{\"n\":1,\"entry\":\"e\",\"uki\":\"u\",\"rule\":10,\"why\":\"x\"}"),
        ["EarlierBootRefused"]
    );
    assert_eq!(change("abcdef.0\",\n", "abcdef.9\",\n"), ["BootedDeploymentMissing"]);
    assert_eq!(change("\"version\":1", "\"version\":2"), ["BootRecordUnreadable"]);
    assert_eq!(change("{\"version\"", "x"), ["BootRecordUnreadable"]);
}

#[test]
fn an_unreadable_origin_does_not_hide_the_others() {
    let host = Host::healthy();
    host.write("sysroot/cfs/deploy/00000000000000aa.2/origin.json", b"{}");
    assert_eq!(host.kinds(), ["OriginUnreadable"]);
    assert_eq!(observe(host.0.path()).deployments.len(), 2);
}

#[test]
fn a_refusal_is_shown_and_cannot_drive_the_terminal() {
    let host = Host::healthy();
    let json = r#"{"v":1,"n":2,"entry":"e","uki":"u","rule":13,"why":"forged \u001b[2J"}"#;
    host.variable("CfsHostRefusal", CFS_HOST, json.as_bytes());
    assert_eq!(host.kinds(), ["EarlierBootRefused"]);
    let text = crate::ui::status::status(&observe(host.0.path()));
    assert!(text.contains("rule 13: forged") && !text.contains('\x1b'), "{text}");
}

#[test]
fn permissive_mode_is_said_first() {
    let host = Host::healthy();
    host.write("run/cfs-host/booted.json", RECORD.replace("\"enforce\"", "\"permissive\"").as_bytes());
    let status = observe(host.0.path());
    assert_eq!(status.tier, Tier::None);
    assert!(crate::ui::status::status(&status).starts_with("ALARM: PERMISSIVE"));
}
