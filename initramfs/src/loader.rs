//! EFI loader variables.

use crate::names::EntryName;
use crate::refusal::Refusal;

/// The variables as efivarfs gives them: 4 attribute bytes, then the value; `None` if absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawVariables {
    /// `LoaderEntrySelected`
    pub entry_selected: Option<Vec<u8>>,
    /// `StubImageIdentifier`
    pub stub_image: Option<Vec<u8>>,
    /// `LoaderDevicePartUUID`
    pub device_part_uuid: Option<Vec<u8>>,
    /// `LoaderEntries`
    pub entries: Option<Vec<u8>>,
}

/// Which variable named the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum ChosenBy {
    /// The loader's choice.
    LoaderEntrySelected,
    /// The file name of the UKI that runs.
    StubImageIdentifier,
}

/// What the loader says was chosen: a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    entry: EntryName,
    entry_file: String,
    chosen_by: ChosenBy,
    esp: String,
    ignored: Vec<String>,
}

impl Claim {
    /// The entry.
    pub fn entry(&self) -> &EntryName {
        &self.entry
    }

    /// The entry's file name.
    pub fn entry_file(&self) -> &str {
        &self.entry_file
    }

    /// Which variable named it.
    pub fn chosen_by(&self) -> ChosenBy {
        self.chosen_by
    }

    /// The GPT partition UUID of the ESP, lower case.
    pub fn esp(&self) -> &str {
        &self.esp
    }

    /// Variables that did not count, and why.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

/// Reads the claim.
pub fn claim(_raw: &RawVariables) -> Result<Claim, Refusal> {
    Err(Refusal::new(6, "not yet"))
}

/// The ids in `LoaderEntries`.
pub fn list(_raw: Option<&[u8]>) -> Vec<String> {
    Vec::new()
}
