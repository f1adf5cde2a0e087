use super::*;
use crate::deploy::populate;
use crate::etc::{of_directory, Kind, STAGED_ETC};
use crate::import::{Entry, Item as Imported, Metadata};
use crate::sys::{Fault, FaultPlan};
use std::fs;
use std::os::unix::fs::{chown, lchown, symlink, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// A host's directories: store, the running `/etc`, the staged one.
struct World {
    dir: tempfile::TempDir,
    store: Store,
    base: Tree,
    image: Tree,
}

fn tree(entries: Vec<(String, Imported)>) -> Tree {
    let entry = |(path, item)| {
        let mode = if item == Imported::Directory { 0o755 } else { 0o644 };
        Entry { path: String::into_bytes(path), meta: Metadata { mode, ..Metadata::default() }, item }
    };
    let folders = ["usr", "etc"].map(|path| (path.to_owned(), Imported::Directory));
    Tree::from_layers(vec![folders.into_iter().chain(entries).map(entry).collect()]).unwrap()
}

fn small(text: &str) -> Imported {
    Imported::Inline(text.into())
}

impl World {
    /// A machine that changed nothing yet.
    fn new(entries: impl Fn(&Store, &str) -> Vec<(String, Imported)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sys = Sys::real();
        let store = Store::open_or_create(&dir.path().join("composefs"), &sys).unwrap();
        let [base, image] = ["v1", "v2"].map(|version| tree(entries(&store, version)));
        for name in ["run", "machine", "deploy", "deploy/etc"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let world = Self { dir, store, base, image };
        populate::populate(&sys, &world.store, "etc", &world.base.walk("etc"), &world.machine("")).unwrap();
        world
    }

    /// One of each.
    fn small() -> Self {
        Self::new(|store, version| {
            let large = |text: String| {
                let bytes = text.repeat(1000).into_bytes();
                let digest = store.put(&Sys::real(), &bytes).unwrap();
                Imported::Object { digest, size: bytes.len() as u64 }
            };
            let mut entries = vec![
                ("etc/same".to_owned(), small("same")),
                ("etc/edited".into(), small(version)),
                ("etc/both".into(), large(format!("both {version}"))),
                ("etc/chmod".into(), large(format!("chmod {version}"))),
                ("etc/d".into(), Imported::Directory),
                ("etc/d/link".into(), Imported::Symlink(b"../same".to_vec())),
                ("etc/d/file".into(), small(version)),
            ];
            match version {
                "v1" => entries.push(("etc/gone".into(), small("gone"))),
                _ => entries.push(("etc/new".into(), small("new"))),
            }
            entries
        })
    }

    /// And a machine that changed something of everything.
    fn edited() -> Self {
        let world = Self::small();
        fs::write(world.machine("both"), "mine").unwrap();
        fs::set_permissions(world.machine("chmod"), fs::Permissions::from_mode(0o600)).unwrap();
        chown(world.machine("chmod"), Some(7), Some(8)).unwrap();
        fs::create_dir(world.machine("own")).unwrap();
        fs::write(world.machine("own/file"), "own").unwrap();
        fs::hard_link(world.machine("own/file"), world.machine("own/second")).unwrap();
        fs::set_permissions(world.machine("own/file"), fs::Permissions::from_mode(0o4711)).unwrap();
        symlink("nowhere", world.machine("own/link")).unwrap();
        lchown(world.machine("own/link"), Some(7), Some(8)).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, world.machine("own/fifo"), fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for (path, name) in [("own/file", "user.x"), ("own", "trusted.x"), ("same", "security.selinux")] {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::lsetxattr(world.machine(path), name, b"1", flags).unwrap();
        }
        let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 5);
        fs::File::open(world.machine("own/file")).unwrap().set_modified(old).unwrap();
        fs::File::open(world.machine("own")).unwrap().set_modified(old).unwrap();
        world
    }

    fn machine(&self, path: &str) -> PathBuf {
        self.dir.path().join("machine").join(path)
    }

    fn target(&self, path: &str) -> PathBuf {
        self.dir.path().join("deploy/etc").join(path)
    }

    fn stage(&self) -> Vec<String> {
        let (machine, target) = (self.machine(""), self.dir.path().join("deploy/etc"));
        stage(&Sys::real(), &self.store, &self.base, &self.image, &machine, self.dir.path(), &target).unwrap()
    }

    fn refresh(&self, sys: &Sys) -> Result<Vec<String>> {
        refresh(sys, &self.store, &self.machine(""), self.dir.path(), &self.dir.path().join("deploy/etc"))
    }

    fn staged(&self) -> Listing {
        of_directory(&self.target("")).unwrap()
    }

    /// What a staging would write now.
    fn wanted(&self) -> Listing {
        let (machine, image) = (of_directory(&self.machine("")).unwrap(), of_image(&self.image));
        merge(&of_image(&self.base), &machine, &image).listing(&machine, &image)
    }

    fn assert_clean(&self, what: &str) {
        let names: Vec<_> =
            fs::read_dir(self.dir.path().join("deploy")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["etc"], "{what} left something behind");
        for path in self.staged().iter().filter(|(_, item)| item.kind != Kind::Directory).map(|(path, _)| path) {
            let path = super::super::listing::place(&self.target(""), path);
            assert_eq!(path.symlink_metadata().unwrap().nlink(), 1, "{what}: {}", path.display());
        }
    }
}

#[test]
fn a_staged_etc_has_the_merge_with_all_its_metadata() {
    let world = World::edited();
    assert_eq!(world.stage(), ["/etc/both"]);
    assert_eq!(world.staged(), world.wanted());
    let read = |path: &str| fs::read_to_string(world.target(path)).unwrap();
    assert_eq!(
        [read("same"), read("edited"), read("d/file"), read("new"), read("both")],
        ["same", "v2", "v2", "new", "mine"]
    );
    assert_eq!(read("both.cfs-new"), "both v2".repeat(1000));
    assert_eq!(read("chmod"), "chmod v2".repeat(1000));
    let chmod = world.target("chmod").metadata().unwrap();
    assert_eq!((chmod.mode() & 0o7777, chmod.uid(), chmod.gid()), (0o600, 7, 8));
    assert!(!world.target("gone").exists());
    for path in ["own", "own/file"] {
        let metadata = world.target(path).metadata().unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000_000, 5), "{path}");
    }
    assert_eq!(world.target("own/link").symlink_metadata().unwrap().uid(), 7);
    let mut value = [0u8; 8];
    assert_eq!(rustix::fs::lgetxattr(world.target("same"), "security.selinux", &mut value[..]).unwrap(), 1);
    world.assert_clean("staging");
}

