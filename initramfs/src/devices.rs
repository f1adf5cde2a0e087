//! From the loader's claim to a device node (security rule 7): disks are read here and judged in [`crate::disk`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk::{self, Disk};
use crate::refusal::Refusal;

/// How long a disk may take to show itself.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// Enough of a disk for its partition table: header and 128 entries of the usual size, on any sector size.
const TABLE: u64 = 64 * 1024;
const BLOCK: &str = "sys/block";

/// What was found on the disks, good or bad.
#[derive(Default)]
struct Scan {
    disks: Vec<Disk>,
    /// Disks without a usable table, for the message.
    unreadable: Vec<String>,
}

/// The root partition's device node, on the disk that the loader was started from.
pub fn root(esp: &str) -> Result<String, Refusal> {
    let end = Instant::now() + PATIENCE;
    loop {
        let scan = scan(Path::new("/"));
        let seen = scan.disks.iter().flat_map(|disk| &disk.partitions).any(|partition| partition.uuid == esp);
        let late = Instant::now() >= end;
        if seen || late {
            let (name, number) = disk::choose_root(&scan.disks, esp, disk::native_root_type())
                .map_err(|refusal| with_unreadable(refusal, &scan.unreadable))?;
            if let Some(node) = node(Path::new("/"), &name, number) {
                return Ok(node.to_string_lossy().into_owned());
            }
            if late {
                return Err(Refusal::new(7, format!("partition {number} of {name} has no device node")));
            }
        }
        std::thread::sleep(POLL);
    }
}

/// The device node of the one partition with this UUID (lower case), below a root directory with `sys` and `dev`. Read from
/// the tables: the kernel of Debian 13 does not name UUIDs in sysfs, and not every host runs udev.
pub fn partition(root: &Path, uuid: &str) -> Result<PathBuf, String> {
    let disks = scan(root).disks;
    let all = disks.iter().flat_map(|disk| disk.partitions.iter().map(move |partition| (disk, partition)));
    let found: Vec<_> = all.filter(|(_, partition)| partition.uuid == uuid).collect();
    match found[..] {
        [(disk, partition)] => node(root, &disk.name, partition.number)
            .ok_or_else(|| format!("partition {} of {} has no device node", partition.number, disk.name)),
        [] => Err(format!("no partition has the UUID {uuid}")),
        _ => {
            let names: Vec<&str> = found.iter().map(|(disk, _)| disk.name.as_str()).collect();
            Err(format!("several partitions have the UUID {uuid}: on {}", names.join(", ")))
        }
    }
}

fn with_unreadable(refusal: Refusal, unreadable: &[String]) -> Refusal {
    match unreadable {
        [] => refusal,
        disks => Refusal::new(refusal.rule, format!("{} (not usable: {})", refusal.why, disks.join(", "))),
    }
}

fn scan(root: &Path) -> Scan {
    let mut scan = Scan::default();
    let names = std::fs::read_dir(root.join(BLOCK)).into_iter().flatten().flatten().map(|entry| entry.file_name());
    for name in names.filter_map(|name| name.into_string().ok()) {
        match partitions(root, &name) {
            Ok(partitions) => scan.disks.push(Disk { name, partitions }),
            Err(why) => scan.unreadable.push(format!("{name}: {why}")),
        }
    }
    scan
}

fn partitions(root: &Path, name: &str) -> Result<Vec<disk::Partition>, String> {
    let sector = number(&root.join(BLOCK).join(name).join("queue/logical_block_size")).ok_or("no sector size")?;
    let mut table = Vec::new();
    let device = File::open(device_node(root, name)).map_err(|error| error.to_string())?;
    device.take(TABLE).read_to_end(&mut table).map_err(|error| error.to_string())?;
    disk::parse_gpt(&table, sector).map_err(|error| error.to_string())
}

/// The node of the disk's partition with this number, once the kernel has made it.
fn node(root: &Path, name: &str, wanted: u32) -> Option<PathBuf> {
    let children = std::fs::read_dir(root.join(BLOCK).join(name)).ok()?.flatten();
    let child =
        children.map(|entry| entry.path()).find(|path| number(&path.join("partition")) == Some(wanted.into()))?;
    let node = device_node(root, child.file_name()?.to_str()?);
    node.exists().then_some(node)
}

/// sysfs spells the `/` of a device's name as `!`.
fn device_node(root: &Path, name: &str) -> PathBuf {
    root.join("dev").join(name.replace('!', "/"))
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_its_number_not_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("dev")).unwrap();
        for (name, number) in [("one", "2\n"), ("two", "12\n"), ("no-such-node", "3\n")] {
            std::fs::create_dir_all(root.join("sys/block/disk").join(name)).unwrap();
            std::fs::write(root.join("sys/block/disk").join(name).join("partition"), number).unwrap();
            if name != "no-such-node" {
                std::fs::write(root.join("dev").join(name), "").unwrap();
            }
        }
        std::fs::create_dir_all(root.join("sys/block/disk/queue")).unwrap();
        assert_eq!(node(root, "disk", 2), Some(root.join("dev/one")));
        assert_eq!(node(root, "disk", 12), Some(root.join("dev/two")));
        assert_eq!(node(root, "disk", 3), None);
        assert_eq!(node(root, "disk", 1), None);
        assert_eq!(node(root, "other", 2), None);
    }

    #[test]
    fn names_with_a_slash_are_found() {
        assert_eq!(device_node(Path::new("/"), "cciss!c0d0p1"), Path::new("/dev/cciss/c0d0p1"));
    }

    #[test]
    fn the_refusal_tells_which_disks_could_not_be_used() {
        let refusal = with_unreadable(Refusal::new(7, "no such partition"), &["sr0: no medium".to_owned()]);
        assert_eq!(refusal.to_string(), "rule 7: no such partition (not usable: sr0: no medium)");
    }
}
