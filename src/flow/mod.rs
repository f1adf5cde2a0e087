//! The sequences of steps, one file each; nothing else knows the order.

pub mod import;
pub mod install;
pub mod report;
pub mod seal;
pub mod sign;
pub mod status;
pub mod uki;
pub mod verify;
pub mod workshop;
