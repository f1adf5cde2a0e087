//! How large what is: pure arithmetic from wishes and content to partitions.

use std::path::Path;

use super::{Error, Result};
use crate::model::disk::Span;

const MIB: u64 = 1 << 20;
/// Partitions begin at multiples of this.
const ALIGNMENT: u64 = MIB;
/// Room for the backup partition table.
const TAIL: u64 = MIB;
/// Below this, FAT32 has too few clusters for firmware to take it as FAT32.
const SMALLEST_ESP: u64 = 40 * MIB;
/// ext4's blocks; fs-verity needs them to be as large as a page.
pub const BLOCK: u64 = 4096;
/// mke2fs' own ratio of bytes to inodes.
const BYTES_PER_INODE: u64 = 16384;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The size of the disk; `None`: as large as the content asks for.
    pub size: Option<u64>,
    /// The size of the ESP.
    pub esp_size: u64,
}

/// What must find room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Bytes on the root file system, in whole blocks, with fs-verity's trees.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
    /// Bytes on the ESP.
    pub esp_bytes: u64,
}

/// Where everything goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The disk's size.
    pub size: u64,
    /// EFI system partition.
    pub esp: Span,
    /// Root partition.
    pub root: Span,
    /// Inodes of the root file system.
    pub inodes: u64,
}

/// Lays the disk out, or says how much is missing. `what` names the disk in messages.
pub fn plan(what: &str, wish: &Wish, content: &Content) -> Result<Geometry> {
    let esp_needed = (2 * content.esp_bytes + 4 * MIB).max(SMALLEST_ESP);
    if wish.esp_size < esp_needed {
        return Err(Error::TooSmall { what: "--esp-size".into(), has: wish.esp_size, needed: esp_needed });
    }
    let esp = Span { offset: ALIGNMENT, size: wish.esp_size.next_multiple_of(ALIGNMENT) };
    let before_root = esp.offset + esp.size;
    let needed = before_root + root_needed(content) + TAIL;
    let size = wish.size.unwrap_or(needed + content.bytes + 1024 * MIB);
    if size < needed {
        return Err(Error::TooSmall { what: what.to_owned(), has: size, needed });
    }
    let end = (size - TAIL) / ALIGNMENT * ALIGNMENT;
    let root = Span { offset: before_root, size: end - before_root };
    // Twice the inodes of today: the next deployment lies beside this one.
    let inodes = (root.size / BYTES_PER_INODE).max(2 * content.inodes + 1024);
    Ok(Geometry { size, esp, root, inodes })
}

/// The least root partition: content, inodes, journal and bitmaps, one percent kept for root.
fn root_needed(content: &Content) -> u64 {
    let inode_tables = 256 * (2 * content.inodes + 1024);
    let payload = content.bytes + inode_tables + 96 * MIB;
    (payload + payload / 20).next_multiple_of(ALIGNMENT)
}

