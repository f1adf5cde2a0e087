//! Only the policy's own line and allowed arguments pass.
#![no_main]
use libfuzzer_sys::fuzz_target;

use cfs_init::policy::Policy;

const POLICY: &[u8] = include_bytes!("../policy.json");

fuzz_target!(|bytes: &[u8]| {
    let policy = Policy::parse(POLICY).expect("the example is valid");
    if cfs_init::cmdline::check(bytes, &policy).is_ok() {
        let line = String::from_utf8(bytes.to_vec()).expect("only ASCII passes");
        let own = policy.cmdline.split_whitespace().count();
        assert!(line.split_whitespace().skip(own).all(|argument| argument.starts_with("console=")));
    }
});
