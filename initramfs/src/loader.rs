//! What the boot loader says was chosen: EFI variables, read as hints (security rule 6).
//!
//! A variable counts only if the loader set it in this boot: attributes exactly "boot and runtime access",
//! not "non-volatile". What counts must agree with the UKI that runs, by its own stub's word. The result is a
//! [`Claim`], never a proof: the image it leads to is verified like any other.

use crate::names::{is_uki_file_name, EntryName};
use crate::refusal::Refusal;

/// `EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS`, and so volatile.
const ATTRIBUTES: u32 = 0x6;
/// The longest text of a variable, in UTF-16 units.
const MAX_TEXT: usize = 512;
/// The longest list of entries, in UTF-16 units, and the most of them.
const MAX_LIST: usize = 32 * 1024;
const MAX_ENTRIES: usize = 256;

/// The variables as efivarfs gives them: 4 attribute bytes, then the value; `None` if absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawVariables {
    /// `LoaderEntrySelected`: the entry's id.
    pub entry_selected: Option<Vec<u8>>,
    /// `StubImageIdentifier`: the path of the UKI that runs.
    pub stub_image: Option<Vec<u8>>,
    /// `LoaderDevicePartUUID`: the partition that the loader (or the UKI) came from.
    pub device_part_uuid: Option<Vec<u8>>,
    /// `LoaderEntries`: the ids of all entries; see [`list`].
    pub entries: Option<Vec<u8>>,
}

/// Which variable named the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum ChosenBy {
    /// The loader's word.
    LoaderEntrySelected,
    /// The file name of the UKI that runs.
    StubImageIdentifier,
}

/// What was chosen, as far as the loader can be believed; only [`claim`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    entry: EntryName,
    entry_file: String,
    chosen_by: ChosenBy,
    esp: String,
    ignored: Vec<String>,
}

impl Claim {
    /// The entry, and so the deployment.
    pub fn entry(&self) -> &EntryName {
        &self.entry
    }

    /// The entry's id: `cfs-….conf` or `cfs-….efi`, without a boot counter.
    pub fn entry_file(&self) -> &str {
        &self.entry_file
    }

    /// Which variable named it.
    pub fn chosen_by(&self) -> ChosenBy {
        self.chosen_by
    }

    /// The GPT partition UUID of the ESP, in lower case.
    pub fn esp(&self) -> &str {
        &self.esp
    }

