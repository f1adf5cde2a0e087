//! What is claimed is one of our names, whatever the variables hold.
#![no_main]
use libfuzzer_sys::fuzz_target;

use cfs_init::loader::{claim, list, RawVariables};

fuzz_target!(|raw: [Option<Vec<u8>>; 4]| {
    let [entry_selected, stub_image, device_part_uuid, entries] = raw;
    let _ = list(entries.as_deref());
    if let Ok(claim) = claim(&RawVariables { entry_selected, stub_image, device_part_uuid, entries }) {
        assert!(claim.entry_file().starts_with(&claim.entry().to_string()));
    }
});
