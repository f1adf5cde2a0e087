//! The kernel's command line (security rule 2).

use crate::policy::Policy;
use crate::refusal::Refusal;

/// Checks `/proc/cmdline` against the policy.
pub fn check(_proc_cmdline: &[u8], _policy: &Policy) -> Result<(), Refusal> {
    Err(Refusal::new(2, "not yet"))
}
