//! The sequences of steps, one file each; nothing else knows the order.

pub mod import;
pub mod seal;
pub mod sign;
pub mod verify;
mod workshop;
