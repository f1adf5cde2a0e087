//! Which files a new EFI system partition holds, in the order in which they are written.
//!
//! What is named comes before what names it, and what the firmware starts comes last:
//! a half-written ESP boots nothing.

use cfs_init::names::uki_file_name;
use sha2::{Digest as _, Sha256};

use super::entry::{Entry, UKIS};
use crate::model::arch::Arch;
use crate::model::EntryName;

/// A file to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspFile {
    /// Path from the ESP's root, without a leading slash.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Keys that the loader enrolls into a firmware in setup mode: variable name and signed update.
pub type EnrollKeys = Vec<(String, Vec<u8>)>;

/// What goes onto a new ESP.
#[derive(Debug)]
pub struct NewEsp<'a> {
    /// For file names.
    pub arch: Arch,
    /// The signed loader.
    pub loader: Vec<u8>,
    /// The signed UKI.
    pub uki: Vec<u8>,
    /// What the entry boots.
    pub entry: EntryName,
    /// The system's name, for the menu.
    pub system: &'a str,
    /// `PK`, `KEK`, `db`; empty: the loader enrolls nothing.
    pub enroll: EnrollKeys,
}

impl NewEsp<'_> {
    /// The files in the order of writing.
    pub fn files(self) -> Vec<EspFile> {
        let file = |path: String, bytes: Vec<u8>| EspFile { path, bytes };
        let uki = uki_file_name(&Sha256::digest(&self.uki).into());
        let entry = Entry::new(self.entry, self.system, uki.clone());
        let loader_conf = loader_conf(!self.enroll.is_empty());
        let mut files = vec![
            file(format!("{UKIS}/{uki}"), self.uki),
            file(entry.path(), entry.render().into_bytes()),
            file("loader/entries.srel".into(), b"type1\n".to_vec()),
            file("loader/loader.conf".into(), loader_conf.into_bytes()),
        ];
        let keys = self.enroll.into_iter();
        files.extend(keys.map(|(name, bytes)| file(format!("loader/keys/auto/{name}.auth"), bytes)));
        files.push(file(format!("EFI/systemd/{}", self.arch.systemd_boot), self.loader.clone()));
        files.push(file(format!("EFI/BOOT/{}", self.arch.removable_loader), self.loader));
        files
    }
}

/// No menu, no editor, and no default: the entry with the highest order is it.
fn loader_conf(enroll: bool) -> String {
    let enroll = if enroll { "secure-boot-enroll force\n" } else { "" };
    format!("timeout 0\neditor no\n{enroll}")
}

/// The directories that these files need, parents first.
pub fn directories(files: &[EspFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (at, _) in file.path.match_indices('/') {
            let directory = file.path[..at].to_owned();
            if !found.contains(&directory) {
                found.push(directory);
            }
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::arch;

    pub(crate) fn example(enroll: EnrollKeys) -> Vec<EspFile> {
        let entry = "cfs-0123456789abcdef.0.1".parse().unwrap();
        let arch = arch::by_oci_name("amd64").unwrap();
        NewEsp { arch, loader: b"loader".to_vec(), uki: vec![1; 5000], entry, system: "Example", enroll }.files()
    }

    fn paths(files: &[EspFile]) -> Vec<&str> {
        files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn the_uki_is_first_and_what_firmware_starts_is_last() {
        let uki = format!("EFI/cfs/{}", uki_file_name(&Sha256::digest([1; 5000]).into()));
        let files = example(vec![]);
        assert_eq!(
            paths(&files),
            [
                uki.as_str(),
                "loader/entries/cfs-0123456789abcdef.0.1.conf",
                "loader/entries.srel",
                "loader/loader.conf",
                "EFI/systemd/systemd-bootx64.efi",
                "EFI/BOOT/BOOTX64.EFI",
            ]
        );
        assert_eq!(files[3].bytes, b"timeout 0\neditor no\n");
        assert!(files[1].bytes.ends_with(format!("linux      /{uki}\n").as_bytes()));
    }

    #[test]
    fn keys_are_enrolled_only_when_asked_for() {
        let files = example(vec![("PK".into(), b"pk".to_vec())]);
        assert!(paths(&files).contains(&"loader/keys/auto/PK.auth"));
        let conf = files.iter().find(|file| file.path == "loader/loader.conf").unwrap();
        assert!(conf.bytes.ends_with(b"secure-boot-enroll force\n"));
    }

    #[test]
    fn directories_come_parents_first_and_once() {
        assert_eq!(
            directories(&example(vec![])),
            ["EFI", "EFI/cfs", "loader", "loader/entries", "EFI/systemd", "EFI/BOOT"]
        );
    }
}
