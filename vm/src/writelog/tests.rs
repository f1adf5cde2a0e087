use std::collections::HashSet;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

const SECTOR: usize = 512;
/// Sectors of the disk under test: four blocks.
const DISK: usize = 32;

/// One request, as the test writes it down.
#[derive(Clone, Debug)]
enum Request {
    /// Sectors from the first on, each filled with this byte; FUA if so.
    Write(usize, usize, u8, bool),
    Discard(usize),
    Flush,
}

use Request::{Discard, Flush, Write};

fn log(requests: &[Request]) -> NamedTempFile {
    let mut bytes = vec![0; SECTOR];
    for (at, word) in [MAGIC, VERSION, requests.len() as u64, SECTOR as u64].iter().enumerate() {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    for request in requests {
        let (start, sectors, flags, data) = match request {
            Write(start, sectors, fill, fua) => {
                (*start, *sectors, if *fua { FUA } else { 0 }, vec![*fill; sectors * SECTOR])
            }
            Discard(start) => (*start, 1, DISCARD, Vec::new()),
            Flush => (0, 0, FLUSH, Vec::new()),
        };
        let begin = bytes.len();
        for word in [start as u64, sectors as u64, flags, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(begin + SECTOR, 0);
        bytes.extend(data);
    }
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// The first byte of each sector of the disk after the cut.
fn cut(requests: &[Request], at: usize, survivors: Survivors) -> Vec<u8> {
    let (log, disk) = (log(requests), NamedTempFile::new().unwrap());
    disk.as_file().set_len((DISK * SECTOR) as u64).unwrap();
    Log::open(log.path()).unwrap().cut(disk.as_file(), at, survivors).unwrap();
    std::fs::read(disk.path()).unwrap().chunks(SECTOR).map(|sector| sector[0]).collect()
}

#[test]
fn what_was_flushed_is_there_and_what_was_not_is_lost_kept_or_torn_between_blocks() {
    let requests = [Write(0, 1, 1, false), Flush, Write(0, 1, 2, false), Write(7, 2, 3, false), Flush];
    let at = |at, survivors| {
        let disk = cut(&requests, at, survivors);
        [disk[0], disk[7], disk[8]]
    };
    assert_eq!(at(1, Survivors::None), [0, 0, 0]);
    assert_eq!(at(1, Survivors::All), [1, 0, 0]);
    assert_eq!(at(4, Survivors::None), [1, 0, 0]);
    assert_eq!(at(4, Survivors::All), [2, 3, 3]);
    assert_eq!(at(5, Survivors::None), [2, 3, 3]);
    let torn: HashSet<[u8; 3]> = (0..100).map(|seed| at(4, Survivors::Some(seed))).collect();
    assert_eq!(torn.len(), 8, "each of the three blocks is there or not: {torn:?}");
}

#[test]
fn a_write_with_fua_is_there_without_a_flush() {
    assert_eq!(cut(&[Write(3, 1, 9, true)], 1, Survivors::None)[3], 9);
}

#[test]
fn the_report_counts_bytes() {
    let (log, disk) = (log(&[Write(0, 8, 1, false), Flush, Write(8, 8, 1, false)]), NamedTempFile::new().unwrap());
    disk.as_file().set_len((DISK * SECTOR) as u64).unwrap();
    let log = Log::open(log.path()).unwrap();
    let cut = |survivors| log.cut(disk.as_file(), 3, survivors).unwrap();
    assert_eq!(cut(Survivors::None), Cut { flushed: 4096, kept: 0, lost: 4096 });
    assert_eq!(cut(Survivors::All), Cut { flushed: 4096, kept: 4096, lost: 0 });
}

#[test]
fn damaged_logs_are_errors() {
    let good = std::fs::read(log(&[Write(0, 1, 1, false), Flush]).path()).unwrap();
    let damaged = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        format!("{:#}", Log::open(file.path()).unwrap_err())
    };
    assert!(damaged(|bytes| bytes[0] = 0).contains("begins with"));
    assert!(damaged(|bytes| bytes[8] = 2).contains("version 2"));
    assert!(damaged(|bytes| bytes[16] = 9).contains("entry 2 of 9 is missing"));
    assert!(damaged(|bytes| bytes[24..28].fill(0)).contains("sectors have 0 bytes"));
    assert!(damaged(|bytes| bytes[512 + 16] = 64).contains("flags"));
    assert!(damaged(|bytes| bytes[512 + 15] = 255).contains("too large"));
    assert!(damaged(|bytes| bytes.truncate(600)).contains("entry 0 is cut off"));
    assert!(damaged(Vec::clear).contains("no superblock"));
}

#[test]
fn a_log_of_a_larger_disk_is_not_written_beyond_the_end() {
    let (log, disk) = (log(&[Write(DISK, 1, 1, true)]), NamedTempFile::new().unwrap());
    disk.as_file().set_len((DISK * SECTOR) as u64).unwrap();
    assert!(Log::open(log.path()).unwrap().cut(disk.as_file(), 1, Survivors::All).is_err());
    assert_eq!(disk.as_file().metadata().unwrap().len(), (DISK * SECTOR) as u64);
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let write = (0..DISK, 1..12usize, 1..=255u8, prop::bool::weighted(0.1))
        .prop_map(|(start, sectors, fill, fua)| Write(start, sectors.min(DISK - start), fill, fua));
    prop::collection::vec(prop_oneof![6 => write, 1 => (0..DISK).prop_map(Discard), 2 => Just(Flush)], 0..40)
}

/// For each sector what a disk may hold: the value of the last promise, then each one that was written since.
fn allowed(requests: &[Request]) -> Vec<Vec<u8>> {
    let mut sectors = vec![vec![0]; DISK];
    for request in requests {
        match request {
            Write(start, count, fill, fua) => {
                for sector in &mut sectors[*start..start + count] {
                    if *fua {
                        sector.clear();
                    }
                    sector.push(*fill);
                }
            }
            Flush => sectors.iter_mut().for_each(|sector| *sector = vec![*sector.last().unwrap()]),
            Discard(_) => {}
        }
    }
    sectors
}

proptest! {
    #[test]
    fn a_cut_leaves_what_a_disk_may_leave(requests in requests(), part in 0.0..=1.0f64, seed: u64) {
        let at = (requests.len() as f64 * part) as usize;
        let allowed = allowed(&requests[..at]);
        let none = cut(&requests, at, Survivors::None);
        let all = cut(&requests, at, Survivors::All);
        let some = cut(&requests, at, Survivors::Some(seed));
        for sector in 0..DISK {
            prop_assert_eq!(none[sector], allowed[sector][0]);
            prop_assert_eq!(all[sector], *allowed[sector].last().unwrap());
            prop_assert!(allowed[sector].contains(&some[sector]));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), count in 0u8..4) {
        let mut bytes = bytes;
        if bytes.len() > 32 {
            bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
            bytes[8..32].fill(0);
            (bytes[8], bytes[16], bytes[25]) = (1, count, 2);
        }
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let _ = Log::open(file.path());
    }
}
