//! Hosts as directory trees.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::boot::efivar::{self, CFS_HOST, GLOBAL, LOADER};
use crate::flow::rollback::testing::scratch;
use crate::model::status::{Because, Severity, Writable};

const IMAGE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The deployment of the fixtures in `tests/records`.
const NEW: &str = "0123456789abcdef.2";
const OLD: &str = "00000000000000aa.2";
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
        let host = Self(scratch());
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

    /// One that is whole.
    fn deployment(&self, id: &str, tag: &str) {
        let image = format!("{}{}", &id[..16], &IMAGE[16..]);
        let json = format!(
            r#"{{"version":1,"reference":"docker://example.org/host:{tag}","manifestDigest":"sha256:{tag}","configDigest":"sha256:bb",
                "image":"{image}","uki":"{IMAGE}","ukiPath":"usr/lib/modules/6.12/cfs-host.efi","imageVersion":"1.{tag}",
                "imageCreated":"2025-12-31T00:00:00Z","deployedAt":"2026-01-01T00:00:00Z","deployedBy":"cfs-host 0.1.0"}}"#
        );
        let directory = format!("sysroot/cfs/deploy/{id}");
        self.write(&format!("{directory}/origin.json"), json.as_bytes());
        self.write(&format!("{directory}/image.sig"), b"sig");
        self.write(&format!("{directory}/etc/hostname"), b"x");
        self.write(&format!("sysroot/composefs/objects/{}/{}", &image[..2], &image[2..]), b"image");
    }

    /// Its image binds one more.
    fn binds(&self, id: &str, manifest: &str) {
        let path = self.0.path().join(format!("sysroot/cfs/deploy/{id}/origin.json"));
        let bound = format!(
            r#""boundImages":[{{"reference":"docker://example.org/app:v1","manifestDigest":"{manifest}"}}],"deployedAt""#
        );
        let text = fs::read_to_string(&path).unwrap().replace("\"deployedAt\"", &bound);
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.0.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// What the loader found, and the names that the last writer left.
    fn entries(&self, names: &[&str]) {
        let json = serde_json::json!({"version": 1, "entries": names, "oneShot": null});
        self.write("run/cfs-host/entries.json", json.to_string().as_bytes());
    }

    fn one_shot(&self, entry: &str) {
        self.variable("LoaderEntryOneShot", LOADER, &utf16(entry));
    }

    /// A third deployment, staged, and its fixture of the record.
    fn staged(&self) {
        self.deployment(NEW, "v2");
        self.write("run/cfs-host/staged.json", include_bytes!("../../../tests/records/staged.json"));
    }

    fn trial(&self, phase: &str) {
        let json = include_str!("../../../tests/records/trial.json");
        self.write("sysroot/cfs/trial.json", json.replace("unhealthy", phase).as_bytes());
    }

    fn see(&self) -> Status {
        observe(self.0.path())
    }

    fn text(&self) -> String {
        crate::ui::status::status(&self.see(), false)
    }

    /// Severity and message of the one condition of this kind.
    fn condition(&self, kind: &str) -> (Severity, String) {
        let mut found: Vec<_> = self.see().conditions.into_iter().filter(|condition| condition.kind == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        let condition = found.remove(0);
        (condition.severity, condition.message)
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

/// Compares with a file beside this one; `BLESS=1` writes it anew.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/flow/status").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap(), "{name}");
}

#[test]
fn all_forms_are_the_golden_ones() {
    let status = Host::healthy().see();
    golden("healthy.txt", &crate::ui::status::status(&status, false));
    golden("healthy.json", &crate::ui::json(&status).unwrap());
    golden("healthy-bootc.json", &bootc(&status));
    let status = busy().see();
    golden("busy.txt", &crate::ui::status::status(&status, true));
    golden("busy.json", &crate::ui::json(&status).unwrap());
    golden("busy-bootc.json", &bootc(&status));
}

/// The same on machines of both architectures.
fn bootc(status: &Status) -> String {
    crate::ui::json(&crate::ui::bootc::host(status, false)).unwrap().replace("arm64", "amd64")
}

/// Everything at once: an update is staged, an older one failed, one is pinned.
fn busy() -> Host {
    let host = Host::healthy();
    host.staged();
    host.deployment("00000000000000bb.0", "v0.5");
    host.write("sysroot/cfs/deploy/00000000000000bb.0/pinned", b"");
    host.binds("00000000000000bb.0", "sha256:b0");
    host.write("sysroot/composefs/streams/oci-manifest-sha256:b0", b"");
    host.write(
        "sysroot/cfs/deploy/0123456789abcdef.0/health.json",
        include_bytes!("../../../tests/records/health.json"),
    );
    let denied = include_str!("../../../tests/records/denied.json");
    host.write("sysroot/cfs/denied.json", denied.replace("cdef.2", "cdef.1").as_bytes());
    host.write("sysroot/cfs/notes.json", include_bytes!("../../../tests/records/notes.json"));
    host
}

#[test]
fn a_bound_image_that_the_store_lost_is_told_and_the_deployment_boots_all_the_same() {
    let host = Host::healthy();
    host.binds("0123456789abcdef.0", "sha256:b0");
    host.write("sysroot/composefs/streams/x", b"");
    assert_eq!(host.kinds(), ["BoundImageMissing"]);
    host.write("sysroot/composefs/streams/oci-manifest-sha256:b0", b"");
    assert_eq!(host.kinds(), [""; 0]);
}

#[test]
fn an_empty_root_is_an_answer_too() {
    let dir = tempfile::tempdir().unwrap();
    let status = observe(dir.path());
    assert_eq!(status.tier, Tier::None);
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.conditions[0].kind, "NotBootedByCfsHost");
    assert!(crate::ui::status::status(&status, false).starts_with("ALARM: this system was not started by cfs-host"));
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
    let text = crate::ui::status::status(&observe(host.0.path()), false);
    assert!(text.contains("rule 13: forged") && !text.contains('\x1b'), "{text}");
}

#[test]
fn permissive_mode_is_said_first() {
    let host = Host::healthy();
    host.write("run/cfs-host/booted.json", RECORD.replace("\"enforce\"", "\"permissive\"").as_bytes());
    let status = observe(host.0.path());
    assert_eq!(status.tier, Tier::None);
    assert!(crate::ui::status::status(&status, false).starts_with("ALARM: PERMISSIVE"));
}

#[test]
fn the_highest_order_is_next_and_a_one_shot_comes_before_it() {
    let host = Host::healthy();
    let next = |host: &Host| host.see().next.map(|next| (next.deployment.unwrap_or(next.entry), next.because));
    assert_eq!(next(&host), Some(("0123456789abcdef.0".into(), Because::HighestOrder)));
    host.one_shot(&format!("cfs-{OLD}.1.conf"));
    assert_eq!(next(&host), Some((OLD.into(), Because::OneShot)));
    host.one_shot("windows.conf");
    assert_eq!(next(&host), Some(("windows.conf".into(), Because::OneShot)));
    assert_eq!(host.see().conditions, []);
}

#[test]
fn a_default_that_somebody_set_is_told_and_counts_if_it_is_there() {
    let host = Host::healthy();
    host.variable("LoaderEntryDefault", LOADER, &utf16(&format!("cfs-{OLD}.1.conf")));
    assert_eq!(host.see().next.unwrap().because, Because::LoaderEntryDefault);
    assert_eq!(host.kinds(), ["DefaultOverridden"]);
    host.variable("LoaderEntryDefault", LOADER, &utf16("gone.conf"));
    assert_eq!(host.see().next.unwrap().because, Because::HighestOrder);
}

#[test]
fn the_last_writers_list_is_newer_than_the_loaders() {
    let host = Host::healthy();
    host.entries(&["cfs-0123456789abcdef.0.2", &format!("cfs-{OLD}.3")]);
    let status = host.see();
    assert_eq!(status.next.unwrap().deployment.unwrap(), OLD);
    let marks: Vec<_> = status.deployments.iter().map(|d| (d.default, d.rollback_target, d.good)).collect();
    assert_eq!(marks, [(true, false, true), (false, true, true)]);
}

#[test]
fn without_efi_variables_the_last_writers_one_shot_is_believed() {
    let host = Host::healthy();
    host.remove("sys");
    let entry = format!("cfs-{OLD}.1");
    let json = serde_json::json!({"version": 1, "entries": [entry], "oneShot": format!("{entry}.conf")});
    host.write("run/cfs-host/entries.json", json.to_string().as_bytes());
    assert_eq!(host.see().next.unwrap().because, Because::OneShot);
}

#[test]
fn entries_and_directories_that_do_not_fit_are_told() {
    let host = Host::healthy();
    host.remove(&format!("sysroot/cfs/deploy/{OLD}"));
    let (severity, message) = host.condition("EntryWithoutDeployment");
    assert!(severity == Severity::Warning && message.contains(OLD), "{message}");
    host.one_shot(&format!("cfs-{OLD}.1.conf"));
    assert_eq!(host.condition("EntryWithoutDeployment").0, Severity::Alarm);

    let host = Host::healthy();
    host.entries(&["cfs-0123456789abcdef.0.2"]);
    assert_eq!(host.kinds(), ["DeploymentWithoutEntry"]);
    host.write(&format!("sysroot/cfs/deploy/{OLD}/pinned"), b"");
    assert_eq!(host.see().conditions, []);
    host.entries(&[]);
    assert_eq!(host.kinds(), ["NoGoodEntry"]);
    host.entries(&["cfs-0123456789abcdef.0.2", &format!("cfs-{OLD}.2"), "cfs-odd"]);
    assert_eq!(host.kinds(), ["ForeignEntry", "AmbiguousDefault"]);
}

#[test]
fn a_deployment_that_lacks_a_part_will_not_boot_and_that_is_told() {
    for part in [format!("cfs/deploy/{OLD}/image.sig"), format!("cfs/deploy/{OLD}/etc"), "composefs/objects/00".into()]
    {
        let host = Host::healthy();
        host.remove(&format!("sysroot/{part}"));
        let (_, message) = host.condition("DeploymentIncomplete");
        assert!(message.contains(OLD), "{message}");
        assert_eq!(host.kinds().len(), 1);
    }
}

#[test]
fn what_is_staged_is_told_and_is_no_leftover() {
    let host = Host::healthy();
    host.staged();
    let status = host.see();
    assert_eq!(status.conditions, []);
    assert!(status.deployments.iter().find(|deployment| deployment.id == NEW).unwrap().staged);
    let next = format!("next         {NEW} (staged: tried once; if it fails, 0123456789abcdef.0 again)");
    assert!(host.text().contains(&next), "{}", host.text());
    host.remove(&format!("sysroot/cfs/deploy/{NEW}"));
    assert_eq!(host.kinds(), ["StagedMissing"]);
}

#[test]
fn each_state_of_a_trial_is_told() {
    let host = Host::healthy();
    host.deployment(NEW, "v2");
    host.entries(&["cfs-0123456789abcdef.0.2", &format!("cfs-{OLD}.1"), &format!("cfs-{NEW}.0")]);
    host.trial("armed");
    assert_eq!(host.kinds(), ["TrialUnsettled"]);
    host.one_shot(&format!("cfs-{NEW}.0.conf"));
    assert_eq!(host.see().conditions, []);
    assert!(host
        .see()
        .deployments
        .iter()
        .any(|deployment| deployment.id == NEW && deployment.on_trial && !deployment.good));
    host.trial("arming");
    assert_eq!(host.kinds(), ["ShutdownInterrupted"]);
    host.write("run/cfs-host/booted.json", RECORD.replace("abcdef.0\",\n", "abcdef.2\",\n").as_bytes());
    host.trial("running");
    assert_eq!(host.kinds(), ["OnTrial"]);
    host.trial("unhealthy");
    assert!(host.condition("TrialUnhealthy").1.contains("required check 10-web failed"));
    host.trial("of-tomorrow");
    assert_eq!(host.kinds(), ["OnTrial"]);
}

#[test]
fn failures_are_warnings_until_something_newer_runs() {
    let host = Host::healthy();
    host.write("sysroot/cfs/denied.json", include_bytes!("../../../tests/records/denied.json"));
    host.write("sysroot/cfs/notes.json", include_bytes!("../../../tests/records/notes.json"));
    let (severity, message) = host.condition("ImageDenied");
    assert!(severity == Severity::Warning && message.contains("it did not start"), "{message}");
    assert!(host.condition("Note").1.contains("no space left"));
    let older = include_str!("../../../tests/records/denied.json").replace("2026-01-01", "2025-12-31");
    host.write("sysroot/cfs/denied.json", older.as_bytes());
    assert_eq!(host.condition("ImageDenied").0, Severity::Info);
}

#[test]
fn half_made_and_foreign_names_are_told() {
    let host = Host::healthy();
    host.write("sysroot/cfs/deploy/.tmp-0123456789abcdef.3/origin.json", b"");
    host.write("sysroot/cfs/deploy/lost+found/x", b"");
    assert_eq!(host.kinds(), ["HalfMade", "ForeignName"]);
}

#[test]
fn every_type_of_condition_is_documented() {
    let page = include_str!("../../../docs/formats.md");
    let page = page.split("Types of conditions.").nth(1).unwrap();
    let documented: std::collections::BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|word| word.starts_with(char::is_uppercase)).collect();
    let sources = [
        include_str!("boot.rs"),
        include_str!("deployments.rs"),
        include_str!("next.rs"),
        include_str!("seen.rs"),
        include_str!("waiting.rs"),
    ];
    let quoted = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let variables = ["LoaderInfo", "LoaderEntries", "LoaderEntryDefault", "SecureBoot", "SetupMode", "CfsHostRefusal"];
    let is_word = |word: &&str| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric);
    let used = quoted.filter(is_word).filter(|word| *word == "SetupMode" || !variables.contains(word)).collect();
    assert_eq!(documented, used);
}

