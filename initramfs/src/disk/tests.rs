use proptest::prelude::*;

use super::*;

const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// 34 sectors with this table; `entries` are (type, uuid, first, last).
fn gpt(sector: usize, size: usize, entries: &[([u8; 16], [u8; 16], u64, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; 34 * sector];
    for (n, (type_uuid, uuid, first, last)) in entries.iter().enumerate() {
        let entry = &mut bytes[2 * sector + n * size..][..48];
        entry[..16].copy_from_slice(type_uuid);
        entry[16..32].copy_from_slice(uuid);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..].copy_from_slice(&last.to_le_bytes());
    }
    let header = &mut bytes[sector..];
    header[..12].copy_from_slice(b"EFI PART\0\0\x01\0");
    header[12..16].copy_from_slice(&92u32.to_le_bytes());
    header[24] = 1;
    header[72] = 2;
    header[80] = 4;
    header[84..88].copy_from_slice(&(size as u32).to_le_bytes());
    seal(&mut bytes, sector);
    bytes
}

/// Makes both checksums right again.
fn seal(bytes: &mut [u8], sector: usize) {
    let header = &bytes[sector..];
    let (start, length) =
        (u64_at(header, 72) as usize * sector, u32_at(header, 80) as usize * u32_at(header, 84) as usize);
    let entries = bytes.get(start..start + length).map_or(0, |entries| crc32(&[entries]));
    bytes[sector + 88..sector + 92].copy_from_slice(&entries.to_le_bytes());
    bytes[sector + 16..sector + 20].fill(0);
    let covered = (u32_at(&bytes[sector..], 12) as usize).min(sector);
    let crc = crc32(&[&bytes[sector..sector + covered]]);
    bytes[sector + 16..sector + 20].copy_from_slice(&crc.to_le_bytes());
}

fn example() -> Vec<u8> {
    gpt(512, 128, &[([1; 16], [2; 16], 34, 99), ([0; 16], [7; 16], 1, 0), ([3; 16], [4; 16], 100, 100)])
}

#[test]
fn the_checksum_is_the_common_one() {
    assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
    assert_eq!(crc32(&[b"1234", b"", b"56789"]), 0xcbf4_3926);
}

#[test]
fn uuids_are_mixed_endian() {
    let bytes = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
    assert_eq!(uuid(&bytes), ESP);
}

#[test]
fn partitions_in_use_are_listed_with_their_numbers() {
    let id = |byte: &str| uuid(&hex::decode(byte.repeat(16)).unwrap());
    let expected = [
        Partition { number: 1, type_uuid: id("01"), uuid: id("02"), first_lba: 34, last_lba: 99 },
        Partition { number: 3, type_uuid: id("03"), uuid: id("04"), first_lba: 100, last_lba: 100 },
    ];
    assert_eq!(parse_gpt(&example(), 512).unwrap(), expected);
    for (sector, size) in [(512, 4096), (1024, 128), (2048, 512), (4096, 256)] {
        let bytes = gpt(sector, size, &[([1; 16], [2; 16], 34, 99)]);
        assert_eq!(parse_gpt(&bytes, sector as u64).unwrap(), expected[..1]);
    }
}

#[test]
fn the_table_of_sgdisk_is_read() {
    let table = include_bytes!("../../tests/golden/sgdisk.gpt");
    let partitions = parse_gpt(table, 512).unwrap();
    let seen: Vec<_> = partitions.iter().map(|one| (one.number, one.type_uuid.as_str(), one.uuid.as_str())).collect();
    assert_eq!(
        seen,
        [(1, ESP, "11111111-2222-3333-4444-555555555555"), (5, ROOT_X86_64, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),]
    );
    assert_eq!((partitions[0].first_lba, partitions[0].last_lba), (2048, 4095));
}

#[test]
fn damage_is_named() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, bool, &str); 19] = [
        (|gpt| gpt[512] = b'X', true, "header of revision"),
        (|gpt| gpt[512 + 10] = 2, true, "header of revision"),
        (|gpt| gpt[512 + 12] = 91, true, "header's size"),
        (|gpt| gpt[512 + 12..512 + 14].copy_from_slice(&513u16.to_le_bytes()), true, "header's size"),
        (|gpt| gpt[512 + 16] ^= 1, false, "checksum of its header"),
        (|gpt| gpt[512 + 15] ^= 1, false, "header's size"),
        (|gpt| gpt[512 + 56] ^= 1, false, "checksum of its header"),
        (|gpt| gpt[512 + 24] = 2, true, "not the primary"),
        (|gpt| gpt[512 + 31] = 1, true, "not the primary"),
        (|gpt| gpt[512 + 80..512 + 82].copy_from_slice(&257u16.to_le_bytes()), true, "out of range"),
        (|gpt| gpt[512 + 84] = 64, true, "out of range"),
        (|gpt| gpt[512 + 84] = 192, true, "out of range"),
        (|gpt| gpt[512 + 85] = 32, true, "out of range"),
        (|gpt| gpt[512 + 72] = 34, true, "outside"),
        (|gpt| gpt[512 + 79] = 0xff, true, "outside"),
        (|gpt| gpt[512 + 80] = 129, true, "outside"),
        (|gpt| gpt[1024] ^= 1, false, "checksum of its entries"),
        (|gpt| gpt[1024 + 32] = 100, true, "ends before"),
        (|gpt| gpt.truncate(1023), false, "too short"),
    ];
    for (change, sealed, words) in cases {
        let mut bytes = example();
        change(&mut bytes);
        // 80..84 of the header is read as the number of entries even where it is nonsense.
        if sealed && words != "outside" && words != "out of range" {
            seal(&mut bytes, 512);
        } else if sealed {
            let entries = bytes[512 + 88..512 + 92].to_vec();
            bytes[512 + 16..512 + 20].fill(0);
            let crc = crc32(&[&bytes[512..512 + 92]]);
            bytes[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(bytes[512 + 88..512 + 92], entries);
        }
        let error = parse_gpt(&bytes, 512).expect_err(words);
        assert!(error.0.contains(words), "expected {words:?}: {error}");
    }
}

