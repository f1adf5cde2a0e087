//! Images of a store as the real podman of a user without root sees them: owners as in the image, built on, pushed; nobody else's,
//! and nothing of the user's touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use cfs_host::flow::share::{DIRECTORY, USERS};
use fixture::apps::{app, base};
use fixture::guest::Guest;
use fixture::podman::Podman;
use fixture::run;
use fixture::shop::{Shop, APP, DERIVED};
use fixture::stores::{pattern, unmount_layers};
use fixture::Layer;
use serde_json::Value;

/// A shop of a user, in the process where there is one.
macro_rules! shop_of {
    ($test:literal) => {
        match Guest::of_test($test) {
            Some(guest) => Shop::of(guest),
            None => return,
        }
    };
}

fn settings(shop: &Shop) -> PathBuf {
    shop.guest.as_ref().unwrap().home.join(".config/containers/storage.conf")
}

/// Puts a file of the user's where podman looks for settings.
fn give_settings(shop: &Shop, text: &str) {
    let (guest, path) = (shop.guest.as_ref().unwrap(), settings(shop));
    run(guest.command("mkdir").arg("-p").arg(path.parent().unwrap()));
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    guest.own(&path);
}

#[test]
fn a_user_sees_an_image_with_its_owners_and_pushes_the_same_bytes() {
    let shop = shop_of!("a_user_sees_an_image_with_its_owners_and_pushes_the_same_bytes");
    let reference = shop.show("app", &app());
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    // What root's podman unpacks itself.
    let own = Podman::new(shop.lab.path("own"), &[], "");
    own.take(&reference, APP);
    let tree = own.tree(APP);
    assert_eq!(shop.podman.tree(APP), tree);
    assert!(tree.iter().any(|line| line.starts_with("usr/bin/other f 4755 33:")), "{tree:?}");
    let seen =
        shop.podman.run(APP, &["sh", "-c", "busybox stat -c %u:%g /bin/busybox /usr/bin/other; busybox ls /usr/old"]);
    assert_eq!(seen, "0:0\n33:0\nthree");
    let pushed = |podman: &Podman, to: &Path| {
        podman.ok(&["push", "-q", APP, &format!("oci:{}:v1", to.display())]);
        let index: Value = serde_json::from_slice(&fs::read(to.join("index.json")).unwrap()).unwrap();
        index["manifests"][0]["digest"].clone()
    };
    let home = &shop.guest.as_ref().unwrap().home;
    assert_eq!(pushed(&shop.podman, &home.join("ours")), pushed(&own, &shop.lab.path("theirs")));
}

#[test]
fn what_a_user_builds_on_an_image_is_right_and_stays() {
    let shop = shop_of!("what_a_user_builds_on_an_image_is_right_and_stays");
    let reference = shop.show("app", &app());
    let (_, tree) = shop.build_changed();
    // The user builds on it: it stays, whatever root does.
    let words = shop.refused(&["image", "unshare", APP]);
    assert!(words.contains(&format!("image {DERIVED}")), "{words}");
    shop.ok(&["image", "rm", &reference]);
    shop.ok(&["prune"]);
    assert_eq!(shop.podman.tree(DERIVED), tree);
    // Under the same name the next version.
    fs::remove_dir_all(shop.lab.path("app")).unwrap();
    shop.show("app", &[Layer::new().dir("usr").file("usr/next", &pattern(900, 8)).finish()]);
    shop.ok(&["prune"]);
    assert_eq!(shop.podman.tree(DERIVED), tree);
    // As after a restart before the home is there: nothing that may be needed goes.
    let (graph, aside) = (shop.podman.graph(), shop.podman.graph().with_file_name("aside"));
    fs::rename(&graph, &aside).unwrap();
    shop.ok(&["image", "share"]);
    shop.ok(&["prune"]);
    fs::rename(&aside, &graph).unwrap();
    assert_eq!(shop.podman.tree(DERIVED), tree);
    shop.podman.ok(&["rmi", DERIVED]);
    shop.ok(&["image", "share"]);
    shop.ok(&["image", "unshare", APP]);
    assert_eq!(shop.podman.images(), Vec::<String>::new());
    shop.ok(&["image", "rm", &reference]);
    assert!(shop.json(&["prune"])["objects"].as_u64().unwrap() > 5);
    assert_eq!(shop.json(&["fsck"])["objects"], 0);
}

