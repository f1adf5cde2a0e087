//! The root partition, found by GPT type on the loader's disk (security rule 7).

use crate::refusal::Refusal;

/// Root partition type on x86-64 (Discoverable Partitions Specification).
pub const ROOT_X86_64: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
/// Root partition type on AArch64.
pub const ROOT_AARCH64: &str = "b921b045-1df0-41c3-af44-4c6f280d3fae";

/// A GPT partition; UUIDs in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Counted from 1, as the kernel does.
    pub number: u32,
    /// What it is for.
    pub type_uuid: String,
    /// Which one it is.
    pub uuid: String,
    /// Its first sector.
    pub first_lba: u64,
    /// Its last sector.
    pub last_lba: u64,
}

/// A disk and what its GPT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name, `vda` for one.
    pub name: String,
    /// In the table's order.
    pub partitions: Vec<Partition>,
}

/// Why bytes are not a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a partition table: {0}")]
pub struct BadGpt(pub &'static str);

/// Parses the primary GPT.
pub fn parse_gpt(_sectors: &[u8], _sector_size: u64) -> Result<Vec<Partition>, BadGpt> {
    Err(BadGpt("not yet"))
}

/// The root partition: disk name and partition number.
pub fn choose_root(_disks: &[Disk], _esp_uuid: &str, _root_type: &str) -> Result<(String, u32), Refusal> {
    Err(Refusal::new(7, "not yet"))
}

/// The root partition type of the architecture that this program runs on.
pub fn native_root_type() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        ROOT_AARCH64
    } else {
        ROOT_X86_64
    }
}
