//! What a registry or its token server says is read to an end, whatever it is.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cfs_host::fetch::parsers::answer(bytes));