    /// Variables that did not count, and why: one line each.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

/// The UKI that runs, by the form of its path.
enum Running {
    /// `\EFI\cfs\<16 hex>.efi`, named by a Type 1 entry.
    Shared,
    /// `\EFI\Linux\<entry>.efi`, an entry of its own.
    Own(EntryName),
}

/// Reads what the loader claims.
pub fn claim(raw: &RawVariables) -> Result<Claim, Refusal> {
    let mut ignored = Vec::new();
    let mut read = |name: &str, raw: &Option<Vec<u8>>| match raw.as_deref().map(text)? {
        Ok(text) => Some(text),
        Err(why) => {
            ignored.push(format!("{name}: {why}"));
            None
        }
    };
    let selected = read("LoaderEntrySelected", &raw.entry_selected);
    let stub = read("StubImageIdentifier", &raw.stub_image);
    let device = read("LoaderDevicePartUUID", &raw.device_part_uuid);

    let explain = |refusal: Refusal| match ignored.as_slice() {
        [] => refusal,
        why => Refusal::new(refusal.rule, format!("{} (not counted: {})", refusal.why, why.join("; "))),
    };
    let (entry, ending, chosen_by) = choose(selected.as_deref(), stub.as_deref()).map_err(explain)?;
    let esp = device.as_deref().and_then(uuid).ok_or_else(|| explain(no_device()))?;
    Ok(Claim { entry_file: format!("{entry}{ending}"), entry, chosen_by, esp, ignored })
}

fn choose(selected: Option<&str>, stub: Option<&str>) -> Result<(EntryName, &'static str, ChosenBy), Refusal> {
    let running = stub.and_then(running);
    let Some(selected) = selected else {
        return match running {
            Some(Running::Own(entry)) => Ok((entry, ".efi", ChosenBy::StubImageIdentifier)),
            _ => Err(nothing_chosen(stub)),
        };
    };
    let entry = entry_name(selected).ok_or_else(|| {
        Refusal::new(6, format!("the loader chose {selected:?}, which is not an entry of cfs-host: choose another one"))
    })?;
    let (ending, agree) = match running {
        Some(Running::Own(own)) => (".efi", selected.ends_with(".efi") && own == entry),
        Some(Running::Shared) => (".conf", selected.ends_with(".conf")),
        None => ("", false),
    };
    if !agree {
        let runs = stub.unwrap_or("not known");
        return Err(Refusal::new(
            6,
            format!("the loader says it chose {selected:?}, but the UKI that runs is {runs:?}"),
        ));
    }
    Ok((entry, ending, ChosenBy::LoaderEntrySelected))
}

fn no_device() -> Refusal {
    let why =
        "the loader does not name its partition (LoaderDevicePartUUID): boot through systemd-boot or systemd-stub";
    Refusal::new(7, why)
}

fn nothing_chosen(stub: Option<&str>) -> Refusal {
    let runs = stub.map_or("not known".to_owned(), |path| format!("{path:?}"));
    let why = "no boot entry is known: the loader names none (LoaderEntrySelected)";
    Refusal::new(
        6,
        format!("{why} and the file name of the UKI that runs says none ({runs}): boot through an entry of cfs-host"),
    )
}

/// The ids in `LoaderEntries`: for the choice of a fallback only. What is not a sound list has no entries.
pub fn list(raw: Option<&[u8]>) -> Vec<String> {
    let Ok(units) = raw.map_or(Ok(Vec::new()), |raw| value(raw, MAX_LIST)) else { return Vec::new() };
    let ids = units.split(|&unit| unit == 0).filter(|id| !id.is_empty() && id.len() <= MAX_TEXT);
    ids.take(MAX_ENTRIES).filter_map(|id| String::from_utf16(id).ok()).collect()
}

/// The entry that an id such as `cfs-….conf`, `cfs-….efi` or `cfs-…+2-1.conf` names: loaders up to 258.0 keep the boot counter.
pub fn entry_name(id: &str) -> Option<EntryName> {
    let stem = id.strip_suffix(".conf").or_else(|| id.strip_suffix(".efi"))?;
    match stem.split_once('+') {
        None => stem.parse().ok(),
        Some((name, counter)) => {
            let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
            [left, done].iter().all(|number| is_counter(number)).then(|| name.parse().ok())?
        }
    }
}

fn is_counter(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// FAT ignores case, and firmware may spell the path as it likes.
fn running(stub: &str) -> Option<Running> {
    let path = stub.to_ascii_lowercase();
    if let Some(name) = path.strip_prefix(r"\efi\cfs\") {
        is_uki_file_name(name).then_some(Running::Shared)
    } else {
        let id = path.strip_prefix(r"\efi\linux\").filter(|id| id.ends_with(".efi"))?;
        entry_name(id).map(Running::Own)
    }
}

/// A variable's text: one NUL, at the end.
fn text(raw: &[u8]) -> Result<String, &'static str> {
    let units = value(raw, MAX_TEXT)?;
    match units.split_last() {
        Some((0, text)) if !text.contains(&0) => String::from_utf16(text).map_err(|_| "not UTF-16"),
        _ => Err("not a text with a NUL at its end"),
    }
}

/// A variable's value in UTF-16 units, if the variable counts.
fn value(raw: &[u8], most: usize) -> Result<Vec<u16>, &'static str> {
    let (attributes, value) = raw.split_first_chunk::<4>().ok_or("too short")?;
    if u32::from_le_bytes(*attributes) != ATTRIBUTES {
        return Err("not set by the loader in this boot (its attributes are not 0x6): remove the variable");
    }
    if value.len() > 2 * most || value.len() % 2 != 0 {
        return Err("too long, or an odd number of bytes");
    }
    Ok(value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn uuid(text: &str) -> Option<String> {
    let dashes = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    (text.len() == 36 && text.bytes().enumerate().all(fits)).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
