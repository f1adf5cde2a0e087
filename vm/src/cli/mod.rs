//! One file per verb: arguments and the call of the library.

pub mod boot;
pub mod firmware;
pub mod scenario;
pub mod tamper;
