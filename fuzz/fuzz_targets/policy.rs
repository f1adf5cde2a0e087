//! A policy that is read can be written and read again.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(policy) = cfs_init::policy::Policy::parse(bytes) {
        let json = policy.to_json().expect("what was read is valid");
        assert_eq!(cfs_init::policy::Policy::parse(&json).expect("what was written is valid"), policy);
        let _ = cfs_init::signature::check_signers(&policy);
    }
});