const FILES: [&str; 9] = [
    "run/cfs-host/booted.json",
    "run/cfs-host/staged.json",
    "run/cfs-host/entries.json",
    "sysroot/cfs/trial.json",
    "sysroot/cfs/denied.json",
    "sysroot/cfs/notes.json",
    "sysroot/cfs/deploy/0123456789abcdef.0/origin.json",
    "sysroot/cfs/deploy/0123456789abcdef.0/health.json",
    "sysroot/cfs/deploy/0123456789abcdef.0/pinned",
];

#[test]
fn directories_pipes_links_and_huge_files_in_the_place_of_records_are_told() {
    let odd: [&dyn Fn(&Path); 4] = [
        &|path| fs::create_dir_all(path).unwrap(),
        &|path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap()
        },
        &|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        &|path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
    ];
    for (file, make) in FILES[..8].iter().flat_map(|file| odd.iter().map(move |make| (file, make))) {
        let host = Host::healthy();
        let path = host.0.path().join(file);
        let _ = fs::remove_file(&path);
        make(&path);
        let conditions = host.see().conditions;
        assert!(!conditions.is_empty(), "{file}");
        assert!(conditions[0].message.contains(&**file) || file.contains("booted"), "{file}: {conditions:?}");
    }
}

#[test]
fn later_versions_are_told_with_path_and_reason() {
    for file in ["run/cfs-host/staged.json", "sysroot/cfs/denied.json"] {
        let host = Host::healthy();
        host.write(file, br#"{"version":2,"images":[]}"#);
        let (_, message) = host.condition("RecordUnreadable");
        assert!(message.contains(file), "{message}");
    }
}

/// Runs as nobody in a process of its own; this one may be root, who sees all.
#[test]
fn what_only_root_may_see_is_no_fault_of_the_host() {
    let host = Host::healthy();
    host.write("sysroot/cfs/denied.json", include_bytes!("../../../tests/records/denied.json"));
    let close = |path: &str| fs::set_permissions(host.0.path().join(path), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(host.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    close("sysroot/cfs/denied.json");
    close("sysroot/cfs/deploy/00000000000000aa.2/origin.json");
    close("sysroot/composefs");
    let kinds = as_nobody(|| host.kinds());
    assert_eq!(kinds, ["RunAsRoot"]);
    let message = as_nobody(|| host.condition("RunAsRoot").1);
    assert!(message.contains("denied.json") && message.contains("aa.2/origin.json"), "{message}");
    close("sysroot/cfs/deploy");
    assert_eq!(as_nobody(|| host.kinds()), ["RunAsRoot"]);
    close("sysroot");
    close("run/cfs-host");
    assert_eq!(as_nobody(|| host.kinds()), ["RunAsRoot"]);
    for path in ["sysroot", "run/cfs-host", "sysroot/cfs/deploy", "sysroot/composefs"] {
        fs::set_permissions(host.0.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// What another user gets: the file system rights of one thread are its own.
fn as_nobody<T: Send>(look: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            look()
        });
        thread.join().unwrap()
    })
}

proptest! {
    #[test]
    fn any_bytes_in_any_file_are_answered(file in prop::sample::select(&FILES[..]), bytes: Vec<u8>) {
        let host = busy();
        host.write(file, &bytes);
        let status = host.see();
        let text = crate::ui::status::status(&status, true);
        prop_assert!(!text.is_empty() && !text.contains('\x1b'));
        crate::ui::json(&status).unwrap();
        prop_assert_eq!(&crate::ui::bootc::host(&status, false)["kind"], "BootcHost");
    }

    #[test]
    fn any_change_of_a_record_is_answered(file in prop::sample::select(&FILES[..8]), at: prop::sample::Index, byte: u8) {
        let host = busy();
        let path = host.0.path().join(file);
        if let Ok(mut bytes) = fs::read(&path) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            fs::write(&path, bytes).unwrap();
        }
        let status = host.see();
        prop_assert!(!crate::ui::status::status(&status, true).contains('\x1b'));
        crate::ui::json(&status).unwrap();
    }

    #[test]
    fn any_variables_are_answered(entries: Vec<u8>, one_shot: Vec<u8>, preferred: Vec<u8>) {
        let host = Host::healthy();
        for (name, bytes) in [("LoaderEntries", entries), ("LoaderEntryOneShot", one_shot), ("LoaderEntryDefault", preferred)] {
            host.variable(name, LOADER, &bytes);
        }
        prop_assert!(!host.text().contains('\x1b'));
    }
}

/// `cargo test --release --lib a_host_with_20_deployments -- --ignored --nocapture` prints the figure.
#[test]
#[ignore = "a figure, not a promise of every machine"]
fn a_host_with_20_deployments_answers_in_50_ms() {
    let host = busy();
    let mut entries = Vec::new();
    for number in 0..20 {
        let id = format!("{number:016x}.7");
        host.deployment(&id, "v9");
        entries.push(format!("cfs-{id}.{}", number + 10));
    }
    host.entries(&entries.iter().map(String::as_str).collect::<Vec<_>>());
    let begin = std::time::Instant::now();
    let text = host.text();
    let took = begin.elapsed();
    println!("status of a host with {} deployments: {took:?}", text.matches("\ndeployment ").count());
    assert!(took < std::time::Duration::from_millis(50), "{took:?}");
}
