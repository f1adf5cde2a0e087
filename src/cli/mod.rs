//! One file per verb: arguments, the call of a flow, the print-out.

pub mod install;
pub mod status;
