//! After a dead end: what is remembered, and what boots next (security rule 16).
//!
//! A trial falls back by itself, for its one-shot is spent. This is for the other case: the last good
//! deployment stopped booting, so the dead end names another one, a bounded number of times. All of it
//! rests on hints that anyone with root can write; the worst they can do is choose another deployment
//! that still has to pass every check.

use serde::{Deserialize, Serialize};

use crate::loader::entry_name;
use crate::policy::OnFailure;

/// The largest `CfsHostRefusal` variable.
pub const MAX_RECORD: usize = 512;
/// From so many refusals in a row on, the machine is turned off.
pub const MAX_IN_A_ROW: u32 = 3;

/// Why `/init` stopped: the EFI variable `CfsHostRefusal` (`docs/formats.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalRecord {
    /// Refusals in a row, this one included.
    pub n: u32,
    /// The boot entry's file name; empty if it was not known yet.
    pub entry: String,
    /// The UKI: 16 hex digits; empty if it was not known yet.
    pub uki: String,
    /// The number of the trust rule.
    pub rule: u8,
    /// The line that was shown, cut to fit.
    pub why: String,
}

/// The record as it lies in the variable.
#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    #[serde(flatten)]
    record: &'a RefusalRecord,
}

/// How a dead end ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Into the loader's default.
    Reboot,
    /// Into this entry, by `LoaderEntryOneShot`: its id as the loader lists it.
    RebootInto(String),
    /// Off.
    PowerOff,
}

impl RefusalRecord {
    /// The variable's content; the texts lose their ends, `why` first, until it fits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut short = self.clone();
        for text in [&mut short.entry, &mut short.uki, &mut short.why] {
            *text = text.chars().take(MAX_RECORD).collect();
        }
        loop {
            let bytes = serde_json::to_vec(&Written { v: 1, record: &short }).unwrap_or_default();
            let texts = [&mut short.why, &mut short.entry, &mut short.uki];
            match texts.into_iter().find(|text| !text.is_empty()) {
                Some(longest) if bytes.len() > MAX_RECORD => longest.pop(),
                _ => return bytes,
            };
        }
    }

    /// Reads untrusted bytes; `None` if they are not a record of version 1.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_RECORD {
            return None;
        }
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
        let version = fields.remove("v")?;
        let record = serde_json::from_value(fields.into()).ok()?;
        (version == 1).then_some(record)
    }
}

