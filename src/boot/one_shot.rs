//! `LoaderEntryOneShot`: which entry the loader boots next, once. Specification: the Boot Loader Interface.

use std::path::Path;

use super::efivar::{self, LOADER};
use crate::model::EntryName;
use crate::sys::{Result, Sys};

const NAME: &str = "LoaderEntryOneShot";
/// Non-volatile, boot services, run time.
const ATTRIBUTES: u32 = 7;

/// The id that is set, as the loader will read it (`cfs-….conf`).
pub fn get(root: &Path) -> Option<String> {
    efivar::read(root, NAME, LOADER)?.as_texts()?.into_iter().next()
}

/// The next start, and only that, is this entry's.
pub fn set(sys: &Sys, root: &Path, entry: &EntryName) -> Result<()> {
    let text: Vec<u8> = entry.conf().encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    sys.write_efi_variable(&efivar::path(root, NAME, LOADER), &[&ATTRIBUTES.to_le_bytes()[..], &text].concat())
}

/// The next start is the default's.
pub fn clear(sys: &Sys, root: &Path) -> Result<()> {
    sys.remove_efi_variable(&efivar::path(root, NAME, LOADER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_back_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(efivar::EFIVARS)).unwrap();
        let entry: EntryName = "cfs-0123456789abcdef.0.0".parse().unwrap();
        set(&Sys::real(), dir.path(), &entry).unwrap();
        assert_eq!(get(dir.path()).unwrap(), "cfs-0123456789abcdef.0.0.conf");
        clear(&Sys::real(), dir.path()).unwrap();
        assert_eq!(get(dir.path()), None);
    }
}
