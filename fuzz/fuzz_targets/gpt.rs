//! A partition table that is read has sound partitions.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for sector in [512, 4096] {
        for partition in cfs_init::disk::parse_gpt(bytes, sector).unwrap_or_default() {
            assert!(partition.first_lba <= partition.last_lba && partition.uuid.len() == 36);
        }
    }
});
