//! A file of settings and a name: whatever comes out of both is a name that can become a URL.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (name, file) = input.split_once('\n').unwrap_or((input, ""));
    cfs_host::fetch::parsers::settings(file, name);
});
