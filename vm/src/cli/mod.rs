//! One file per verb: arguments and the call of the library.

pub mod boot;
pub mod firmware;
pub mod play;
pub mod road;
pub mod scenario;
pub mod share;
mod suite;
pub mod tamper;
