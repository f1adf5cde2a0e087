//! Which partition the loader came from: its own word, and the partition tables of the disks.

use std::path::{Path, PathBuf};

use cfs_init::devices;

use super::efivar::{self, LOADER};

/// Volatile, for the boot services and at run time: what the loader itself set (rule 6).
const VOLATILE: u32 = 6;

/// The device of the ESP; the reason if there is none or more than one.
pub fn device(root: &Path) -> Result<PathBuf, String> {
    let variable = efivar::read(root, "LoaderDevicePartUUID", LOADER)
        .filter(|variable| variable.attributes == VOLATILE)
        .ok_or("the loader did not leave LoaderDevicePartUUID: boot through systemd-boot")?;
    let texts = variable.as_texts().unwrap_or_default();
    let [uuid] = &texts[..] else { return Err("LoaderDevicePartUUID is no text".to_owned()) };
    devices::partition(root, &uuid.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const UUID: &str = "0c67ccad-b469-49f1-b801-0a48df48cf0d";

    /// A host whose loader said `UUID`, with disks that have an empty partition each.
    fn host(attributes: u8, disks: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let variables = dir.path().join(efivar::EFIVARS);
        fs::create_dir_all(&variables).unwrap();
        let text: Vec<u8> = UUID.to_uppercase().encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let path = efivar::path(dir.path(), "LoaderDevicePartUUID", LOADER);
        fs::write(path, [&[attributes, 0, 0, 0][..], &text].concat()).unwrap();
        fs::create_dir_all(dir.path().join("dev")).unwrap();
        for (name, uuid) in disks {
            let folder = dir.path().join("sys/block").join(name);
            fs::create_dir_all(folder.join("queue")).unwrap();
            fs::create_dir_all(folder.join(format!("{name}1"))).unwrap();
            fs::write(folder.join("queue/logical_block_size"), "512\n").unwrap();
            fs::write(folder.join(format!("{name}1/partition")), "1\n").unwrap();
            fs::write(dir.path().join(format!("dev/{name}1")), "").unwrap();
            disk(&dir.path().join("dev").join(name), uuid);
        }
        dir
    }

    fn disk(path: &Path, uuid: &str) {
        let file = fs::File::options().create_new(true).read(true).write(true).open(path).unwrap();
        file.set_len(1 << 20).unwrap();
        let config = gpt::GptConfig::new().writable(true);
        let mut table = config.create_from_device(file, None).unwrap();
        table.add_partition("esp", 64 << 10, gpt::partition_types::EFI, 0, None).unwrap();
        let mut partitions = table.partitions().clone();
        partitions.get_mut(&1).unwrap().part_guid = uuid.parse().unwrap();
        table.update_partitions(partitions).unwrap();
        table.write().unwrap();
    }

    #[test]
    fn the_partition_is_found_whatever_the_case_of_its_uuid() {
        let dir = host(6, &[("vda", "1c67ccad-b469-49f1-b801-0a48df48cf0d"), ("vdb", UUID)]);
        assert_eq!(device(dir.path()).unwrap(), dir.path().join("dev/vdb1"));
    }

    #[test]
    fn two_of_a_kind_none_and_a_planted_variable_are_refused() {
        assert!(device(host(6, &[("vda", UUID), ("vdb", UUID)]).path()).unwrap_err().contains("several"));
        let other = host(6, &[("vda", "1c67ccad-b469-49f1-b801-0a48df48cf0d")]);
        assert!(device(other.path()).unwrap_err().contains("no partition"));
        assert!(device(host(7, &[("vda", UUID)]).path()).unwrap_err().contains("did not leave"));
    }
}