#[test]
fn a_header_of_a_whole_sector_is_covered() {
    let mut bytes = example();
    bytes[512 + 12..512 + 14].copy_from_slice(&512u16.to_le_bytes());
    seal(&mut bytes, 512);
    assert_eq!(parse_gpt(&bytes, 512).unwrap().len(), 2);
    bytes[512 + 511] = 1;
    assert!(parse_gpt(&bytes, 512).unwrap_err().0.contains("checksum of its header"));
}

#[test]
fn the_largest_table_is_read_and_it_may_end_with_the_bytes() {
    let mut bytes = example();
    bytes.resize(2 * 512 + 256 * 128, 0);
    bytes[512 + 80..512 + 82].copy_from_slice(&256u16.to_le_bytes());
    seal(&mut bytes, 512);
    assert_eq!(parse_gpt(&bytes, 512).unwrap().len(), 2);
}

#[test]
fn odd_sector_sizes_are_refused() {
    for size in [0, 1, 256, 513, 768, 8192, u64::MAX] {
        assert!(parse_gpt(&example(), size).unwrap_err().0.contains("sector size"), "{size}");
    }
}

fn disk(name: &str, partitions: &[(&str, &str)]) -> Disk {
    let partition = |(n, (type_uuid, uuid)): (usize, &(&str, &str))| Partition {
        number: n as u32 + 1,
        type_uuid: type_uuid.to_string(),
        uuid: uuid.to_string(),
        first_lba: 0,
        last_lba: 0,
    };
    Disk { name: name.into(), partitions: partitions.iter().enumerate().map(partition).collect() }
}

#[test]
fn root_is_the_one_of_its_type_on_the_loaders_disk() {
    let disks = [
        disk("sda", &[("esp", "other-esp"), ("root", "other-root")]),
        disk("vda", &[("esp", "my-esp"), ("swap", "my-swap"), ("root", "my-root")]),
    ];
    assert_eq!(choose_root(&disks, "my-esp", "root"), Ok(("vda".into(), 3)));
    assert_eq!(choose_root(&disks, "other-esp", "root"), Ok(("sda".into(), 2)));
}

#[test]
fn where_it_is_not_unique_nothing_is_chosen() {
    let mine = || disk("vda", &[("esp", "my-esp"), ("root", "my-root")]);
    for (disks, words) in [
        (vec![], "no disk has the partition my-esp"),
        (vec![disk("sda", &[("esp", "x"), ("root", "y")])], "no disk has the partition my-esp"),
        (vec![mine(), disk("sdb", &[("esp", "my-esp")])], "my-esp is there 2 times (on vda, sdb)"),
        (
            vec![disk("vda", &[("esp", "my-esp"), ("x", "my-esp"), ("root", "r")])],
            "my-esp is there 2 times (on vda, vda)",
        ),
        (vec![disk("vda", &[("esp", "my-esp"), ("root", "a"), ("root", "b")])], "vda has 2 root partitions"),
        (vec![disk("vda", &[("esp", "my-esp")]), disk("sdb", &[("root", "r")])], "vda has 0 root partitions"),
        (vec![mine(), disk("sdb", &[("home", "my-root")])], "my-root is there 2 times (on vda, sdb)"),
    ] {
        let refusal = choose_root(&disks, "my-esp", "root").expect_err(words);
        assert!(refusal.rule == 7 && refusal.why.contains(words), "{refusal}");
    }
}

#[test]
fn the_native_type_is_one_of_the_specification() {
    let expected = if cfg!(target_arch = "aarch64") { ROOT_AARCH64 } else { ROOT_X86_64 };
    assert_eq!(native_root_type(), expected);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, sector in prop::sample::select(vec![0u64, 512, 4096])) {
        prop_assert!(parse_gpt(&bytes, sector).is_err());
    }

    #[test]
    fn any_sealed_change_is_parsed_or_refused(at in 512usize..1200, byte: u8) {
        let mut bytes = example();
        bytes[at] = byte;
        if u32_at(&bytes[512..], 80) < 300 && u32_at(&bytes[512..], 84) < 8192 && u64_at(&bytes[512..], 72) < 300 {
            seal(&mut bytes, 512);
        }
        let _ = parse_gpt(&bytes, 512);
    }

    #[test]
    fn no_flipped_bit_goes_unseen(at in prop_oneof![512usize..604, 1024usize..1536], bit in 0u8..8) {
        let mut bytes = example();
        bytes[at] ^= 1 << bit;
        prop_assert!(parse_gpt(&bytes, 512).is_err());
    }
}
