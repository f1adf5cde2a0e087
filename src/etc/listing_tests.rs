use super::*;
use crate::import::{Entry, Item as Imported, Metadata as Imported_};
use std::fs;
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::os::unix::net::UnixListener;

fn tree(entries: &[(&str, u32, Imported)]) -> Tree {
    let entry = |(path, mode, item): &(&str, u32, Imported)| Entry {
        path: path.as_bytes().to_vec(),
        meta: Imported_ { mode: *mode, uid: 3, ..Imported_::default() },
        item: item.clone(),
    };
    let usr = entry(&("usr", 0o755, Imported::Directory));
    Tree::from_layers(vec![[usr].into_iter().chain(entries.iter().map(entry)).collect()]).unwrap()
}

#[test]
fn an_image_and_the_directory_made_of_it_have_the_same_listing() {
    let image = tree(&[
        ("etc", 0o750, Imported::Directory),
        ("etc/a", 0o4755, Imported::Inline(b"hello".to_vec())),
        ("etc/d", 0o2755, Imported::Directory),
        ("etc/d/l", 0o777, Imported::Symlink(b"../a".to_vec())),
        ("etc/f", 0o600, Imported::Special { kind: 0o010000, rdev: 0 }),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    fs::write(at("a"), "hello").unwrap();
    fs::create_dir(at("d")).unwrap();
    symlink("../a", at("d/l")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("f"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    for (path, mode) in [("", 0o750), ("a", 0o4755), ("d", 0o2755), ("f", 0o600)] {
        chown(at(path), Some(3), Some(0)).unwrap();
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::lchown(at("d/l"), Some(3), Some(0)).unwrap();
    assert_eq!(of_directory(dir.path()).unwrap(), of_image(&image));
}

#[test]
fn an_image_without_etc_has_an_empty_one() {
    let listing = of_image(&tree(&[]));
    assert_eq!(listing.keys().collect::<Vec<_>>(), [&Vec::<u8>::new()]);
    assert_eq!(of_image(&tree(&[("etc", 0o644, Imported::Inline(b"x".to_vec()))])), listing);
}

#[test]
fn all_attributes_are_seen_but_those_that_the_kernel_derives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "").unwrap();
    let acl = [2u8, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255]
        .into_iter()
        .chain([16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255])
        .collect::<Vec<u8>>();
    for (name, value) in
        [("user.b", &b"1"[..]), ("user.a", b""), ("trusted.x", &[3; 3000]), ("system.posix_acl_access", &acl)]
    {
        rustix::fs::lsetxattr(&path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    }
    let listing = of_directory(dir.path()).unwrap();
    let names: Vec<_> = listing[&b"f"[..]].xattrs.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    assert_eq!(names, ["system.posix_acl_access", "trusted.x", "user.a", "user.b"]);
    assert_eq!(listing[&b"f"[..]].xattrs[0].1, acl);
    assert!(DERIVED.iter().all(|name| name.starts_with(b"security.")));
}

#[test]
fn sockets_are_left_out_and_odd_names_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    fs::write(dir.path().join(OsStr::from_bytes(b"\xff\n")), "").unwrap();
    let listing = of_directory(dir.path()).unwrap();
    assert_eq!(listing.keys().collect::<Vec<_>>(), [&b""[..], b"\xff\n"]);
}

#[test]
fn a_file_with_a_known_mark_is_not_read_again_and_any_change_gives_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "one").unwrap();
    let first = scan(dir.path(), &Scan::default()).unwrap();
    let mut lie = first.clone();
    lie.listing.get_mut(&b"f"[..]).unwrap().mode = 0o7777;
    assert_eq!(scan(dir.path(), &lie).unwrap(), lie, "it was read in spite of its mark");
    let times = path.metadata().unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&path, "two").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
    let second = scan(dir.path(), &lie).unwrap();
    assert_eq!(second.listing[&b"f"[..]].kind, Kind::File(Hasher::hash(b"two")));
    assert_eq!(second.listing[&b"f"[..]].mode, first.listing[&b"f"[..]].mode);
}

#[test]
fn a_mark_is_relied_on_when_its_last_change_is_long_ago() {
    let dir = tempfile::tempdir().unwrap();
    let mark = Mark::of(&dir.path().metadata().unwrap());
    assert!(!mark.is_settled(now()), "made just now");
    assert!(mark.is_settled(now() + 3));
    assert!(!mark.is_settled(now() - 1000), "made in the future, by another clock");
}

#[test]
fn another_file_system_is_refused_by_name() {
    // It has file systems mounted on it wherever tests run, and nothing in it is opened here.
    let error = walk(Path::new("/dev"), None).unwrap_err().to_string();
    assert!(error.contains("another file system is mounted on it"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let error = of_directory(Path::new("/nonexistent/etc")).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/etc"), "{error}");
    let error = of_directory(Path::new("/dev/null")).unwrap_err().to_string();
    assert!(error.contains("no directory"), "{error}");
}

#[test]
fn what_takes_the_place_of_a_file_is_neither_followed_nor_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(open(&fifo).unwrap_err().to_string().contains("something else"));
    fs::write(dir.path().join("file"), "").unwrap();
    symlink("file", dir.path().join("link")).unwrap();
    assert!(open(&dir.path().join("link")).is_err());
}

/// Runs as somebody who is not root; only this thread is.
fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

#[test]
fn who_may_not_read_all_sees_the_rest_and_hears_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["ssl", "ssl/private"] {
        fs::create_dir(at(path)).unwrap();
    }
    for path in ["hosts", "shadow", "ssl/cert", "ssl/private/key"] {
        fs::write(at(path), path).unwrap();
    }
    for (path, mode) in [("shadow", 0o600), ("ssl/private", 0o700)] {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let (listing, unreadable) = as_nobody(|| readable(dir.path())).unwrap();
    assert_eq!(unreadable, [b"shadow".to_vec(), b"ssl/private".to_vec()]);
    let paths: Vec<_> = listing.keys().map(|path| String::from_utf8_lossy(path)).collect();
    assert_eq!(paths, ["", "hosts", "ssl", "ssl/cert", "ssl/private"]);
    assert_eq!(readable(dir.path()).unwrap(), (of_directory(dir.path()).unwrap(), vec![]));
}