#[test]
fn nobody_else_comes_to_a_users_images_and_the_user_changes_none() {
    let shop = shop_of!("nobody_else_comes_to_a_users_images_and_the_user_changes_none");
    shop.show("app", &app());
    let guest = shop.guest.as_ref().unwrap();
    let own = shop.directory().parent().unwrap().to_owned();
    assert!(guest.command("ls").arg(&own).status().unwrap().success());
    let other = Guest { uid: guest.uid + 1, ..guest.clone() };
    assert!(!other.command("ls").arg(&own).output().unwrap().status.success());
    for script in ["rm -rf containers", "touch x", "mv storage.conf y", "chmod 777 .", "touch containers/overlay/x"] {
        let output = guest.command("sh").args(["-c", script]).current_dir(&own).output().unwrap();
        assert!(!output.status.success(), "{script}");
    }
    // What podman itself would take away.
    assert!(!shop.podman.on(&["rmi", "--force", APP]).status.success());
    shop.podman.ok(&["system", "prune", "--all", "--force"]);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    assert_eq!(shop.json(&["fsck"])["findings"], serde_json::json!([]));
    // Nor does root's podman see them.
    assert_eq!(
        shop.json(&["image", "list"])["images"][0]["published"],
        serde_json::json!([format!("{APP} (cfs-guest)")])
    );
    let mounted = run(Command::new("findmnt").args(["-rn", "-o", "TARGET,OPTIONS"]));
    let ours: Vec<&str> =
        mounted.lines().filter(|line| line.starts_with(&shop.directory().display().to_string())).collect();
    assert_eq!(ours.len(), 4, "{mounted}");
    assert!(ours.iter().all(|line| line.contains("nosuid,nodev") && line.contains("ro,")), "{ours:?}");
}

#[test]
fn a_file_of_the_users_is_never_changed() {
    let shop = shop_of!("a_file_of_the_users_is_never_changed");
    // None: a link, made as the user, once.
    let reference = shop.show("app", &[base()]);
    let config = shop.directory().with_file_name("storage.conf");
    assert_eq!(fs::read_link(settings(&shop)).unwrap(), config);
    assert_eq!(shop.json(&["image", "shared"])["configured"], true);
    fs::remove_file(settings(&shop)).unwrap();
    shop.ok(&["image", "share"]);
    assert!(!settings(&shop).exists(), "who took it away is not given it again");
    // One without our line: left as it is, and the line is told.
    let text = "[storage]\ndriver = \"overlay\"\n";
    give_settings(&shop, text);
    let output = shop.on(&["image", "share", &reference]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = format!("additionalimagestores = [\"{}\"]", shop.directory().display());
    assert!(output.status.success() && words.contains(&line), "{words}");
    assert_eq!(fs::read_to_string(settings(&shop)).unwrap(), text);
    assert_eq!(shop.podman.images(), Vec::<String>::new());
    give_settings(&shop, &format!("{text}[storage.options]\n{line}\n"));
    assert_eq!(shop.json(&["image", "shared"])["configured"], true);
    assert_eq!(shop.podman.images(), [format!("{APP} true")]);
    // A link to where only root may read shows root nothing that the user could not see.
    fs::remove_file(settings(&shop)).unwrap();
    symlink("/etc/shadow", settings(&shop)).unwrap();
    let words = shop.refused(&["image", "shared"]);
    assert!(!words.contains("root:"), "{words}");
    // Nor does one that never ends hold root up for long.
    fs::remove_file(settings(&shop)).unwrap();
    run(Command::new("mkfifo").arg("-m666").arg(settings(&shop)));
    let words = shop.refused(&["image", "shared"]);
    fs::remove_file(settings(&shop)).unwrap();
    assert!(words.contains("took too long"), "{words}");
}

#[test]
fn where_a_users_podman_would_show_something_else_it_is_refused() {
    let shop = shop_of!("where_a_users_podman_would_show_something_else_it_is_refused");
    let reference = shop.lab.image("app", &app());
    shop.ok(&["image", "pull", "--quiet", &reference]);
    let refused = |word: &str| {
        let words = shop.refused(&["image", "share", &reference]);
        assert!(words.contains(word), "{words}");
        assert!(!shop.directory().exists(), "{word}");
    };
    give_settings(&shop, "[storage]\ndriver = \"vfs\"\n");
    refused("driver vfs");
    give_settings(
        &shop,
        "[storage]\ndriver = \"overlay\"\n[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n",
    );
    refused("fuse-overlayfs");
    fs::remove_file(settings(&shop)).unwrap();
    // By what the storage is, without settings.
    let guest = shop.guest.as_ref().unwrap();
    let graph = shop.podman.graph();
    run(guest.command("mkdir").arg("-p").arg(graph.join("vfs-layers")));
    refused("driver vfs");
    fs::remove_dir(graph.join("vfs-layers")).unwrap();
    run(guest.command("mkdir").arg(graph.join("overlay")));
    fs::write(graph.join("overlay/.has-mount-program"), "true").unwrap();
    guest.own(&graph.join("overlay/.has-mount-program"));
    refused("mount_program");
    fs::remove_file(graph.join("overlay/.has-mount-program")).unwrap();
    // Without subordinate ids.
    let ids = fs::read_to_string("/etc/subuid").unwrap();
    fs::write("/etc/subuid", "bob:1:5\n").unwrap();
    refused("--add-subuids");
    fs::write("/etc/subuid", &ids).unwrap();
    shop.ok(&["image", "share", &reference]);
    // Other ids than those with which it was mounted: mounted anew.
    fs::write("/etc/subuid", ids.replace("5400000", "7400000")).unwrap();
    shop.ok(&["image", "share"]);
    let own = Podman::new(shop.lab.path("own"), &[], "");
    own.take(&reference, APP);
    shop.podman.ok(&["system", "migrate"]);
    assert_eq!(shop.podman.tree(APP), own.tree(APP));
    for (name, word) in [("root", "without --user"), ("cfs-nobody", "no user cfs-nobody")] {
        let output = shop.lab.on("store", &["image", "shared", "--user", name]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && words.contains(word), "{words}");
    }
}

#[test]
fn whatever_step_is_the_last_one_a_users_podman_works_and_sees_a_whole_image_or_none() {
    let shop = shop_of!("whatever_step_is_the_last_one_a_users_podman_works_and_sees_a_whole_image_or_none");
    // podman before 5 makes a storage of another kind where it finds no settings.
    shop.show("first", &[base()]);
    shop.ok(&["image", "unshare", "first:v1"]);
    shop.survives_every_step();
}

#[test]
fn what_comes_later_reaches_a_podman_that_runs() {
    let shop = shop_of!("what_comes_later_reaches_a_podman_that_runs");
    shop.show("first", &[base()]);
    // podman's namespace is older than the mounts, and lasts.
    shop.podman.tree("localhost/first:v1");
    shop.ok(&["image", "unshare", "first:v1"]);
    shop.show("app", &app());
    assert!(shop.podman.tree(APP).iter().any(|line| line.starts_with("usr/old/three f ")));
    shop.ok(&["image", "unshare", APP]);
    assert_eq!(shop.podman.images(), Vec::<String>::new());
    let permissions = fs::metadata(shop.directory().parent().unwrap()).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o007, 0);
}

