//! A record that is read fits when it is written.
#![no_main]
use libfuzzer_sys::fuzz_target;

use cfs_init::fallback::{RefusalRecord, MAX_RECORD};

fuzz_target!(|bytes: &[u8]| {
    if let Some(record) = RefusalRecord::parse(bytes) {
        assert!(record.to_bytes().len() <= MAX_RECORD);
    }
});
