//! A manifest and a configuration that are taken have a diff ID for each layer. A NUL parts the two; `@CONFIG@` stands for the
//! configuration's digest, which no fuzzer would find.
#![no_main]
use cfs_host::fetch::ImageMeta;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|bytes: &[u8]| {
    let mut halves = bytes.splitn(2, |byte| *byte == 0);
    let (Some(manifest), Some(config)) = (halves.next(), halves.next()) else { return };
    let digest = hex::encode(Sha256::digest(config));
    let manifest = String::from_utf8_lossy(manifest).replace("@CONFIG@", &digest);
    let reference = "oci:image:v1".parse().expect("a reference");
    if let Ok(meta) = ImageMeta::new(&reference, manifest.into_bytes(), config.to_vec()) {
        let diff_ids = meta.diff_ids().expect("checked when it was made");
        assert_eq!(diff_ids.len(), meta.manifest.layers().len());
    }
});