/// The new count of refusals in a row, and what to do.
///
/// `failed` is the file name of the entry that was refused; unknown, nothing better than the loader's default can be named.
pub fn next(
    policy: OnFailure,
    previous: Option<&RefusalRecord>,
    failed: Option<&str>,
    loader_entries: &[String],
) -> (u32, Next) {
    let n = previous.map_or(0, |record| record.n).saturating_add(1);
    if policy == OnFailure::PowerOff || n >= MAX_IN_A_ROW {
        return (n, Next::PowerOff);
    }
    let another = failed.and_then(entry_name).and_then(|failed| {
        let ours = loader_entries.iter().filter_map(|id| Some((entry_name(id)?, id)));
        let others = ours.filter(|(entry, _)| entry.deployment != failed.deployment);
        others.max_by_key(|(entry, _)| entry.order)
    });
    (n, another.map_or(Next::Reboot, |(_, id)| Next::RebootInto(id.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "cfs-aaaaaaaaaaaaaaaa.0.1.conf";
    const B: &str = "cfs-bbbbbbbbbbbbbbbb.0.7.conf";
    const B_AGAIN: &str = "cfs-bbbbbbbbbbbbbbbb.1.5.conf";
    const C: &str = "cfs-cccccccccccccccc.0.3.efi";

    fn record(n: u32) -> RefusalRecord {
        RefusalRecord { n, entry: B.into(), uki: "0123456789abcdef".into(), rule: 13, why: "unknown key".into() }
    }

    fn after(n: u32, failed: Option<&str>, entries: &[&str]) -> (u32, Next) {
        let entries: Vec<String> = entries.iter().map(|entry| entry.to_string()).collect();
        next(OnFailure::Reboot, Some(&record(n)), failed, &entries)
    }

    #[test]
    fn golden_bytes_never_change() {
        let json = r#"{"v":1,"n":2,"entry":"cfs-bbbbbbbbbbbbbbbb.0.7.conf","uki":"0123456789abcdef","rule":13,"why":"unknown key"}"#;
        assert_eq!(String::from_utf8(record(2).to_bytes()).unwrap(), json);
        assert_eq!(RefusalRecord::parse(json.as_bytes()), Some(record(2)));
    }

    #[test]
    fn only_whole_records_of_version_1_are_read() {
        let json = String::from_utf8(record(2).to_bytes()).unwrap();
        for bad in [
            json.replace("\"v\":1", "\"v\":2"),
            json.replace("\"v\":1,", ""),
            json.replace("\"n\":2", "\"n\":-1"),
            json.replace("\"rule\":13", "\"rule\":256"),
            json.replace("{", "{\"x\":1,"),
            json.replace(",\"uki\":\"0123456789abcdef\"", ""),
            format!("{json}{}", " ".repeat(MAX_RECORD)),
            "[]".into(),
            String::new(),
        ] {
            assert_eq!(RefusalRecord::parse(bad.as_bytes()), None, "{bad}");
        }
        let padded = format!("{json}{}", " ".repeat(MAX_RECORD - json.len()));
        assert_eq!(RefusalRecord::parse(padded.as_bytes()), Some(record(2)));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters_and_not_more_than_needed() {
        let long = RefusalRecord { why: "ü".repeat(2000), ..record(1) };
        let bytes = long.to_bytes();
        assert!(bytes.len() == MAX_RECORD || bytes.len() == MAX_RECORD - 1, "{}", bytes.len());
        let cut = RefusalRecord::parse(&bytes).unwrap();
        assert!(long.why.starts_with(&cut.why) && cut.entry == B);
        let fits = RefusalRecord { why: "x".repeat(MAX_RECORD - (record(1).to_bytes().len() - 11)), ..record(1) };
        assert_eq!(RefusalRecord::parse(&fits.to_bytes()), Some(fits.clone()));
        assert_eq!(fits.to_bytes().len(), MAX_RECORD);
    }

    #[test]
    fn the_entry_of_the_highest_order_with_another_deployment_is_next() {
        assert_eq!(after(0, Some(A), &[A, B, C]), (1, Next::RebootInto(B.into())));
        assert_eq!(after(0, Some(B), &[A, B, C]), (1, Next::RebootInto(C.into())));
        assert_eq!(after(0, Some(B), &[C, B, A]), (1, Next::RebootInto(C.into())));
        // Another serial is another deployment; another order of the same one is not.
        assert_eq!(after(0, Some(B), &[A, B_AGAIN, B]), (1, Next::RebootInto(B_AGAIN.into())));
        assert_eq!(after(0, Some("cfs-bbbbbbbbbbbbbbbb.0.1.conf"), &[A, B]), (1, Next::RebootInto(A.into())));
    }

    #[test]
    fn without_another_entry_the_default_boots() {
        assert_eq!(after(0, Some(B), &[B, "windows.conf", "auto-reboot-to-firmware-setup"]), (1, Next::Reboot));
        assert_eq!(after(0, None, &[A, B]), (1, Next::Reboot));
        assert_eq!(after(0, Some("windows.conf"), &[A, B]), (1, Next::Reboot));
    }

    #[test]
    fn the_third_refusal_in_a_row_turns_the_machine_off() {
        assert_eq!(next(OnFailure::Reboot, None, Some(A), &[B.into()]), (1, Next::RebootInto(B.into())));
        assert_eq!(after(1, Some(A), &[B]), (2, Next::RebootInto(B.into())));
        assert_eq!(after(2, Some(A), &[B]), (3, Next::PowerOff));
        assert_eq!(after(u32::MAX, Some(A), &[B]), (u32::MAX, Next::PowerOff));
    }

    #[test]
    fn a_policy_of_power_off_never_reboots() {
        assert_eq!(next(OnFailure::PowerOff, None, Some(A), &[B.into()]), (1, Next::PowerOff));
    }

    proptest! {
        #[test]
        fn records_fit_and_come_back(n: u32, entry: String, uki: String, rule: u8, why in ".{0,600}") {
            let record = RefusalRecord { n, entry, uki, rule, why };
            let bytes = record.to_bytes();
            prop_assert!(bytes.len() <= MAX_RECORD);
            let back = RefusalRecord::parse(&bytes).unwrap();
            prop_assert!((back.n, back.rule) == (n, rule) && record.why.starts_with(&back.why));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = RefusalRecord::parse(&bytes);
        }

        #[test]
        fn what_failed_is_never_named(failed in "cfs-[ab]{16}\\.[01]\\.[0-9]\\.conf", entries in prop::collection::vec("cfs-[ab]{16}\\.[01]\\.[0-9]\\.conf", 0..6)) {
            let (_, next) = next(OnFailure::Reboot, None, Some(&failed), &entries);
            if let Next::RebootInto(id) = next {
                prop_assert!(entries.contains(&id));
                prop_assert_ne!(entry_name(&id).unwrap().deployment, entry_name(&failed).unwrap().deployment);
            }
        }
    }
}
