//! What `/init` and the firmware say of this boot.

use std::path::Path;

use cfs_init::fallback::RefusalRecord;

use super::seen::Seen;
use crate::boot::efivar::{self, CFS_HOST, GLOBAL, LOADER};
use crate::deploy::records;
use crate::flow::host::BOOTED;
use crate::model::status::{Booted, Firmware, Severity, Writable};

/// The record of `/init`.
pub fn booted(root: &Path, seen: &mut Seen) -> Option<Booted> {
    let path = root.join(BOOTED);
    let bytes = match records::read_small(&path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let message =
                format!("this system was not started by cfs-host's initrd (no /{BOOTED}): nothing is verified");
            seen.odd("NotBootedByCfsHost", Severity::Alarm, message);
            return None;
        }
        Err(error) => {
            let message = format!("cannot read /{BOOTED}: {error}");
            seen.unreadable("BootRecordUnreadable", Severity::Alarm, &path, message);
            return None;
        }
    };
    let why = match serde_json::from_slice::<Booted>(&bytes) {
        Ok(booted) if booted.version == 1 => return Some(booted),
        Ok(booted) => format!("/{BOOTED} has version {}, this program reads version 1", booted.version),
        Err(error) => format!("/{BOOTED} is not valid: {error}"),
    };
    seen.odd("BootRecordUnreadable", Severity::Alarm, why);
    None
}

/// What the record itself says that people should know.
pub fn judge(booted: &Booted, seen: &mut Seen) {
    if booted.mode != "enforce" {
        let message = "PERMISSIVE: failed checks did not stop this boot; do not use it in production";
        seen.odd("Permissive", Severity::Alarm, message);
    }
    for problem in &booted.problems {
        seen.odd("Overlooked", Severity::Alarm, format!("overlooked in permissive mode: {problem}"));
    }
    if !booted.secure_boot {
        let message = "Secure Boot was off: nobody verified the UKI, so what it verified proves nothing";
        seen.odd("SecureBootOff", Severity::Alarm, message);
    }
    for ignored in &booted.ignored {
        seen.odd("HintIgnored", Severity::Warning, format!("a hint of the loader did not count: {ignored}"));
    }
}

/// Secure Boot and the loader, as the firmware tells now.
pub fn firmware(root: &Path, seen: &mut Seen) -> Firmware {
    let truth = |name| efivar::read(root, name, GLOBAL)?.as_bool();
    let loader = efivar::read(root, "LoaderInfo", LOADER).and_then(|variable| variable.as_texts()?.into_iter().next());
    let firmware = Firmware { secure_boot: truth("SecureBoot"), setup_mode: truth("SetupMode"), loader };
    if firmware.setup_mode == Some(true) {
        seen.odd("SetupMode", Severity::Alarm, "the firmware is in setup mode: anyone can enroll keys");
    }
    firmware
}

/// Why an earlier boot was refused. The record has it if this boot was good and removed the variable.
pub fn refusal_hint(root: &Path, booted: Option<&Booted>) -> Option<RefusalRecord> {
    let variable = efivar::read(root, "CfsHostRefusal", CFS_HOST);
    let from_variable = variable.and_then(|variable| RefusalRecord::parse(&variable.value));
    from_variable.or_else(|| booted.and_then(|booted| booted.refusal.clone()))
}

/// Says what a refusal of an earlier boot was.
pub fn tell_refusal(hint: &RefusalRecord, seen: &mut Seen) {
    let message = format!("an earlier boot of {} was refused: rule {}: {}", hint.entry, hint.rule, hint.why);
    seen.odd("EarlierBootRefused", Severity::Warning, message);
}

/// Whether `/etc` and `/var` are mounted writable.
pub fn writable(root: &Path) -> Writable {
    let mounts = std::fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    Writable { etc: mounted_writable(&mounts, "/etc"), var: mounted_writable(&mounts, "/var") }
}

/// Whether the topmost mount at this place is writable. Format: `proc_pid_mountinfo(5)`.
fn mounted_writable(mountinfo: &str, place: &str) -> Option<bool> {
    mountinfo.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(4);
        (fields.next()? == place)
            .then(|| fields.next().is_some_and(|options| options.split(',').any(|option| option == "rw")))
    })
}
