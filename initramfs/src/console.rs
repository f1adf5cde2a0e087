//! What a person sees: lines `cfs-init: …` on the console and in the kernel's log.

use std::fs::OpenOptions;
use std::io::Write;

/// Writes one line. Where neither place can be written there is nobody to tell.
pub fn say(line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    put("/dev/console", &format!("cfs-init: {line}\n"));
    // Level 7: kept for the journal, not printed on the console a second time.
    put("/dev/kmsg", &format!("<7>cfs-init: {line}\n"));
}

fn put(device: &str, line: &str) {
    if let Ok(mut file) = OpenOptions::new().write(true).open(device) {
        // A console that fails must not stop a boot.
        let _ = file.write_all(line.as_bytes());
    }
}