#[test]
fn a_machine_that_changed_nothing_gets_the_image() {
    let world = World::small();
    assert!(world.stage().is_empty());
    assert_eq!(world.staged(), of_image(&world.image));
}

#[test]
fn a_default_acl_of_the_machines_directory_is_kept_and_not_inherited_by_copies() {
    let world = World::small();
    let entry = |tag: u8, permissions: u8, id: u32| [&[tag, 0, permissions, 0][..], &id.to_le_bytes()].concat();
    let acl = [
        2u32.to_le_bytes().to_vec(),
        entry(1, 7, !0),
        entry(2, 7, 5),
        entry(4, 5, !0),
        entry(16, 7, !0),
        entry(32, 5, !0),
    ];
    let (name, flags) = ("system.posix_acl_default", rustix::fs::XattrFlags::empty());
    rustix::fs::lsetxattr(world.machine("d"), name, &acl.concat(), flags).unwrap();
    world.stage();
    let staged = world.staged();
    assert_eq!(staged, world.wanted());
    assert!(staged[&b"d"[..]].xattrs.iter().any(|(found, _)| found == name.as_bytes()));
}

#[test]
fn a_refresh_without_changes_writes_nothing() {
    let world = World::edited();
    let conflicts = world.stage();
    let inode = world.target("").metadata().unwrap().ino();
    let sys = Sys::real();
    assert_eq!(world.refresh(&sys).unwrap(), conflicts);
    assert_eq!(sys.steps(), 0);
    assert_eq!(world.target("").metadata().unwrap().ino(), inode);
}

