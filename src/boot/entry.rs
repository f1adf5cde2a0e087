//! Type 1 boot entries: `loader/entries/cfs-<deployment id>.<order>.conf`.
//!
//! An entry names a UKI and, by its own file name, a deployment. Format: `docs/formats.md`, "Boot entry".
//! `linux` and no other key, because every loader tried knows it and falls back on it.

use crate::model::EntryName;
use cfs_init::names::is_uki_file_name;

/// The directory on the ESP that holds entries.
pub const DIRECTORY: &str = "loader/entries";
/// The directory on the ESP that holds UKIs.
pub const UKIS: &str = "EFI/cfs";
/// The longest title; the rest of a name is cut.
const MAX_TITLE: usize = 128;
/// The largest entry file that is read.
const MAX_BYTES: usize = 4096;

/// One boot entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file's name, which says what is booted and in which order.
    pub name: EntryName,
    /// What the loader's menu shows: one line.
    pub title: String,
    /// The UKI's file name below `EFI/cfs/`.
    pub uki: String,
}

/// Why a file is no entry of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file} is not an entry that cfs-host wrote: {why}")]
pub struct BadEntry {
    /// The file.
    pub file: String,
    /// Why.
    pub why: String,
}

impl Entry {
    /// An entry whose title names the system and the deployment.
    pub fn new(name: EntryName, system: &str, uki: String) -> Self {
        let system: String = system.chars().filter(|c| !c.is_control()).take(MAX_TITLE).collect();
        let title = format!("{} ({})", system.trim(), name.deployment).trim_start().to_owned();
        Self { name, title, uki }
    }

    /// Its path on the ESP.
    pub fn path(&self) -> String {
        format!("{DIRECTORY}/{}", self.name.conf())
    }

    /// The file's text.
    pub fn render(&self) -> String {
        format!(
            "title      {}\nsort-key   cfs-host\nversion    {}\nlinux      /{UKIS}/{}\n",
            self.title, self.name.order, self.uki
        )
    }

    /// Parses untrusted bytes; takes only what [`Entry::render`] writes.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, BadEntry> {
        let bad = |why: String| BadEntry { file: file.to_owned(), why };
        let stem = file.strip_suffix(".conf").ok_or_else(|| bad("its name does not end in .conf".into()))?;
        let name: EntryName = stem.parse().map_err(|error: cfs_init::names::BadName| bad(error.to_string()))?;
        if bytes.len() > MAX_BYTES {
            return Err(bad(format!("it is larger than {MAX_BYTES} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".into()))?;
        let value = |key| value(text, key).ok_or_else(|| bad(format!("it has no line {key}")));
        let prefix = format!("/{UKIS}/");
        let uki = value("linux")?.strip_prefix(&prefix).filter(|uki| is_uki_file_name(uki));
        let uki = uki.ok_or_else(|| bad(format!("its UKI does not lie in {UKIS}")))?.to_owned();
        let entry = Self { name, title: value("title")?.to_owned(), uki };
        match entry.render() == text {
            true => Ok(entry),
            false => Err(bad("its lines are not those that belong to its name".into())),
        }
    }
}

/// The value of the first line with this key.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    Some(line.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN: &str = "title      Example OS 1 (0123456789abcdef.0)\nsort-key   cfs-host\nversion    7\n\
                          linux      /EFI/cfs/fedcba9876543210.efi\n";

    fn example() -> Entry {
        let name = "cfs-0123456789abcdef.0.7".parse().unwrap();
        Entry::new(name, "Example OS 1", "fedcba9876543210.efi".into())
    }

    #[test]
    fn an_entry_has_the_text_of_the_format() {
        assert_eq!(example().render(), GOLDEN);
        assert_eq!(example().path(), "loader/entries/cfs-0123456789abcdef.0.7.conf");
        assert_eq!(Entry::parse("cfs-0123456789abcdef.0.7.conf", GOLDEN.as_bytes()).unwrap(), example());
    }

    #[test]
    fn a_name_cannot_add_lines() {
        let name = example().name;
        let entry = Entry::new(name, "Evil\nlinux /EFI/evil.efi\r", "fedcba9876543210.efi".into());
        assert_eq!(entry.render().lines().count(), 4);
        assert_eq!(Entry::parse(&entry.name.conf(), entry.render().as_bytes()).unwrap(), entry);
    }

    #[test]
    fn changed_entries_are_refused() {
        let file = "cfs-0123456789abcdef.0.7.conf";
        for (from, to) in [
            ("version    7", "version    8"),
            ("linux ", "efi   "),
            ("/EFI/cfs/f", "/EFI/Linux/f"),
            ("/EFI/cfs/", "/EFI/cfs/../"),
            (".efi\n", ".efi\noptions    init=/bin/sh\n"),
            (".efi\n", ".efi"),
            ("sort-key   cfs-host\n", ""),
        ] {
            let text = GOLDEN.replace(from, to);
            assert_ne!(text, GOLDEN);
            assert!(Entry::parse(file, text.as_bytes()).is_err(), "{text}");
        }
        for bad in ["cfs-0123456789abcdef.0.7", "cfs-0123456789abcdef.0.7+3.conf", "other.conf"] {
            assert!(Entry::parse(bad, GOLDEN.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_title_comes_back(system: String, order: u32) {
            let name = EntryName { deployment: "0123456789abcdef.0".parse().unwrap(), order };
            let entry = Entry::new(name, &system, "fedcba9876543210.efi".into());
            prop_assert_eq!(Entry::parse(&entry.name.conf(), entry.render().as_bytes()).unwrap(), entry);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            prop_assert!(Entry::parse("cfs-0123456789abcdef.0.7.conf", &bytes).is_err());
        }
    }
}
