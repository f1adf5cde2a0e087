//! The entries, and which of them the next start takes.

use std::path::Path;

use super::seen::Seen;
use crate::boot::efivar::{self, EFIVARS, LOADER};
use crate::boot::{one_shot, order};
use crate::flow::host::ENTRIES_NOW;
use crate::model::status::{Because, Next, Severity};
use crate::model::update::EntriesNow;
use crate::model::EntryName;

/// The most names that are looked at.
const MAX_NAMES: usize = 4096;

/// What is known of the loader's menu.
#[derive(Debug, Default)]
pub struct Entries {
    /// Ours.
    pub ours: Vec<EntryName>,
    /// Whether anybody told: without, an entry that is not there says nothing.
    pub known: bool,
    /// What the next start takes.
    pub next: Option<Next>,
}

/// What the last writer of this boot left, or what the loader saw when it started this system.
pub fn entries(root: &Path, seen: &mut Seen) -> Entries {
    let left: Option<EntriesNow> = seen.record(&root.join(ENTRIES_NOW));
    let texts = |name| efivar::read(root, name, LOADER).and_then(|variable| variable.as_texts());
    let loader = texts("LoaderEntries");
    let known = left.is_some() || loader.is_some();
    let ids = loader.unwrap_or_default();
    let names = left.as_ref().map_or(&ids, |left| &left.entries);
    let mut ours = Vec::new();
    for name in names.iter().take(MAX_NAMES) {
        match parse(name) {
            Some(entry) => ours.push(entry),
            None if name.starts_with("cfs-") => {
                let message = format!("the boot entry {name} has a name like those of cfs-host, and is none");
                seen.odd("ForeignEntry", Severity::Info, message);
            }
            None => {}
        }
    }
    // The variable is what the loader will read; without EFI variables, what was left is the best there is.
    let one_shot = match root.join(EFIVARS).is_dir() {
        true => one_shot::get(root),
        false => left.and_then(|left| left.one_shot),
    };
    let preferred = texts("LoaderEntryDefault").and_then(|texts| texts.into_iter().next());
    let next = next(&ours, &ids, one_shot, preferred, seen);
    if known && order::default(&ours).is_none() {
        seen.odd(
            "NoGoodEntry",
            Severity::Alarm,
            "there is no boot entry of a good deployment: the next start may fail",
        );
    }
    Entries { ours, known, next }
}

/// One-shot, else the loader's own default, else the highest order.
fn next(
    ours: &[EntryName],
    ids: &[String],
    one_shot: Option<String>,
    preferred: Option<String>,
    seen: &mut Seen,
) -> Option<Next> {
    let of = |id: String, because| {
        let deployment = parse(&id).map(|entry| entry.deployment.to_string());
        Next { entry: id, deployment, because }
    };
    if let Some(id) = &preferred {
        let message = format!(
            "LoaderEntryDefault is set to {id}: cfs-host never does that, and it wins over the last good deployment; \
             `bootctl set-default \"\"` ends it"
        );
        seen.odd("DefaultOverridden", Severity::Warning, message);
    }
    if let Some(id) = one_shot {
        return Some(of(id, Because::OneShot));
    }
    let is_there = |id: &String| ids.contains(id) || ours.iter().any(|entry| entry.conf() == *id);
    if let Some(id) = preferred.filter(is_there) {
        return Some(of(id, Because::LoaderEntryDefault));
    }
    let default = order::default(ours)?;
    if ours.iter().any(|other| other.order == default.order && other.deployment != default.deployment) {
        let message = format!(
            "two boot entries have the order {}: which of them starts is the loader's choice; \
             `cfs-host rollback --to ID` decides it",
            default.order
        );
        seen.odd("AmbiguousDefault", Severity::Warning, message);
    }
    Some(of(default.conf(), Because::HighestOrder))
}

/// The loader lists file names, the record names without `.conf`.
fn parse(id: &str) -> Option<EntryName> {
    id.strip_suffix(".conf").unwrap_or(id).parse().ok()
}