/// A directory that others may go through on their way.
fn pass_through(path: &Path) {
    for folder in
        path.ancestors().filter(|folder| folder.starts_with(std::env::temp_dir()) && *folder != std::env::temp_dir())
    {
        let mode = fs::metadata(folder).unwrap().permissions().mode();
        fs::set_permissions(folder, fs::Permissions::from_mode(mode | 0o111)).unwrap();
    }
}

#[test]
fn a_start_of_the_host_shows_users_theirs_and_not_the_hosts_image() {
    let Some(guest) = Guest::of_test("a_start_of_the_host_shows_users_theirs_and_not_the_hosts_image") else { return };
    let lab = fixture::host::Lab::new();
    let host = lab.host();
    let own = Podman::new(lab.path("podman"), &[host.path(DIRECTORY)], "");
    // In a process of its own: nobody else reads its environment.
    std::env::set_var("CONTAINERS_STORAGE_CONF", own.conf());
    let podman = Podman::of(&guest);
    let (users, sysroot) = (host.path(USERS), host.root().join("sysroot").display().to_string());
    let to = users.join(guest.uid.to_string());
    let images = fixture::stores::Lab::new();
    let reference = images.image("app", &app());
    let mut pull = Command::new(env!("CARGO_BIN_EXE_cfs-host"));
    pull.args(["image", "pull", "--quiet", "--share", "--user", guest.name, "--to"]).arg(&to);
    run(pull.args(["--sysroot", &sysroot, &reference]));
    pass_through(&users);
    let tree = podman.tree(APP);
    // A restart: the memory is empty.
    unmount_layers(&to.join("containers"));
    fs::remove_dir_all(&users).unwrap();
    assert_eq!(podman.images(), Vec::<String>::new(), "podman works before the unit has run");
    host.ok(&["internals", "share"]);
    assert_eq!(podman.images(), [format!("{APP} true")]);
    assert_eq!(podman.tree(APP), tree);
    // Settings that cannot be read stand in no other's way.
    let settings = guest.home.join(".config/containers/storage.conf");
    fs::remove_file(&settings).unwrap();
    fs::write(&settings, "[storage").unwrap();
    host.ok(&["internals", "share"]);
    assert_eq!(own.images().len(), 1);
    fs::remove_file(&settings).unwrap();
}
