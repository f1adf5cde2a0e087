//! Names on the disk and on the ESP: deployment ids, boot entries, UKI file names.
//!
//! All are parsed from untrusted text (EFI variables, directory listings), strictly: one spelling
//! for each name, everything else is refused. `docs/formats.md` section "Names" is the reference.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// `<first 16 hex of the image digest>.<serial>`: the directory below `cfs/deploy/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId {
    short: String,
    serial: u32,
}

/// A boot entry's name without its ending: `cfs-<deployment id>.<order>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryName {
    /// What the entry boots.
    pub deployment: DeploymentId,
    /// The highest order is the default: the last good deployment.
    pub order: u32,
}

/// The text is not a name of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a {1}")]
pub struct BadName(pub String, pub &'static str);

impl DeploymentId {
    /// The id of the `serial`-th deployment of the image with this digest.
    pub fn new(image: &Digest, serial: u32) -> Self {
        Self { short: image.short(), serial }
    }

    /// The first 16 hex digits of the image digest: a label, not an identity (rule 9).
    pub fn short(&self) -> &str {
        &self.short
    }

    /// Tells deployments of one image apart.
    pub fn serial(&self) -> u32 {
        self.serial
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.short, self.serial)
    }
}

impl fmt::Debug for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeploymentId({self})")
    }
}

impl FromStr for DeploymentId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName(text.to_owned(), "deployment id (16 hex digits, '.', serial)");
        let (short, serial) = text.split_once('.').ok_or_else(bad)?;
        if short.len() != 16 || !short.bytes().all(is_lower_hex) {
            return Err(bad());
        }
        Ok(Self { short: short.to_owned(), serial: number(serial).ok_or_else(bad)? })
    }
}

impl EntryName {
    /// `cfs-<id>.<order>.conf`, the name in `loader/entries/`.
    pub fn conf(&self) -> String {
        format!("{self}.conf")
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cfs-{}.{}", self.deployment, self.order)
    }
}

impl FromStr for EntryName {
    type Err = BadName;

    /// Takes the name without `.conf` or `.efi` and without a boot counter.
    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName(text.to_owned(), "boot entry (cfs-<deployment id>.<order>)");
        let (id, order) = text.strip_prefix("cfs-").and_then(|rest| rest.rsplit_once('.')).ok_or_else(bad)?;
        Ok(Self { deployment: id.parse().map_err(|_| bad())?, order: number(order).ok_or_else(bad)? })
    }
}

/// The UKI's file name below `EFI/cfs/`: the first 16 hex digits of its SHA-256, and `.efi`.
pub fn uki_file_name(sha256: &[u8; 32]) -> String {
    format!("{}.efi", Digest::new(*sha256).short())
}

/// Whether the text is a name that [`uki_file_name`] gives.
pub fn is_uki_file_name(text: &str) -> bool {
    text.strip_suffix(".efi").is_some_and(|stem| stem.len() == 16 && stem.bytes().all(is_lower_hex))
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// A decimal number in its only spelling: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let value: u32 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_have_one_spelling() {
        for good in ["0123456789abcdef.0", "0123456789abcdef.4294967295"] {
            assert_eq!(good.parse::<DeploymentId>().unwrap().to_string(), good);
        }
        for bad in [
            "0123456789abcdef",
            "0123456789abcde.0",
            "0123456789ABCDEF.0",
            "0123456789abcdef.00",
            "0123456789abcdef.+1",
            "0123456789abcdef.4294967296",
            "../../0123456789.0",
            "0123456789abcdef.0/..",
            "",
        ] {
            assert!(bad.parse::<DeploymentId>().is_err(), "{bad}");
        }
        for bad in [
            "cfs-0123456789abcdef.0",
            "0123456789abcdef.0.1",
            "cfs-0123456789abcdef.0.01",
            "cfs-0123456789abcdef.0.1.conf",
        ] {
            assert!(bad.parse::<EntryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn entry_name_carries_id_and_order() {
        let entry: EntryName = "cfs-0123456789abcdef.3.12".parse().unwrap();
        assert_eq!(entry.deployment.to_string(), "0123456789abcdef.3");
        assert_eq!((entry.deployment.short(), entry.deployment.serial(), entry.order), ("0123456789abcdef", 3, 12));
        assert_eq!(entry.conf(), "cfs-0123456789abcdef.3.12.conf");
    }

    #[test]
    fn uki_names_are_recognised() {
        assert!(is_uki_file_name(&uki_file_name(&[7; 32])));
        for bad in [
            "0123456789abcdef",
            "0123456789abcdeF.efi",
            "0123456789abcde.efi",
            "0123456789abcdef0.efi",
            "a/0123456789abcd.efi",
        ] {
            assert!(!is_uki_file_name(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn entry_names_round_trip(bytes: [u8; 32], serial: u32, order: u32) {
            let entry = EntryName { deployment: DeploymentId::new(&Digest::new(bytes), serial), order };
            prop_assert_eq!(entry.to_string().parse::<EntryName>().unwrap(), entry);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "cfs-[0-9a-f]{14,18}\\.[0-9+]{0,3}\\.[0-9]{0,3}|.*") {
            if let Ok(entry) = text.parse::<EntryName>() { prop_assert_eq!(entry.to_string(), text); }
        }
    }
}
