//! No signature is believed without a key, and none makes the reader panic.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = cfs_init::signature::claimed_digest(bytes);
    if let Ok(statements) = cfs_init::profile::statements(bytes) {
        assert!((1..=cfs_init::profile::MAX_SIGNERS).contains(&statements.len()));
    }
});
