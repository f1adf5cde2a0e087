//! Entries of any tar stream stay inside of the tree and of what a file system holds, and within the limits. Headers get the
//! checksum that they should have: no fuzzer would find it.
#![no_main]
use cfs_host::import::{survey, Budget, Entry, Item};
use cfs_host::model::limits::Limits;
use libfuzzer_sys::fuzz_target;

const SIZE: u64 = 1 << 16;

fn inside(path: &[u8]) -> bool {
    let part =
        |part: &[u8]| !part.is_empty() && part.len() <= 255 && part != b"." && part != b".." && !part.contains(&0);
    path.is_empty() || (path.len() <= 4095 && path.split(|byte| *byte == b'/').all(part))
}

fn sound(entry: &Entry) -> bool {
    let attributes = &entry.meta.xattrs;
    let content = match &entry.item {
        Item::Inline(bytes) => bytes.len() <= 64,
        Item::Object { size, .. } => *size > 64 && *size <= SIZE,
        Item::Symlink(target) => !target.is_empty() && target.len() <= 4095 && !target.contains(&0),
        Item::HardLink(target) => inside(target) && *target != entry.path,
        Item::Directory | Item::Special { .. } => true,
    };
    content
        && inside(&entry.path)
        && entry.meta.mtime_nsec < 1_000_000_000
        && attributes.iter().all(|(name, _)| name.len() <= 255)
}

fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for header in bytes.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let limits = ["size=65536", "entries=1000"].iter().filter_map(|text| text.parse().ok());
    if let Ok(entries) = survey(&with_checksums(bytes)[..], &Budget::new(limits.fold(Limits::default(), Limits::with)))
    {
        assert!(entries.len() <= 1000 && entries.iter().all(sound));
    }
});
