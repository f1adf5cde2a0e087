use super::*;
use crate::etc::testing::{directory, file, link, listing};
use crate::store::verity::Hasher;

fn stat(mode: u32) -> Stat {
    Stat { mode, uid: 1, gid: 2, mtime: 0, xattrs: vec![(b"security.capability".to_vec(), vec![0, 255])] }
}

fn example() -> Record {
    let base = listing(&[("a", file(1)), ("d", directory()), ("d/l", link("x"))]);
    let mark: Mark = serde_json::from_str(r#"{"inode":1,"size":2,"modified":[-1,4],"changed":[5,6]}"#).unwrap();
    let odd = b"\xff\n".to_vec();
    let image = Defaults::from([
        (Vec::new(), (Node::Directory, stat(0o755))),
        (odd.clone(), (Node::Inline(b"\0small".to_vec()), stat(0o4755))),
        (b"n".to_vec(), (Node::Special { kind: 0o020000, rdev: 259 }, stat(0o600))),
    ]);
    let mut machine = Scan { listing: base.clone(), marks: BTreeMap::from([(b"a".to_vec(), mark)]) };
    machine.listing.insert(odd, file(7));
    Record { base, image, target: machine.clone(), machine }
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("run")).unwrap();
    write(&Sys::real(), dir.path(), &example()).unwrap();
    assert_eq!(read(dir.path()).unwrap(), example());
    let mode = std::os::unix::fs::MetadataExt::mode(&dir.path().join(STAGED_ETC).metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600, "it holds digests of what only root may see");
}

#[test]
fn objects_keep_their_digest_and_small_files_their_bytes() {
    let object = Hasher::hash(b"large");
    let image = Defaults::from([(b"o".to_vec(), (Node::Object { digest: object, size: 9 }, stat(0o644)))]);
    let record = Record { image, ..example() };
    let read = parse(&serde_json::to_vec(&document(&record)).unwrap()).unwrap();
    assert_eq!(of_defaults(&read.image), of_defaults(&record.image));
    assert!(matches!(read.image[&b"o"[..]].0, Node::Object { digest, .. } if digest == object));
}

#[test]
fn a_record_that_is_missing_damaged_or_newer_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("run/cfs-host")).unwrap();
    let path = dir.path().join(STAGED_ETC);
    let refused = |what: &str| {
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("staged-etc.json") && error.contains(what), "{error}");
    };
    refused("No such file");
    for (text, what) in [
        ("", "EOF"),
        (r#"{"version":2}"#, "version 2"),
        (r#"{"version":3,"items":[],"inline":{},"rows":[]}"#, "version 3"),
        (r#"{"version":1}"#, "missing field"),
        (r#"{"version":1,"items":[],"inline":{},"rows":[["2e2e2f61",[null,null,null,null],null,null]]}"#, "no path"),
        (r#"{"version":1,"items":[],"inline":{},"rows":[["x",[null,null,null,null],null,null]]}"#, "no path"),
        (r#"{"version":1,"items":[],"inline":{},"rows":[["61",[0,null,null,null],null,null]]}"#, "no item 0"),
    ] {
        std::fs::write(&path, text).unwrap();
        refused(what);
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    refused("not a regular file");
}

#[test]
fn paths_that_lead_out_are_none() {
    for good in ["", "a", "a/b", "..a", "a/.b"] {
        assert!(is_plain(good.as_bytes()), "{good}");
    }
    for bad in ["/", "/a", "a/", "a//b", ".", "..", "a/..", "a/./b", "a\0"] {
        assert!(!is_plain(bad.as_bytes()), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_lies_there_nothing_panics(cut in 0usize..2000, byte: u8) {
        let mut bytes = serde_json::to_vec(&document(&example())).unwrap();
        let at = cut % bytes.len();
        bytes[at] = byte;
        let _ = parse(&bytes);
        bytes.truncate(at);
        proptest::prop_assert!(parse(&bytes).is_err());
    }
}
