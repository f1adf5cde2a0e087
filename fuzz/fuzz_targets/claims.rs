//! Claims that are read encode back to the same bytes.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(claims) = cfs_init::claims::Claims::from_der(bytes) {
        assert_eq!(claims.to_der().as_deref(), Ok(bytes));
    }
});
