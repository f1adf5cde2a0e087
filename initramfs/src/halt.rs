//! The dead end (security rule 16): say why, leave nothing mounted, remember, pause, reboot or power off.
//!
//! Works with whatever the boot had reached: without a policy, without EFI variables. Never a shell.

use std::path::Path;
use std::time::Duration;

use rustix::system::{reboot, RebootCommand};

use crate::console::say;
use crate::efivars;
use crate::fallback::{self, Next, RefusalRecord};
use crate::loader;
use crate::modules;
use crate::mount;
use crate::policy::{OnFailure, Policy};
use crate::record::Progress;
use crate::refusal::Refusal;

/// The variable that carries the reason to the next boot.
const VARIABLE: &str = "CfsHostRefusal";
/// Without a policy.
const PAUSE_SECONDS: u8 = 10;

/// A kernel panic, and the end of PID 1 is one, reboots: some distributions' kernels stop for ever by default.
pub fn reboot_after_panic() {
    if let Err(error) = std::fs::write("/proc/sys/kernel/panic", "10\n") {
        say(&format!("/proc/sys/kernel/panic could not be set: {error}"));
    }
}

/// The refusal that an earlier boot left: a hint, for `status`.
pub fn left_behind() -> Option<RefusalRecord> {
    RefusalRecord::parse(&efivars::content(efivars::CFS_HOST, VARIABLE)?)
}

/// A verified boot ends the row of refusals.
pub fn forget() {
    if let Err(error) = efivars::remove(efivars::CFS_HOST, VARIABLE) {
        say(&format!("the variable {VARIABLE} could not be removed: {error}"));
    }
}

/// Ends the boot.
pub fn dead_end(refusal: &Refusal, policy: Option<&Policy>, progress: &Progress) -> ! {
    say(&format!("REFUSED {refusal}"));
    reach_variables(policy);
    let next = remember(refusal, policy, progress);
    mount::take_down();
    rustix::fs::sync();
    let seconds = policy.map_or(PAUSE_SECONDS, |policy| policy.pause_seconds);
    say(&format!("{} in {seconds} seconds", what(&next)));
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let command = if next == Next::PowerOff { RebootCommand::PowerOff } else { RebootCommand::Restart };
    let _ = reboot(command);
    // The kernel panics when PID 1 ends, and reboots as /proc/sys/kernel/panic says.
    std::process::exit(1)
}

/// The boot may have stopped before it had, or after it gave up, the EFI variables; without them the reason is only
/// shown. The modules that this loads are those of the policy, by hash, whatever else the initramfs holds.
fn reach_variables(policy: Option<&Policy>) {
    if !Path::new(efivars::DIRECTORY).exists() {
        let _ = mount::system();
    }
    if efivars::read(efivars::GLOBAL, "SecureBoot").is_none() {
        let _ = policy.map(modules::load);
        let _ = mount::efivarfs();
    }
}

fn what(next: &Next) -> String {
    match next {
        Next::Reboot => "rebooting".to_owned(),
        Next::RebootInto(entry) => format!("rebooting into {entry}"),
        Next::PowerOff => "powering off".to_owned(),
    }
}

/// Writes the reason and, where the policy reboots, names another deployment; a bounded number of times.
fn remember(refusal: &Refusal, policy: Option<&Policy>, progress: &Progress) -> Next {
    let entry = progress.entry.as_deref();
    // A hand-over that fails comes after the variable was removed; the row of refusals goes on all the same.
    let earlier = progress.earlier.clone().or_else(left_behind);
    let entries = loader::list(efivars::read(efivars::LOADER, "LoaderEntries").as_deref());
    let on_failure = policy.map_or(OnFailure::Reboot, |policy| policy.on_failure);
    let (n, next) = fallback::next(on_failure, earlier.as_ref(), entry, &entries);
    let record = RefusalRecord {
        n,
        entry: entry.unwrap_or_default().to_owned(),
        uki: policy.map(|policy| policy.uki_id.short()).unwrap_or_default(),
        rule: refusal.rule,
        why: refusal.why.clone(),
    };
    if let Err(error) = efivars::write(efivars::CFS_HOST, VARIABLE, &record.to_bytes()) {
        say(&format!("the reason could not be kept in an EFI variable: {error}"));
    }
    if let Next::RebootInto(other) = &next {
        if let Err(error) = efivars::write(efivars::LOADER, "LoaderEntryOneShot", &utf16(other)) {
            say(&format!("the loader could not be told to boot {other}: {error}"));
        }
    }
    next
}

/// As the boot loader interface wants its strings: UTF-16, little-endian, NUL-ended.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_shot_is_what_the_loader_reads() {
        assert_eq!(utf16("ab"), [b'a', 0, b'b', 0, 0, 0]);
    }
}
