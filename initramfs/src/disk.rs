//! The root partition, found by GPT type on the loader's disk (security rule 7).
//!
//! There is no `root=`: the ESP that the loader came from says which disk, the partition type says which
//! partition, and where either is not unique the boot stops instead of guessing. Which partition it is decides
//! nothing about trust; an ambiguous one is an attempt to have another `/var` and `/etc` mounted.

use crate::refusal::Refusal;

/// Root partition type on x86-64 (Discoverable Partitions Specification).
pub const ROOT_X86_64: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
/// Root partition type on AArch64.
pub const ROOT_AARCH64: &str = "b921b045-1df0-41c3-af44-4c6f280d3fae";

/// The most entries of a table that is read.
const MAX_ENTRIES: usize = 256;

/// A GPT partition; UUIDs in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the table, counted from 1 as the kernel does.
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
    /// The partitions in use, in the table's order.
    pub partitions: Vec<Partition>,
}

/// Why bytes are not a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a GPT partition table: {0}")]
pub struct BadGpt(pub &'static str);

/// Parses the primary GPT out of a disk's first sectors (34 of 512 bytes, 6 of 4096).
pub fn parse_gpt(sectors: &[u8], sector_size: u64) -> Result<Vec<Partition>, BadGpt> {
    let sector = usize::try_from(sector_size).unwrap_or(0);
    if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
        return Err(BadGpt("the sector size is none of 512, 1024, 2048, 4096"));
    }
    let header = sectors.get(sector..2 * sector).ok_or(BadGpt("too short"))?;
    check_header(header)?;
    let (start, count, size) = (u64_at(header, 72), u32_at(header, 80) as usize, u32_at(header, 84) as usize);
    if count > MAX_ENTRIES || !size.is_power_of_two() || !(128..=4096).contains(&size) {
        return Err(BadGpt("the number or the size of its entries is out of range"));
    }
    let start = usize::try_from(start).ok().and_then(|start| start.checked_mul(sector));
    let entries = start
        .and_then(|start| sectors.get(start..)?.get(..count * size))
        .ok_or(BadGpt("its entries lie outside of the first sectors"))?;
    if crc32(&[entries]) != u32_at(header, 88) {
        return Err(BadGpt("the checksum of its entries is wrong"));
    }
    entries.chunks_exact(size).zip(1..).filter(|(entry, _)| entry[..16] != [0; 16]).map(partition).collect()
}

fn check_header(header: &[u8]) -> Result<(), BadGpt> {
    if !header.starts_with(b"EFI PART\0\0\x01\0") {
        return Err(BadGpt("no header of revision 1.0"));
    }
    let covered =
        usize::try_from(u32_at(header, 12)).ok().filter(|&size| size >= 92).and_then(|size| header.get(..size));
    let covered = covered.ok_or(BadGpt("the header's size is out of range"))?;
    if crc32(&[&covered[..16], &[0; 4], &covered[20..]]) != u32_at(header, 16) {
        return Err(BadGpt("the checksum of its header is wrong"));
    }
    if u64_at(header, 24) != 1 {
        return Err(BadGpt("the header says that it is not the primary one"));
    }
    Ok(())
}

fn partition((entry, number): (&[u8], u32)) -> Result<Partition, BadGpt> {
    let (first_lba, last_lba) = (u64_at(entry, 32), u64_at(entry, 40));
    if first_lba > last_lba {
        return Err(BadGpt("a partition ends before it starts"));
    }
    Ok(Partition { number, type_uuid: uuid(&entry[..16]), uuid: uuid(&entry[16..32]), first_lba, last_lba })
}

/// The root partition, as the name of the disk and the partition's number: the one partition of `root_type`
/// on the one disk that has the ESP of this UUID (lower case).
pub fn choose_root(disks: &[Disk], esp_uuid: &str, root_type: &str) -> Result<(String, u32), Refusal> {
    let named = |uuid: &str| {
        let all = disks.iter().flat_map(|disk| disk.partitions.iter().map(move |partition| (disk, partition)));
        all.filter(|(_, partition)| partition.uuid == uuid).map(|(disk, _)| disk).collect::<Vec<_>>()
    };
    let disk = match named(esp_uuid).as_slice() {
        [disk] => *disk,
        [] => return Err(refuse(format!("no disk has the partition {esp_uuid} that the loader came from"))),
        several => return Err(refuse(format!("{}: detach the copy", twice(several, esp_uuid)))),
    };
    let roots: Vec<_> = disk.partitions.iter().filter(|partition| partition.type_uuid == root_type).collect();
    let root = match roots.as_slice() {
        [root] => root,
        found => {
            let (name, n) = (&disk.name, found.len());
            return Err(refuse(format!(
                "the loader's disk {name} has {n} root partitions (type {root_type}) and must have one"
            )));
        }
    };
    match named(&root.uuid).as_slice() {
        [_] => Ok((disk.name.clone(), root.number)),
        several => Err(refuse(format!("{}: detach the copy", twice(several, &root.uuid)))),
    }
}

fn twice(disks: &[&Disk], uuid: &str) -> String {
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    format!("the partition {uuid} is there {} times (on {})", disks.len(), names.join(", "))
}

fn refuse(why: String) -> Refusal {
    Refusal::new(7, why)
}

/// The root partition type of the architecture that this program runs on.
pub const fn native_root_type() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        ROOT_AARCH64
    } else {
        ROOT_X86_64
    }
}

/// GPT's mixed-endian UUIDs as text.
fn uuid(bytes: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let hex: String = ORDER.iter().map(|&at| format!("{:02x}", bytes[at])).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]))
}

/// CRC-32 (IEEE) over the parts, one after the other.
fn crc32(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests;
