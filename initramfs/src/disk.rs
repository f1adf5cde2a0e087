//! The root partition, found by GPT type on the loader's disk (security rule 7).

/// Root partition type on x86-64 (Discoverable Partitions Specification).
pub const ROOT_X86_64: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
/// Root partition type on AArch64.
pub const ROOT_AARCH64: &str = "b921b045-1df0-41c3-af44-4c6f280d3fae";