/// What a machine does between staging and shutdown.
fn go_on(world: &World) {
    fs::write(world.machine("edited"), "mine").unwrap();
    fs::write(world.machine("both"), "both v1".repeat(1000)).unwrap();
    fs::write(world.machine("own/later"), "later").unwrap();
    fs::remove_file(world.machine("own/second")).unwrap();
    fs::remove_file(world.machine("d/link")).unwrap();
    fs::set_permissions(world.machine("same"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_refresh_takes_what_changed_since_and_forgets_conflicts_that_are_none_any_more() {
    let world = World::edited();
    world.stage();
    go_on(&world);
    assert_eq!(world.refresh(&Sys::real()).unwrap(), ["/etc/edited"]);
    assert_eq!(world.staged(), world.wanted());
    assert_eq!(fs::read_to_string(world.target("both")).unwrap(), "both v2".repeat(1000));
    assert_eq!(fs::read_to_string(world.target("edited.cfs-new")).unwrap(), "v2", "a small file, which is no object");
    assert!(!world.target("both.cfs-new").exists());
    world.assert_clean("a refresh");
    let sys = Sys::real();
    world.refresh(&sys).unwrap();
    assert_eq!(sys.steps(), 0, "a second one has nothing to do");
}

#[test]
fn a_change_that_is_taken_back_after_a_refresh_is_taken_back_there_too() {
    let world = World::small();
    world.stage();
    let before = world.staged();
    fs::write(world.machine("own"), "for a while").unwrap();
    world.refresh(&Sys::real()).unwrap();
    assert!(world.target("own").exists());
    fs::remove_file(world.machine("own")).unwrap();
    world.refresh(&Sys::real()).unwrap();
    assert_eq!(world.staged(), before);
}

#[test]
fn whatever_step_of_a_refresh_fails_the_target_is_whole_and_the_next_one_succeeds() {
    let world = World::edited();
    world.stage();
    let old = world.staged();
    go_on(&world);
    let counted = Sys::real();
    world.refresh(&counted).unwrap();
    let new = world.staged();
    assert_ne!(old, new);
    assert!(counted.steps() > 20, "{}", counted.steps());
    for (errno, at) in [5, 28].into_iter().flat_map(|errno| (1..=counted.steps()).map(move |at| (errno, at))) {
        let world = World::edited();
        world.stage();
        go_on(&world);
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(errno) });
        assert!(world.refresh(&sys).is_err(), "step {at}");
        let found = world.staged();
        assert!(found == old || found == new, "step {at}: neither old nor new");
        world.refresh(&Sys::real()).unwrap();
        assert_eq!(world.staged(), new, "step {at}");
        world.assert_clean(&format!("step {at}"));
    }
}

#[test]
fn without_what_staging_left_nothing_is_changed_and_it_is_said() {
    let world = World::edited();
    world.stage();
    let before = world.staged();
    go_on(&world);
    let record = world.dir.path().join(STAGED_ETC);
    for damage in [Some("{"), None] {
        match damage {
            Some(text) => fs::write(&record, text).unwrap(),
            None => fs::remove_file(&record).unwrap(),
        }
        let sys = Sys::real();
        let error = world.refresh(&sys).unwrap_err().to_string();
        assert!(error.contains("staged-etc.json") && error.contains("upgrade again"), "{error}");
        assert_eq!((sys.steps(), world.staged()), (0, before.clone()));
    }
}

#[test]
fn an_object_that_is_missing_is_named() {
    let world = World::small();
    fs::remove_dir_all(world.dir.path().join("composefs/objects")).unwrap();
    let target = world.dir.path().join("deploy/etc");
    let machine = world.machine("");
    let outcome = stage(&Sys::real(), &world.store, &world.base, &world.image, &machine, world.dir.path(), &target);
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("etc/both"), "{error}");
    assert_eq!(crate::fault::Fault::from(anyhow::Error::from(error)).exit_code(), 6);
}

/// `cargo test --lib etc::stage::tests::figures -- --ignored --nocapture`
#[test]
#[ignore = "prints figures of this machine"]
fn figures() {
    const FILES: usize = 5_000;
    let world = World::new(|store, version| {
        let folders = (0..50).map(|number| (format!("etc/{number}"), Imported::Directory));
        let file = |number: usize| {
            // Every tenth differs between the images; sizes as in a real /etc.
            let text = format!("{number} {}\n", if number.is_multiple_of(10) { version } else { "v1" });
            let bytes = text.repeat(20 + number % 400).into_bytes();
            let digest = store.put(&Sys::real(), &bytes).unwrap();
            let path = format!("etc/{}/file-{number}.conf", number % 50);
            (path, Imported::Object { digest, size: bytes.len() as u64 })
        };
        folders.chain((0..FILES).map(file)).collect()
    });
    let timed = |what: &str, act: &dyn Fn()| {
        let started = Instant::now();
        act();
        println!("{what}: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    };
    let edit = |from: usize, count: usize| {
        for number in from..from + count {
            fs::write(world.machine(&format!("{}/file-{number}.conf", number % 50)), "mine").unwrap();
        }
    };
    edit(0, 100);
    std::thread::sleep(Duration::from_secs(3));
    timed("listing of the machine", &|| drop(of_directory(&world.machine("")).unwrap()));
    timed("stage", &|| drop(world.stage()));
    timed("sync", &|| Sys::real().sync_fs(world.dir.path()).unwrap());
    println!("record: {} KiB", world.dir.path().join(STAGED_ETC).metadata().unwrap().len() / 1024);
    timed("refresh, nothing changed", &|| drop(world.refresh(&Sys::real()).unwrap()));
    edit(200, 10);
    timed("refresh, 10 files changed", &|| drop(world.refresh(&Sys::real()).unwrap()));
    timed("refresh once more, nothing changed", &|| drop(world.refresh(&Sys::real()).unwrap()));
    assert_eq!(world.staged(), world.wanted());
}
