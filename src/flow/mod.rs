//! The sequences of steps, one file each; nothing else knows the order.

pub mod import;
pub mod install;
pub mod status;
