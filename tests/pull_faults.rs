//! A pull that is stopped, that runs beside others, or that has no room: the store stays clean by our check and by composefs-rs', what was
//! complete stays, and the next pull finishes. `CRASH_STRIDE=N` tries every N-th step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use fixture::stores::{host, pattern, Lab, Mounted};
use fixture::{cfsctl, Layer};

const ABORTED: i32 = 6;

/// Nothing but what composefs knows lies in the store.
fn no_leftovers(lab: &Lab, store: &str) {
    assert_eq!(lab.json(store, &["fsck"])["temporary"], 0);
    lab.clean(store);
}

#[test]
fn whatever_step_of_a_pull_is_the_last_one_the_store_is_clean_and_the_next_pull_finishes() {
    let lab = Lab::new();
    // In memory: what is tried is an order of steps.
    let _memory = Mounted::tmpfs(&lab, "memory", "512m");
    let one = lab.image("one", &host());
    let second = [&host()[..], &[Layer::new().file("usr/lib/own", &pattern(2_000_000, 9)).finish()]].concat();
    let two = lab.image("two", &second);
    lab.ok("memory/before", &["image", "pull", &one]);
    let stride = std::env::var("CRASH_STRIDE").map_or(1, |text| text.parse().unwrap());
    let mut held = 0;
    // Into nothing, and over an older image.
    for (reference, before) in [(&one, None), (&two, Some("memory/before"))] {
        let copy = |store: &str| {
            let _ = fs::remove_dir_all(lab.path(store));
            if let Some(before) = before {
                fixture::run(std::process::Command::new("cp").args(["-a", &lab.text(before), &lab.text(store)]));
            }
        };
        for step in (1..).step_by(stride) {
            copy("memory/store");
            let mut command = lab.command("memory/store", &["image", "pull", reference, "--quiet"]);
            let output = command.env("CFS_HOST_FAULT", format!("stop:{step}")).output().unwrap();
            if output.status.success() {
                assert!(held > 20);
                break;
            }
            assert_eq!(output.status.signal(), Some(ABORTED), "step {step}");
            if lab.repository("memory/store").join("meta.json").exists() {
                lab.clean("memory/store");
            }
            lab.ok("memory/store", &["image", "pull", reference]);
            no_leftovers(&lab, "memory/store");
            // No space, and the program lives on.
            copy("memory/full");
            let mut command = lab.command("memory/full", &["image", "pull", reference]);
            let output = command.env("CFS_HOST_FAULT", format!("errno:28:{step}")).output().unwrap();
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || output.status.code() == Some(3), "step {step}: {words}");
            if lab.repository("memory/full").join("meta.json").exists() {
                no_leftovers(&lab, "memory/full");
            }
            lab.ok("memory/full", &["image", "pull", reference]);
            lab.clean("memory/full");
            held += 2;
        }
    }
    println!("crash points: {held} held: {held}");
}

#[test]
fn two_pulls_at_once_both_succeed_also_into_a_store_that_neither_found() {
    let lab = Lab::new();
    let one = lab.image("one", &host());
    let second = [&host()[..], &[Layer::new().file("usr/lib/own", &pattern(300_000, 9)).finish()]].concat();
    let two = lab.image("two", &second);
    for round in 0..12 {
        let store = format!("store-{round}");
        fs::create_dir(lab.path(&store)).unwrap();
        let start = |reference: &str| {
            let mut command = lab.command(&store, &["image", "pull", reference, "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let references = [&one, &one, &two];
        let running: Vec<_> = references.iter().map(|reference| start(reference)).collect();
        let digests: Vec<String> = running
            .into_iter()
            .map(|child| {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
                let pulled: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                pulled["bootableDigest"].as_str().unwrap().to_owned()
            })
            .collect();
        assert!(digests[0] == digests[1] && digests[0] != digests[2]);
        no_leftovers(&lab, &store);
        assert_eq!(lab.json(&store, &["image", "list"])["images"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_prune_beside_a_pull_takes_nothing_that_the_pull_needs() {
    let lab = Lab::new();
    let reference = lab.image("one", &host());
    let (mut refused, mut pruned) = (0, 0);
    for _ in 0..15 {
        lab.ok("store", &["image", "pull", &reference]);
        lab.ok("store", &["image", "rm", &reference]);
        // All of it is garbage now, and known to the pull.
        let mut pull = lab.command("store", &["image", "pull", &reference, "--quiet"]);
        let pull = pull.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let prune = lab.on("store", &["prune", "--json"]);
        let words = String::from_utf8_lossy(&prune.stderr).into_owned();
        assert!(prune.status.success(), "{words}");
        let told: serde_json::Value = serde_json::from_slice(&prune.stdout).unwrap();
        match told["leftAlone"][0].as_str() {
            Some(why) => {
                assert!(why.contains("used by another program"), "{why}");
                refused += 1;
            }
            None => pruned += 1,
        }
        let output = pull.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lab.clean("store");
        assert_eq!(lab.json("store", &["image", "list"])["images"][0]["problem"], serde_json::Value::Null);
    }
    println!("prune went first {pruned} times and was refused {refused} times");
}

#[test]
fn a_full_file_system_is_told_with_what_is_needed_and_keeps_whole_objects_alone() {
    let lab = Lab::new();
    let mut state = 7u64;
    let mut noise = |size: usize| -> Vec<u8> {
        let next = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..size).map(next).collect()
    };
    let small = Layer::new().file("usr/lib/first", &noise(1_000_000)).finish();
    let large = (0..9).fold(Layer::new(), |layer, n| layer.file(&format!("usr/lib/f{n}"), &noise(900_000)));
    let large = large.file("usr/lib/large", &noise(3_000_000)).finish();
    let reference = lab.image("image", &[&host()[..], &[small, large]].concat());
    let full = Mounted::tmpfs(&lab, "full", "6m");
    let (code, words) = lab.refused("full/root", &["image", "pull", &reference]);
    assert_eq!(code, 3, "{words}");
    let first = words.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(first.contains("is full") && first.contains("bytes") && first.contains("are free"), "{words}");
    let needed: u64 = first.split(" needs about ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((11_000_000..40_000_000).contains(&needed), "{needed}: the large layer is what is missing");
    no_leftovers(&lab, "full/root");
    // More room: what was there is not read again.
    fixture::run(std::process::Command::new("mount").args(["-o", "remount,size=64m"]).arg(&full.0));
    let pulled = lab.json("full/root", &["image", "pull", &reference]);
    let fetched = pulled["bytesFetched"].as_u64().unwrap();
    assert!((10_900_000..11_900_000).contains(&fetched), "{fetched}");
    assert!(pulled["objectsNew"].as_u64().unwrap() < 14, "{pulled}");
    no_leftovers(&lab, "full/root");
    assert!(cfsctl(&lab.repository("full/root"), &["oci", "images"]).contains("image"));
}