/// What a staged root directory takes on ext4 once fs-verity is on.
pub fn measure(staged: &Path) -> Result<Content> {
    let mut content = Content::default();
    let mut waiting = vec![staged.to_owned()];
    while let Some(directory) = waiting.pop() {
        let fail = |source| Error::Inspect { path: directory.clone(), source };
        for entry in std::fs::read_dir(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let metadata = entry.metadata().map_err(fail)?;
            content.inodes += 1;
            content.bytes += footprint(metadata.is_file(), metadata.len());
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(content)
}

/// Blocks of a file, its hash tree and its descriptor; one block for anything else.
fn footprint(is_file: bool, size: u64) -> u64 {
    match is_file {
        true => size.next_multiple_of(BLOCK) + (size / 127).next_multiple_of(BLOCK) + BLOCK,
        false => size.next_multiple_of(BLOCK).max(BLOCK),
    }
}

/// Sectors in one cluster of a FAT32 file system of this size: as many as leave it FAT32.
pub fn sectors_per_cluster(size: u64) -> u64 {
    match size / MIB {
        0..80 => 1,
        80..160 => 2,
        160..288 => 4,
        _ => 8,
    }
}

/// Parses `4G`, `512M`, `4096`; K, M, G and T are powers of 1024.
pub fn parse_size(text: &str) -> Result<u64> {
    let bad = || Error::BadSize(text.to_owned());
    let (digits, shift) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        Some((at, 'T' | 't')) => (&text[..at], 40),
        _ => (text, 0),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = plain.then(|| digits.parse().ok()).flatten().ok_or_else(bad)?;
    // Up to 2^53 bytes, so that no later sum overflows.
    number.checked_mul(1 << shift).filter(|&size| size <= 1 << 53).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WISH: Wish = Wish { size: None, esp_size: 512 * MIB };

    #[test]
    fn sizes_are_read() {
        for (text, size) in [("4G", 4 << 30), ("512M", 512 * MIB), ("1k", 1024), ("4096", 4096), ("1T", 1 << 40)] {
            assert_eq!(parse_size(text).unwrap(), size);
        }
        for bad in ["", "G", "-1G", "+1G", "1.5G", "4GiB", " 4G", "99999999999T", "é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_small_disk_is_refused_with_the_size_that_would_do() {
        let content = Content { bytes: 900 * MIB, inodes: 20_000, esp_bytes: 20 * MIB };
        let small = Wish { size: Some(1024 * MIB), ..WISH };
        let Err(Error::TooSmall { needed, .. }) = plan("disk.img", &small, &content) else { panic!("not refused") };
        assert!(plan("disk.img", &Wish { size: Some(needed - 1), ..WISH }, &content).is_err());
        assert_eq!(plan("disk.img", &Wish { size: Some(needed), ..WISH }, &content).unwrap().size, needed);
    }

    #[test]
    fn an_esp_holds_two_ukis() {
        let content = Content { bytes: 0, inodes: 0, esp_bytes: 300 * MIB };
        let error = plan("disk.img", &WISH, &content).unwrap_err().to_string();
        assert!(error.contains("--esp-size") && error.contains("604 MiB"), "{error}");
    }

    #[test]
    fn verity_is_counted() {
        assert_eq!(footprint(true, 0), 4096);
        assert_eq!(footprint(true, 100), 4096 + 4096);
        assert_eq!(footprint(true, 4097), 8192 + 4096 + 4096);
        assert_eq!(footprint(false, 10), 4096);
    }

    #[test]
    fn a_staged_tree_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/f"), [0; 5000]).unwrap();
        std::os::unix::fs::symlink("x", dir.path().join("l")).unwrap();
        let content = measure(dir.path()).unwrap();
        assert_eq!(content.inodes, 3);
        assert_eq!(content.bytes, 4096 + (8192 + 4096 + 4096) + 4096);
    }

    proptest! {
        #[test]
        fn partitions_never_overlap_or_leave_the_disk(
            size in 0u64..1 << 50, esp in 0u64..1 << 33, bytes in 0u64..1 << 40, inodes in 0u64..1 << 24,
        ) {
            let content = Content { bytes, inodes, esp_bytes: 1000 };
            for size in [None, Some(size)] {
                if let Ok(plan) = plan("d", &Wish { size, esp_size: esp }, &content) {
                    prop_assert!(plan.esp.offset >= MIB && plan.esp.offset % MIB == 0);
                    prop_assert!(plan.root.offset % MIB == 0 && plan.root.size % MIB == 0);
                    prop_assert_eq!(plan.esp.offset + plan.esp.size, plan.root.offset);
                    prop_assert!(plan.root.offset + plan.root.size + 34 * 512 <= plan.size);
                    prop_assert!(plan.root.size > content.bytes && plan.inodes > content.inodes);
                }
            }
        }

        #[test]
        fn every_esp_has_enough_clusters_for_fat32(size in SMALLEST_ESP..1 << 36) {
            let clusters = (size - size / 64) / 512 / sectors_per_cluster(size);
            prop_assert!(clusters >= 65_525);
        }

        #[test]
        fn any_text_is_a_size_or_refused(text: String) {
            let _ = parse_size(&text);
        }
    }
}
