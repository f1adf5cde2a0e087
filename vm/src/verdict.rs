//! How a boot ended, read from the console: pure, and strict enough that a hang is never taken for a refusal.

use serde::Serialize;

/// The end of one boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The agent inside said that it is ready.
    Booted {
        /// The kernel's id of this boot: another one after each reboot.
        boot_id: String,
    },
    /// `/init` refused to go on, by this rule of the trust rules.
    Refused {
        /// The rule's number.
        rule: u8,
        /// The whole line.
        line: String,
    },
    /// The firmware or the boot loader refused to start a program.
    FirmwareRefused {
        /// The whole line.
        line: String,
    },
    /// A program before the kernel crashed: the firmware prints the registers and stops.
    FirmwareCrashed {
        /// The whole line.
        line: String,
    },
    /// The kernel gave up.
    Panicked {
        /// The whole line.
        line: String,
    },
    /// The machine switched itself off or reset without a word that we know.
    Stopped {
        /// The console's last lines.
        tail: String,
    },
    /// Nothing happened for too long.
    Hung {
        /// The console's last lines.
        tail: String,
    },
}

/// The first decisive line of a console, if there is one yet. Lines that are not complete do not count.
pub fn read(console: &str) -> Option<Verdict> {
    let complete = &console[..=console.rfind('\n')?];
    complete.lines().map(plain).find_map(|line| decisive(&line))
}

fn decisive(line: &str) -> Option<Verdict> {
    if let Some((_, rest)) = line.split_once("cfs-init: REFUSED rule ") {
        let rule = rest.split_once(':')?.0.parse().ok()?;
        return Some(Verdict::Refused { rule, line: line.to_owned() });
    }
    // OVMF and systemd-boot, both with the name that UEFI gives to EFI_SECURITY_VIOLATION and EFI_ACCESS_DENIED.
    let lower = line.to_lowercase();
    if ["security violation", "access denied", "security policy violation"].iter().any(|words| lower.contains(words)) {
        return Some(Verdict::FirmwareRefused { line: line.to_owned() });
    }
    // OVMF's exception handler; the first line of its dump, which begins so.
    if line.contains("Exception Type -") && line.contains("!!!!") {
        return Some(Verdict::FirmwareCrashed { line: line.to_owned() });
    }
    line.contains("Kernel panic - not syncing").then(|| Verdict::Panicked { line: line.to_owned() })
}

/// The last lines of a console without escape sequences, for a message.
pub fn tail(console: &str) -> String {
    let lines: Vec<String> = console.lines().map(plain).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The line without terminal escapes and control characters.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI: ESC [ parameters, ended by a letter or one of @ to ~; any other escape is two characters long.
            if chars.next() == Some('[') {
                chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
        } else if !c.is_control() {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_rule_and_line() {
        let console = "[    2.1] Run /init\r\n[    2.2] cfs-init: REFUSED rule 11: product \"other\", not \"demo\"\r\n";
        let Some(Verdict::Refused { rule, line }) = read(console) else { panic!("{:?}", read(console)) };
        assert_eq!(rule, 11);
        assert!(line.ends_with("not \"demo\""), "{line}");
    }

    #[test]
    fn the_firmwares_refusals_are_recognised() {
        for line in [
            "BdsDxe: failed to load Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x2,0x0): Access Denied\n",
            "\u{1b}[0m\u{1b}[37mError loading \\EFI\\cfs\\0123456789abcdef.efi: Security violation\r\n",
        ] {
            assert!(matches!(read(line), Some(Verdict::FirmwareRefused { .. })), "{line}");
        }
    }

    #[test]
    fn a_crash_of_the_stub_is_no_refusal() {
        let line = "!!!! X64 Exception Type - 0E(#PF - Page-Fault)  CPU Apic ID - 00000000 !!!!\n";
        assert!(matches!(read(line), Some(Verdict::FirmwareCrashed { .. })));
    }

    #[test]
    fn noise_and_half_lines_decide_nothing() {
        for console in ["", "cfs-init: REFUSED rule 3: not comple", "cfs-init: REFUSED rule x: y\n", "boot: REFUSED\n"]
        {
            assert_eq!(read(console), None, "{console}");
        }
    }

    #[test]
    fn escapes_are_cut_from_lines() {
        assert_eq!(plain("\u{1b}[2J\u{1b}[01;01Hcfs\u{1b}[0m-init\r"), "cfs-init");
    }
}
