use super::*;
use crate::import::survey;
use crate::store::verity::Hasher;
use proptest::prelude::*;

fn read(bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    survey(bytes, &Budget::default())
}

fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder);
    builder.into_inner().unwrap()
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o100_4755);
    header.set_mtime(7);
    header
}

#[test]
fn every_kind_of_entry_is_read() {
    let bytes = archive(|tar| {
        tar.append_data(&mut header(tar::EntryType::Directory, 0), "./dir/", &[][..]).unwrap();
        tar.append_data(&mut header(tar::EntryType::Regular, 64), "dir/small", &[1; 64][..]).unwrap();
        tar.append_data(&mut header(tar::EntryType::Regular, 65), "dir/large", &[1; 65][..]).unwrap();
        tar.append_link(&mut header(tar::EntryType::Symlink, 0), "dir/sym", "../x".repeat(100)).unwrap();
        tar.append_link(&mut header(tar::EntryType::Link, 0), "dir/hard", "/dir/small").unwrap();
        let mut device = header(tar::EntryType::Char, 0);
        device.set_device_major(1).unwrap();
        device.set_device_minor(3).unwrap();
        tar.append_data(&mut device, "null", &[][..]).unwrap();
    });
    let entries = read(&bytes).unwrap();
    let items: Vec<_> =
        entries.iter().map(|entry| (std::str::from_utf8(&entry.path).unwrap(), entry.item.clone())).collect();
    let expected = [
        ("dir", Item::Directory),
        ("dir/small", Item::Inline(vec![1; 64])),
        ("dir/large", Item::Object { digest: Hasher::hash(&[1; 65]), size: 65 }),
        ("dir/sym", Item::Symlink("../x".repeat(100).into())),
        ("dir/hard", Item::HardLink("dir/small".into())),
        ("null", Item::Special { kind: libc_kind::CHAR, rdev: makedev(1, 3) }),
    ];
    assert_eq!(items, expected);
    assert_eq!(entries[1].meta.mode, 0o4755);
}

#[test]
fn pax_records_give_long_names_times_and_attributes() {
    let bytes = archive(|tar| {
        let long = "n".repeat(200);
        tar.append_pax_extensions([
            ("path", long.as_bytes()),
            ("mtime", b"12.0345".as_slice()),
            ("SCHILY.xattr.security.capability", b"\x01\x00".as_slice()),
        ])
        .unwrap();
        tar.append_data(&mut header(tar::EntryType::Regular, 0), "short", &[][..]).unwrap();
    });
    let entries = read(&bytes).unwrap();
    assert_eq!(entries[0].path, [b'n'; 200]);
    assert_eq!((entries[0].meta.mtime, entries[0].meta.mtime_nsec), (12, 34_500_000));
    assert_eq!(entries[0].meta.xattrs, [(b"security.capability".to_vec(), b"\x01\x00".to_vec())]);
}

fn refusal(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> String {
    read(&archive(build)).unwrap_err().to_string()
}

#[test]
fn what_a_host_image_may_not_contain_is_refused_by_name() {
    let climbing = refusal(|tar| {
        let mut header = header(tar::EntryType::Regular, 0);
        header.as_old_mut().name[..7].copy_from_slice(b"../evil");
        header.set_cksum();
        tar.append(&header, &[][..]).unwrap();
    });
    assert!(climbing.contains("../evil"), "{climbing}");
    let device = refusal(|tar| {
        let mut header = header(tar::EntryType::Block, 0);
        header.set_device_major(0x1000).unwrap();
        header.set_device_minor(0).unwrap();
        tar.append_data(&mut header, "dev", &[][..]).unwrap();
    });
    assert!(device.contains("device number"), "{device}");
}

#[test]
fn a_sparse_file_is_read_with_its_holes() {
    let bytes = archive(|tar| {
        let map = [("GNU.sparse.map", b"2,1,4,2".as_slice()), ("GNU.sparse.size", b"7"), ("GNU.sparse.name", b"real")];
        tar.append_pax_extensions(map).unwrap();
        tar.append_data(&mut header(tar::EntryType::Regular, 3), "GNUSparseFile.0/made-up", &b"abc"[..]).unwrap();
    });
    let entries = read(&bytes).unwrap();
    assert_eq!(entries[0].path, b"real");
    assert_eq!(entries[0].item, Item::Inline(b"\0\0a\0bc\0".to_vec()));
}

#[test]
fn a_cut_in_a_header_or_in_data_is_seen_and_a_missing_end_marker_is_not_missed() {
    let bytes = archive(|tar| {
        tar.append_data(&mut header(tar::EntryType::Regular, 600), "f", &[1; 600][..]).unwrap();
    });
    for cut in [100, 700, 1600] {
        assert!(read(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(read(&bytes[..512 + 1024]).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn damaged_archives_are_refused_or_read_but_never_panic(at in 0usize..4096, byte: u8) {
        let mut bytes = archive(|tar| {
            tar.append_pax_extensions([("mtime", b"1.5".as_slice())]).unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 65), "n".repeat(150), &[1; 65][..]).unwrap();
            tar.append_link(&mut header(tar::EntryType::Symlink, 0), "l", "t").unwrap();
        });
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
    }
}
