//! Objects come sorted and once, and reading any image ends.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(objects) = cfs_init::objects::objects(bytes) {
        assert!(objects.windows(2).all(|pair| pair[0].digest < pair[1].digest));
    }
});
