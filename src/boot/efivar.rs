//! EFI variables, read from efivarfs: what firmware, loader and `/init` left for `status`.
//!
//! Anyone with root can write some of them: a value is a hint, never a proof.

use std::path::{Path, PathBuf};

/// Where efivarfs is mounted, from the root directory.
pub const EFIVARS: &str = "sys/firmware/efi/efivars";
/// The UEFI specification's own vendor.
pub const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The Boot Loader Interface's vendor.
pub const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Ours.
pub const CFS_HOST: &str = "76de96f7-2aa9-429f-9361-321acb1fd2a1";
/// The largest value that is looked at.
const MAX_BYTES: usize = 64 * 1024;
/// The largest dbx.
const MAX_LARGE: usize = 1024 * 1024;

/// A variable's attributes and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `EFI_VARIABLE_*` bits.
    pub attributes: u32,
    /// The value.
    pub value: Vec<u8>,
}

impl Variable {
    /// Splits a file of efivarfs: four bytes of attributes, then the value.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse_bounded(bytes, MAX_BYTES)
    }

    fn parse_bounded(bytes: &[u8], most: usize) -> Option<Self> {
        let (attributes, value) = bytes.split_first_chunk::<4>()?;
        let small = value.len() <= most;
        small.then(|| Self { attributes: u32::from_le_bytes(*attributes), value: value.to_owned() })
    }

    /// One byte that is 0 or 1 (`SecureBoot`, `SetupMode`).
    pub fn as_bool(&self) -> Option<bool> {
        match self.value[..] {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// UTF-16 texts, each ended by a NUL (`LoaderEntrySelected`, `LoaderEntries`).
    pub fn as_texts(&self) -> Option<Vec<String>> {
        if !self.value.len().is_multiple_of(2) {
            return None;
        }
        let units: Vec<u16> = self.value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let texts = units.split(|&unit| unit == 0).filter(|text| !text.is_empty());
        texts.map(|text| String::from_utf16(text).ok()).collect()
    }
}

/// The file of a variable below this root directory.
pub fn path(root: &Path, name: &str, vendor: &str) -> PathBuf {
    root.join(EFIVARS).join(format!("{name}-{vendor}"))
}

/// Reads a variable; `None` if it is absent, unreadable or not of the right form.
pub fn read(root: &Path, name: &str, vendor: &str) -> Option<Variable> {
    Variable::parse(&std::fs::read(path(root, name, vendor)).ok()?)
}

/// The same for `db` and `dbx`, which grow.
pub fn read_large(root: &Path, name: &str, vendor: &str) -> Option<Variable> {
    Variable::parse_bounded(&std::fs::read(path(root, name, vendor)).ok()?, MAX_LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variable(value: &[u8]) -> Variable {
        Variable::parse(&[&[6, 0, 0, 0], value].concat()).unwrap()
    }

    #[test]
    fn attributes_and_value_are_split() {
        assert_eq!(variable(b"x"), Variable { attributes: 6, value: b"x".to_vec() });
        assert_eq!(Variable::parse(b"abc"), None);
        assert_eq!(Variable::parse(&vec![0; MAX_BYTES + 5]), None);
    }

    #[test]
    fn only_0_and_1_are_truth_values() {
        assert_eq!((variable(&[1]).as_bool(), variable(&[0]).as_bool()), (Some(true), Some(false)));
        for bad in [&[2][..], &[], &[1, 0]] {
            assert_eq!(variable(bad).as_bool(), None);
        }
    }

    #[test]
    fn texts_end_with_a_nul() {
        assert_eq!(variable(b"a\0b\0\0\0c\0\0\0").as_texts().unwrap(), ["ab", "c"]);
        assert_eq!(variable(b"a\0b").as_texts(), None);
        assert_eq!(variable(&[0, 0xd8, 0, 0]).as_texts(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(variable) = Variable::parse(&bytes) {
                let _ = (variable.as_bool(), variable.as_texts());
            }
        }
    }
}
