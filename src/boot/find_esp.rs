//! Which partition the loader came from: its own word, and the kernel's list of partitions.

use std::path::{Path, PathBuf};

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
    let list = std::fs::read_dir(root.join("sys/class/block")).map_err(|error| format!("/sys/class/block: {error}"))?;
    let found: Vec<String> = list
        .flatten()
        .filter(|entry| {
            let uevent = std::fs::read_to_string(entry.path().join("uevent")).unwrap_or_default();
            part_uuid(&uevent).is_some_and(|own| own.eq_ignore_ascii_case(uuid))
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    match &found[..] {
        [one] => Ok(root.join("dev").join(one)),
        [] => Err(format!("no partition has the UUID {uuid}")),
        several => Err(format!("several partitions have the UUID {uuid}: {}", several.join(", "))),
    }
}

/// The partition's GUID in the kernel's description of a block device.
fn part_uuid(uevent: &str) -> Option<&str> {
    uevent.lines().find_map(|line| line.strip_prefix("PARTUUID="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn host(attributes: u8, partitions: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let variables = dir.path().join(efivar::EFIVARS);
        fs::create_dir_all(&variables).unwrap();
        let text: Vec<u8> = "AB-1\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let path = efivar::path(dir.path(), "LoaderDevicePartUUID", LOADER);
        fs::write(path, [&[attributes, 0, 0, 0][..], &text].concat()).unwrap();
        for (name, uuid) in partitions {
            let folder = dir.path().join("sys/class/block").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("uevent"), format!("MAJOR=8\nPARTUUID={uuid}\n")).unwrap();
        }
        dir
    }

    #[test]
    fn the_partition_is_found_whatever_the_case_of_its_uuid() {
        let dir = host(6, &[("vda1", "ab-1"), ("vda2", "ab-2")]);
        assert_eq!(device(dir.path()).unwrap(), dir.path().join("dev/vda1"));
    }

    #[test]
    fn two_of_a_kind_none_and_a_planted_variable_are_refused() {
        assert!(device(host(6, &[("vda1", "ab-1"), ("vdb1", "AB-1")]).path()).unwrap_err().contains("several"));
        assert!(device(host(6, &[("vda1", "ab-3")]).path()).unwrap_err().contains("no partition"));
        assert!(device(host(7, &[("vda1", "ab-1")]).path()).unwrap_err().contains("did not leave"));
    }
}
