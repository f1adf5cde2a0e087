//! `docs/coming-from-bootc.md` is a closed table, and the program does what each row says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use cfs_host::cli::{elsewhere, Cli};
use clap::CommandFactory;
use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A row: its section, what bootc has, the word, the rest.
struct Row {
    section: String,
    theirs: String,
    word: String,
    how: String,
}

fn rows() -> Vec<Row> {
    let page = read("docs/coming-from-bootc.md");
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        } else if line.starts_with("| ") && !line.starts_with("| bootc |") && !line.starts_with("| ---") {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [theirs, word, how] = cells[..] else { panic!("not three cells: {line}") };
            rows.push(Row { section: section.clone(), theirs: theirs.into(), word: word.into(), how: how.into() });
        }
    }
    rows
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn parse(line: &str) -> Result<(), clap::Error> {
    let words = std::iter::once("cfs-host").chain(line.split_whitespace().skip(1));
    Cli::command().try_get_matches_from(words).map(drop)
}

/// What `docs/coming-from-bootc.md` must speak of: bootc's words, files, fields and units.
const ALL: &str = "upgrade update --check --apply --download-only --from-downloaded --soft-reboot --tag --quiet --progress-fd \
    switch --transport registry oci oci-archive containers-storage docker-daemon --retain --enforce-container-sigpolicy \
    rollback status --format humanreadable yaml json --json --format-version --booted -v usr-overlay usroverlay --read-only \
    edit to-disk to-filesystem to-existing-root reset finalize ensure-completion print-configuration \
    --target-imgref --target-transport --source-imgref --karg --karg-delete --root-ssh-authorized-keys --generic-image \
    --bound-images --stateroot --bootloader --block-setup --filesystem --wipe --via-loopback --root-mount-spec \
    --boot-mount-spec --replace --acknowledge-destructive --skip-finalize --composefs-backend --allow-missing-verity \
    --uki-addon --skip-fetch-check --disable-selinux lint inspect ukify split-kernel-and-rootfs compute-composefs-digest \
    compute-composefs-digest-from-storage image list copy-to-storage set-unified cmd loader-entries config-diff completion \
    fsck cleanup composefs-gc fsverity print-json-schema uki \
    spec.image.image spec.image.transport spec.image.signature spec.bootOrder status.staged status.booted status.rollback \
    status.otherDeployments status.rollbackQueued status.type status.usrOverlay status.readOnly cachedUpdate incompatible \
    pinned softRebootCapable downloadOnly store ostree verity bootType bootloader bootDigest missingVerityAllowed version \
    timestamp imageDigest architecture Start ProgressBytes ProgressSteps \
    kargs.d install bound-images.d storage setup-root-conf.toml prepare-root.conf auth.json registries.conf.d policy.json \
    registries.d certs.d reboot-required ostree-booted nextroot bootc-destructive-cleanup RUST_LOG \
    BOOTC_EXP_EXTERNAL_CONTAINER_TOOL containers.bootc vmlinuz initramfs.img bootc-fetch-apply-updates.service \
    bootc-fetch-apply-updates.timer bootc-finalize-staged.service bootc-root-setup.service bootc-status-updated.path \
    bootc-status-updated.target 26f3b1eb24464d12aa5e7b544a6b5468";

#[test]
fn every_row_has_one_of_three_words_and_nothing_is_left_out() {
    let rows = rows();
    assert!(rows.len() > 100, "only {} rows", rows.len());
    for row in &rows {
        assert!(["same", "other", "refused"].contains(&row.word.as_str()), "{}: {}", row.theirs, row.word);
        assert!(row.word == "same" || !row.how.is_empty(), "{} does not say how or why", row.theirs);
    }
    let theirs: String = rows.iter().map(|row| format!(" {} ", row.theirs)).collect();
    let words: Vec<&str> = theirs.split(|c: char| c.is_whitespace() || "`,:=/".contains(c)).collect();
    for name in ALL.split_whitespace() {
        let there = words.iter().any(|word| *word == name || word.ends_with(&format!(".{name}")));
        assert!(there, "no row speaks of {name}");
    }
}

#[test]
fn the_program_takes_what_is_the_same_and_refuses_what_is_refused_with_the_pages_words() {
    let mut counts = [0; 3];
    for row in rows() {
        let lines: Vec<String> = match row.section.as_str() {
            "Verbs" => quoted(&row.theirs).map(str::to_owned).collect(),
            "Flags of `install to-disk`" => {
                let flags = quoted(&row.theirs);
                flags.map(|flag| format!("bootc install to-disk --image oci:DIR disk.img {flag}")).collect()
            }
            _ => continue,
        };
        assert!(!lines.is_empty(), "{}", row.theirs);
        for line in lines {
            match row.word.as_str() {
                "same" => {
                    parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                    counts[0] += 1;
                }
                "refused" => {
                    let error = parse(&line).expect_err(&line);
                    assert_eq!(error.exit_code(), 2, "{line}");
                    assert_eq!(elsewhere::hint(&error), Some(row.how.as_str()), "{line}: {error}");
                    counts[1] += 1;
                }
                _ => {
                    let ours: Vec<&str> = quoted(&row.how).filter(|text| text.starts_with("cfs-host ")).collect();
                    assert!(!ours.is_empty(), "{line} does not say which command it is");
                    counts[2] += 1;
                }
            }
        }
    }
    assert!(counts.iter().all(|count| *count >= 5), "{counts:?}");
}

