//! Reading any splitstream ends, and an object that it gives is one that it lists.
#![no_main]
use cfs_host::store::stream::{Reader, References};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let references = References::parse(bytes);
    let Ok(reader) = Reader::parse(bytes, b"ocilayer") else { return };
    assert_eq!(references.expect("what can be read can be followed").objects, reader.objects);
    let Ok(mut body) = reader.body() else { return };
    let mut block = [0; 512];
    // A few compressed bytes may stand for very many.
    for _ in 0..10_000 {
        match body.object() {
            Ok(Some(digest)) => assert!(reader.objects.contains(&digest)),
            Ok(None) if body.inline(&mut block).unwrap_or(false) => {}
            _ => return,
        }
    }
});
