//! After a dead end (security rule 16).

use crate::policy::OnFailure;

/// Why `/init` stopped: the EFI variable `CfsHostRefusal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalRecord {
    /// Refusals in a row.
    pub n: u32,
    /// The boot entry.
    pub entry: String,
    /// The UKI: 16 hex digits.
    pub uki: String,
    /// The trust rule.
    pub rule: u8,
    /// The line that was shown.
    pub why: String,
}

impl RefusalRecord {
    /// The variable's content.
    pub fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads untrusted bytes.
    pub fn parse(_bytes: &[u8]) -> Option<Self> {
        None
    }
}

/// How a dead end ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The loader's default.
    Reboot,
    /// This entry, by LoaderEntryOneShot (`….conf`).
    RebootInto(String),
    /// Off.
    PowerOff,
}

/// The new count of refusals in a row, and what to do.
pub fn next(
    policy: OnFailure,
    previous: Option<&RefusalRecord>,
    _failed: Option<&str>,
    _loader_entries: &[String],
) -> (u32, Next) {
    let n = previous.map_or(0, |record| record.n).saturating_add(1);
    match policy {
        OnFailure::PowerOff => (n, Next::PowerOff),
        OnFailure::Reboot => (n, Next::Reboot),
    }
}
