//! The `cfs-host` program.

fn main() {}
