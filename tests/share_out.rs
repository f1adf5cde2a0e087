//! Images of a store as a real podman sees them: run, built on, pushed, pulled around, and never taken; whatever step of publishing is
//! the last one. `CRASH_STRIDE=N` tries every N-th step, without it every 5th.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fixture::apps::{app, base, odd};
use fixture::podman::Podman;
use fixture::registry::Registry;
use fixture::shop::{Shop, APP, DERIVED};
use fixture::stores::{pattern, Lots};
use fixture::{cfsctl, run, Layer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Everything below a directory with what a write would change.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (u64, u32, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        found.insert(path.clone(), (meta.ino(), meta.mode(), meta.mtime(), meta.ctime_nsec()));
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

fn bytes_of(directory: &Path) -> u64 {
    run(Command::new("du").arg("-sk").arg(directory)).split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn podman_sees_an_image_as_if_it_had_pulled_it_and_pushes_the_same_bytes() {
    let shop = Shop::new();
    let reference = shop.show("app", &app());
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    let own = Podman::new(shop.lab.path("own"), &[], "");
    let id = own.take(&reference, APP);
    assert_eq!(shop.podman.tree(APP), own.tree(APP));
    assert_eq!(
        shop.podman.run(APP, &["sh", "-c", "busybox head -c 5 /usr/lib/large | busybox wc -c; busybox ls /usr/old"]),
        "5\nthree"
    );
    // Since podman 5.3: every layer has the content of its diff ID.
    if shop.podman.ok(&["system", "--help"]).contains(" check ") {
        shop.podman.ok(&["system", "check"]);
        println!("podman system check finds nothing");
    }
    let pushed = |podman: &Podman, to: &str| {
        podman.ok(&["push", "-q", APP, &format!("oci:{}:v1", shop.lab.text(to))]);
        let index: Value = serde_json::from_slice(&fs::read(shop.lab.path(to).join("index.json")).unwrap()).unwrap();
        index["manifests"][0]["digest"].clone()
    };
    assert_eq!(pushed(&shop.podman, "ours"), pushed(&own, "theirs"));
    own.ok(&["rmi", "-f", &id]);
    // Nothing of it is garbage to composefs-rs' collector either.
    shop.ok(&["prune"]);
    shop.lab.clean("store");
    assert!(cfsctl(&shop.lab.repository("store"), &["gc", "--dry-run"]).contains("Objects: 0 "));
}

/// What podman commits where metadata is copied up without the data: zeros. Here a layer is a mount of its own, whatever the options.
#[test]
fn a_change_of_mode_or_name_in_a_derived_build_keeps_the_content() {
    for options in ["", "[storage.options.overlay]\nmountopt = \"nodev,metacopy=on\""] {
        let mut shop = Shop::new();
        shop.podman = Podman::new(shop.lab.path("podman"), &[shop.directory()], options);
        shop.show("app", &app());
        let (other, _) = shop.build_changed();
        other.ok(&["rmi", "-f", DERIVED]);
        let own = bytes_of(&shop.podman.graph());
        println!("a build on an image of {} bytes took {own}", bytes_of(&shop.lab.repository("store")));
        shop.podman.ok(&["rmi", DERIVED]);
    }
}

#[test]
fn a_pull_of_a_derived_image_stores_its_new_layer_alone() {
    let shop = Shop::new();
    let registry = Registry::start(&shop.lab.path(""));
    let name = format!("{}/app:v1", registry.address);
    let derived = format!("{}/derived:v1", registry.address);
    for (name, layers) in
        [(&name, app()), (&derived, [app(), vec![Layer::new().file("etc/own", &pattern(900, 8)).finish()]].concat())]
    {
        let reference = shop.lab.image(&name.replace(['/', ':'], "-"), &layers);
        run(Command::new("skopeo").args([
            "copy",
            "-q",
            "--dest-tls-verify=false",
            &reference,
            &format!("docker://{name}"),
        ]));
    }
    shop.ok(&["image", "pull", "--quiet", "--insecure-transport", "--share", &name]);
    let asked = registry.requests().len();
    shop.podman.ok(&["pull", "-q", "--tls-verify=false", &derived]);
    let blobs =
        registry.requests()[asked..].iter().filter(|line| line.starts_with("GET") && line.contains("/blobs/")).count();
    assert_eq!(blobs, 2, "its configuration and one layer: {:?}", &registry.requests()[asked..]);
    let layers = fs::read_dir(shop.podman.graph().join("overlay")).unwrap();
    let layers = layers.filter(|entry| entry.as_ref().unwrap().file_name().len() == 64).count();
    assert_eq!(layers, 1);
    assert!(shop.podman.tree(&derived).iter().any(|line| line.starts_with("etc/own f ")));
    println!("a pull of a derived image took {} bytes", bytes_of(&shop.podman.graph().join("overlay")));
    // Its layers stay as long as podman needs them, whoever asks.
    let words = shop.refused(&["image", "unshare", &name]);
    assert!(words.contains(&format!("image {derived}")), "{words}");
    shop.podman.ok(&["rmi", &derived]);
    shop.ok(&["image", "unshare", &name]);
    assert_eq!(shop.podman.images(), Vec::<String>::new());
}

#[test]
fn podman_takes_nothing_from_the_store_and_prune_takes_nothing_from_podman() {
    let shop = Shop::new();
    let reference = shop.show("app", &app());
    let container = shop.podman.ok(&["create", APP, "true"]);
    assert!(shop.refused(&["image", "unshare", APP]).contains("container "));
    // The tag of the pull goes, the image stays.
    shop.ok(&["image", "rm", &reference]);
    shop.ok(&["prune"]);
    assert_eq!(shop.json(&["image", "list"])["images"][0]["published"], serde_json::json!([APP]));
    let before = snapshot(&shop.lab.path("store"));
    shop.podman.ok(&["start", "--help"]);
    shop.podman.ok(&["rm", &container]);
    assert!(!shop.podman.on(&["rmi", "--force", APP]).status.success());
    shop.podman.ok(&["system", "prune", "--all", "--force"]);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    shop.podman.ok(&["system", "reset", "--force"]);
    assert_eq!(snapshot(&shop.lab.path("store")), before);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    assert_eq!(shop.podman.tree(APP).len(), shop.podman.tree(APP).len());
    shop.ok(&["image", "unshare", APP]);
    assert_eq!(shop.podman.images(), Vec::<String>::new());
    assert!(shop.json(&["prune"])["objects"].as_u64().unwrap() > 5);
    assert_eq!(shop.json(&["fsck"])["objects"], 0);
    // Directories, lists and locks are there for ever, also where nothing can be written.
    run(Command::new("mount").args(["-o", "remount,ro"]).arg(shop.lab.path("memory")));
    assert_eq!(shop.podman.images(), Vec::<String>::new());
    run(Command::new("mount").args(["-o", "remount,rw"]).arg(shop.lab.path("memory")));
}

#[test]
fn what_podman_has_itself_is_never_shadowed() {
    let shop = Shop::new();
    let reference = shop.lab.image("app", &app());
    let other = shop.lab.image("other", &[base()]);
    // The same name for another image.
    let id = shop.podman.take(&other, APP);
    shop.ok(&["image", "pull", "--quiet", "--share", &reference]);
    let shared = shop.json(&["image", "shared"]);
    let image = &shared["images"][0];
    assert_eq!(image["hiddenNames"], serde_json::json!([APP]));
    assert!(image["names"][0].as_str().unwrap().starts_with("localhost/cfs-host:"), "{image}");
    assert_eq!(shop.podman.ok(&["image", "inspect", "--format={{.Id}}", APP]), id);
    // It goes, and ours has the name.
    shop.podman.ok(&["rmi", "-f", &id]);
    shop.ok(&["image", "share"]);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    // The same image: podman's own is the one, and costs no layer.
    let own = shop.podman.take(&reference, "localhost/mine:v1");
    shop.ok(&["image", "share"]);
    let shared = shop.json(&["image", "shared"]);
    assert_eq!(
        (&shared["images"][0]["listed"], &shared["images"][0]["inPlace"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    assert!(shop.podman.images().iter().all(|name| name.ends_with("false")), "{:?}", shop.podman.images());
    shop.podman.tree("localhost/mine:v1");
    shop.podman.ok(&["rmi", "-f", &own]);
    shop.ok(&["image", "share"]);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
}

#[test]
fn a_directory_that_outlives_the_mounts_or_shows_another_store_is_refused() {
    let shop = Shop::new();
    let reference = shop.show("app", &[base()]);
    let disk = shop.lab.text("disk");
    let run_any = |store: &str, to: &str| {
        let mut command = shop.lab.command(store, &["image", "share", &reference, "--to", to]);
        let output = command.env("CONTAINERS_STORAGE_CONF", shop.podman.conf()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let layer = |directory: &Path| {
        fs::read_dir(directory.join("overlay"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| !path.ends_with("l"))
            .unwrap()
            .join("diff")
    };
    let (code, words) = run_any("store", &disk);
    assert!(code == 3 && words.contains("restart"), "{words}");
    shop.lab.ok("second", &["image", "pull", &reference]);
    let (code, words) = run_any("second", &shop.directory().display().to_string());
    assert!(code == 3 && words.contains("another directory"), "{words}");
    // The first store is gone, and with it what its mounts show.
    fs::rename(shop.lab.path("store"), shop.lab.path("store-lost")).unwrap();
    let (code, words) = run_any("second", &shop.directory().display().to_string());
    assert!(code == 0, "{words}");
    let source = run(Command::new("findmnt").args(["-n", "-o", "OPTIONS"]).arg(layer(&shop.directory())));
    assert!(source.contains("/second/composefs/objects"), "{source}");
    fs::rename(shop.lab.path("store-lost"), shop.lab.path("store")).unwrap();
    shop.lab.ok("second", &["image", "list"]);
    fs::remove_dir_all(shop.lab.path("second")).unwrap();
    // By a digest: the name is that of the reference.
    shop.ok(&["image", "share", &reference]);
    let digest = shop.json(&["image", "shared"])["images"][0]["manifestDigest"].as_str().unwrap().to_owned();
    assert!(shop.ok(&["image", "share", &digest[..20]]).ends_with(APP));
    assert_eq!(
        shop.ok(&["image", "share", &digest, "--name", "other"]).split(' ').next_back(),
        Some("localhost/other:latest")
    );
    assert_eq!(shop.podman.images(), [format!("{APP} true"), "localhost/other:latest true".to_owned()]);
    shop.ok(&["image", "unshare", "other"]);
    let words = shop.refused(&["image", "share", &reference, "--name", "Not/A Name"]);
    assert!(words.contains("name"), "{words}");
}

#[test]
fn whatever_step_is_the_last_one_podman_works_and_sees_a_whole_image_or_none() {
    Shop::new().survives_every_step();
}

#[test]
fn an_image_whose_name_moved_on_stays_while_podman_builds_on_it() {
    let shop = Shop::new();
    shop.show("app", &app());
    shop.podman.build("derived", &format!("FROM {APP}\nRUN busybox touch /etc/derived\n"));
    let before = shop.podman.tree("localhost/derived:latest");
    // The next version, under the same name.
    fs::remove_dir_all(shop.lab.path("app")).unwrap();
    shop.show("app", &[Layer::new().dir("usr").file("usr/next", &pattern(900, 8)).finish()]);
    assert!(shop.podman.tree(APP).iter().any(|line| line.starts_with("usr/next f ")));
    shop.ok(&["prune"]);
    assert_eq!(shop.podman.tree("localhost/derived:latest"), before);
    let because = |image: &Value| image["because"][0].clone();
    let images = |shop: &Shop| shop.json(&["image", "shared"])["images"].as_array().unwrap().clone();
    let mut why: Vec<String> = images(&shop).iter().map(|image| because(image).to_string()).collect();
    why.sort();
    assert_eq!(why, ["\"asked\"", "\"needed\""]);
    shop.podman.ok(&["rmi", "derived"]);
    shop.ok(&["image", "share"]);
    assert_eq!(images(&shop).len(), 1);
}

/// One random act of either side.
fn act(shop: &Shop, lots: &mut Lots, number: usize) {
    let name = format!("app-{}", lots.below(3));
    let full = format!("localhost/{name}:v1");
    let reference = format!("oci:{}:v1", shop.lab.text(&name));
    match lots.below(8) {
        0 | 1 => {
            let _ = fs::remove_dir_all(shop.lab.path(&name));
            let own = Layer::new().file("etc/own", &pattern(900 + number, number)).finish();
            shop.show(&name, &[base(), own]);
        }
        2 => {
            let _ = fs::remove_dir_all(shop.lab.path(&name));
            shop.lab
                .image(&name, &[base(), odd(), Layer::new().file("etc/own", &pattern(700 + number, number)).finish()]);
            let mut pull = shop.command(&["image", "pull", "--quiet", "--share", &reference]);
            let _ = pull.env("CFS_HOST_FAULT", format!("stop:{}", 1 + lots.below(90))).output().unwrap();
        }
        // Refused where podman builds on it, or nobody published it.
        3 => drop(shop.on(&["image", "unshare", &full])),
        4 => drop(shop.on(&["image", "rm", &reference])),
        5 if shop.podman.images().contains(&format!("{full} true")) => {
            let text = format!("FROM {full}\nRUN busybox chmod 600 /usr/lib/large && busybox touch /etc/{number}\n");
            shop.podman.build(&format!("built-{}", lots.below(3)), &text);
        }
        6 => drop(shop.podman.on(&["rmi", &format!("localhost/built-{}:latest", lots.below(3))])),
        _ => drop(shop.ok(&["prune"])),
    }
}

#[test]
fn whatever_either_side_does_each_reads_all_that_it_has() {
    let shop = Shop::new();
    let mut lots = Lots(std::env::var("SEED").map_or(7, |text| text.parse().unwrap()));
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut held = 0;
    for number in 0..40 {
        act(&shop, &mut lots, number);
        shop.ok(&["prune"]);
        assert_eq!(shop.json(&["fsck"])["findings"], serde_json::json!([]), "act {number}");
        for line in shop.podman.ok(&["images", "--all", "--no-trunc", "--quiet"]).lines() {
            let tree = shop.podman.tree(line.trim_start_matches("sha256:"));
            assert!(tree.len() > 20, "act {number}: {tree:?}");
            let before = known.entry(line.to_owned()).or_insert_with(|| tree.clone());
            assert_eq!(before, &tree, "act {number}: {line}");
            held += 1;
        }
    }
    println!("sharing cases: {held} held: {held}");
}

#[test]
fn a_user_is_told_that_only_root_can() {
    let shop = Shop::new();
    let program = shop.lab.text("cfs-host");
    fs::copy(env!("CARGO_BIN_EXE_cfs-host"), &program).unwrap();
    run(Command::new("chmod").args(["755", &shop.lab.text(""), &program]));
    for verb in [&["share", "x"][..], &["unshare", "x"], &["shared"]] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", &program, "image"]).args(verb);
        let output = command.args(["--sysroot", &shop.lab.text("store")]).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && words.contains("only root can"), "{words}");
    }
}

#[test]
fn a_broken_image_is_told_and_hides_no_other() {
    let shop = Shop::new();
    shop.show("app", &app());
    let layer = Layer::new().dir("usr").file("usr/other", &pattern(900, 8)).finish();
    let list = shop.directory().join(format!("overlay-layers/{}.tar-split.gz", hex::encode(Sha256::digest(&layer))));
    shop.show("other", &[layer]);
    fs::remove_file(fs::canonicalize(list).unwrap()).unwrap();
    shop.ok(&["image", "share"]);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    let broken = shop.json(&["image", "shared"])["broken"].as_object().unwrap().clone();
    assert_eq!(broken.len(), 1, "{broken:?}");
}

#[test]
fn an_image_that_was_damaged_while_the_machine_was_off_is_told_and_hides_no_other() {
    let shop = Shop::new();
    shop.show("app", &app());
    let layer = Layer::new().dir("usr").file("usr/other", &pattern(900, 8)).finish();
    let diff = shop.directory().join(format!("overlay/{}/diff", hex::encode(Sha256::digest(&layer))));
    let reference = shop.show("other", &[layer, base()]);
    shop.podman.build("on-other", "FROM localhost/other:v1\nRUN busybox touch /etc/derived\n");
    let on_other = shop.podman.tree("localhost/on-other:latest");
    shop.podman.build("derived", &format!("FROM {APP}\nRUN busybox touch /etc/derived\n"));
    let before = shop.podman.tree("localhost/derived:latest");
    let source = run(Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(diff));
    let digest = source.trim().rsplit(':').next().unwrap();
    // The restart: nothing that was in memory is left.
    shop.forget();
    let image = shop.lab.repository("store").join("objects").join(&digest[..2]).join(&digest[2..]);
    let mut bytes = fs::read(&image).unwrap();
    bytes[2000] ^= 1;
    fs::write(&image, &bytes).unwrap();
    let told = shop.json(&["image", "share"])["broken"].to_string();
    assert!(told.contains("damaged"), "{told}");
    let seen = shop.podman.images();
    assert!(seen.contains(&format!("{APP} true")) && !seen.contains(&"localhost/other:v1 true".to_owned()), "{seen:?}");
    assert_eq!(shop.podman.tree("localhost/derived:latest"), before);
    // What podman built on it fails alone, and is whole with it again.
    assert!(!shop.podman.on(&["create", "localhost/on-other:latest", "sh"]).status.success());
    let said = shop.refused(&["image", "share", &reference]);
    assert!(said.contains("localhost/other:v1 is not shown to podman") && said.contains("damaged"), "{said}");
    bytes[2000] ^= 1;
    fs::write(&image, &bytes).unwrap();
    shop.ok(&["image", "share"]);
    assert_eq!(shop.podman.tree("localhost/on-other:latest"), on_other);
}

#[test]
fn a_podman_that_runs_for_long_sees_what_comes_and_goes() {
    let shop = Shop::new();
    let address = format!("unix://{}", shop.lab.text("podman/service"));
    let mut service = shop.podman.command(&["system", "service", "--time=0", &address]).spawn().unwrap();
    let sees = || {
        let mut tries = 0;
        loop {
            let output = shop.podman.on(&["--url", &address, "images", "--format={{.Repository}}:{{.Tag}}"]);
            tries += 1;
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
            assert!(tries < 50, "{}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let first = sees();
    let reference = shop.show("app", &app());
    let second = sees();
    shop.ok(&["image", "unshare", &reference]);
    let third = sees();
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!([&*first, &*second, &*third], ["", APP, ""]);
}

#[test]
fn podman_is_as_quick_with_twenty_images_as_with_its_own() {
    let shop = Shop::new();
    let all: Vec<Vec<Vec<u8>>> =
        (0..20).map(|n| vec![base(), Layer::new().file("etc/own", &pattern(900 + n, n)).finish()]).collect();
    let took = |podman: &Podman| {
        let once = |_| {
            let begin = Instant::now();
            podman.ok(&["images", "-q"]);
            begin.elapsed()
        };
        (0..7).map(once).min().unwrap_or(Duration::MAX)
    };
    let empty = took(&shop.podman);
    let begin = Instant::now();
    for (number, layers) in all.iter().enumerate() {
        shop.show(&format!("app-{number}"), layers);
    }
    let published = begin.elapsed();
    assert_eq!(shop.podman.images().len(), 20);
    let ours = took(&shop.podman);
    let begin = Instant::now();
    shop.ok(&["image", "share"]);
    let again = begin.elapsed();
    println!(
        "podman images: {empty:?} without images, {ours:?} with 20 published; pulled and published in {published:?}, looked at again in {again:?}"
    );
    assert!(ours < empty * 5 + Duration::from_millis(500));
}
