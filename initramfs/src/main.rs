//! The boot.
fn main() {}