#[test]
fn commands_that_the_page_names_exist() {
    for row in rows() {
        for line in quoted(&row.how).filter(|text| text.starts_with("cfs-host ")) {
            use clap::error::ErrorKind::{InvalidSubcommand, InvalidValue, UnknownArgument};
            let error = parse(line).err();
            let wrong =
                error.filter(|error| matches!(error.kind(), InvalidSubcommand | UnknownArgument | InvalidValue));
            assert!(wrong.is_none(), "{}: {line}: {}", row.theirs, wrong.unwrap());
        }
    }
}

#[test]
fn fields_that_are_there_are_in_the_document_and_others_are_not() {
    let document: Value = serde_json::from_str(&read("src/flow/status/busy-bootc.json")).unwrap();
    let mut seen = 0;
    for row in rows().iter().filter(|row| row.section == "Fields of `status --json`") {
        for field in quoted(&row.theirs) {
            let found = document.pointer(&format!("/{}", field.replace('.', "/")));
            assert_eq!(found.is_some(), row.word != "refused", "{field}");
            if row.how.starts_with("Always null") {
                assert_eq!(found, Some(&Value::Null), "{field}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Runs the program under this name on a host in a directory.
fn run(name: &str, root: &Path, arguments: &[&str]) -> Output {
    let root = root.to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
    command.arg0(name).args(arguments).args(["--root", root]).output().unwrap()
}

/// A host that booted, as far as the files tell that programs look at.
fn host() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let image = "0123456789abcdef".repeat(4);
    let deployment = dir.path().join("sysroot/cfs/deploy/0123456789abcdef.0");
    fs::create_dir_all(&deployment).unwrap();
    fs::create_dir_all(dir.path().join("run/cfs-host")).unwrap();
    let booted =
        serde_json::json!({"version": 1, "mode": "enforce", "deployment": "0123456789abcdef.0", "image": image});
    fs::write(dir.path().join("run/cfs-host/booted.json"), booted.to_string()).unwrap();
    let origin = serde_json::json!({"version": 1, "reference": "docker://example.org/host:v1", "manifestDigest": "sha256:aa",
        "configDigest": "sha256:bb", "image": image, "uki": image, "ukiPath": "usr/lib/modules/6.12/cfs-host.efi",
        "deployedAt": "2026-01-01T00:00:00Z", "deployedBy": "cfs-host 0.1.0"});
    fs::write(deployment.join("origin.json"), origin.to_string()).unwrap();
    dir
}

/// What greenboot takes a host for, by the field that each of its releases reads of `bootc status --booted --json`.
fn greenboot(output: &Output) -> [Option<&'static str>; 3] {
    if !output.status.success() {
        return [None; 3];
    }
    let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else { return [None; 3] };
    let booted = document.get("status").and_then(|status| status.get("booted"));
    let by_kind = (document.get("kind").and_then(Value::as_str) == Some("BootcHost")).then_some("bootc");
    let incompatible = booted.and_then(|booted| booted.get("incompatible")).and_then(Value::as_bool);
    let by_incompatible = incompatible.map(|incompatible| if incompatible { "rpm-ostree" } else { "bootc" });
    let image = booted.and_then(|booted| booted.get("image")).filter(|image| !image.is_null());
    [by_kind, by_incompatible, Some(if image.is_some() { "bootc" } else { "rpm-ostree" })]
}

#[test]
fn every_release_of_greenboot_takes_the_host_for_one_of_bootc() {
    let host = host();
    let output = run("bootc", host.path(), &["status", "--booted", "--json"]);
    assert_eq!(greenboot(&output), [Some("bootc"); 3], "{output:?}");
    // The control: under our own name the document is ours.
    let output = run("cfs-host", host.path(), &["status", "--booted", "--json"]);
    assert_ne!(greenboot(&output)[0], Some("bootc"));
}

#[test]
fn programs_get_the_document_without_asking_for_a_format() {
    let host = host();
    let documents = [
        run("/usr/bin/bootc", host.path(), &["status"]),
        run("bootc", host.path(), &["status", "--format=yaml"]),
        run("cfs-host", host.path(), &["status", "--format", "bootc"]),
    ];
    for output in documents {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["spec"]["image"]["image"], "example.org/host:v1");
        assert_eq!(document["status"]["type"], "bootcHost");
    }
    let empty = tempfile::tempdir().unwrap();
    let document: Value = serde_json::from_slice(&run("bootc", empty.path(), &["status"]).stdout).unwrap();
    assert_eq!((&document["spec"]["image"], &document["status"]["type"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_word_of_bootc_that_is_not_there_is_refused_with_a_hint() {
    for (arguments, hint) in [
        (&["usr-overlay"][..], "systemd-sysext"),
        (&["upgrade", "--soft-reboot=auto"], "use --apply"),
        (&["switch", "--transport", "docker-daemon", "x"], "skopeo copy"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_cfs-host")).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.starts_with("  do: ") && line.contains(hint)), "{text}");
    }
}
