//! The restart that `--apply` asks for, and the one that ends a failed trial.

use std::process::Command;
use std::time::Duration;

use crate::sys::{Ended, Sys};

/// How long systemd may take to answer.
const LIMIT: Duration = Duration::from_secs(60);
const MAX_OUTPUT: usize = 1000;
/// In the order in which they are tried: asked for, without stopping units, without systemd.
const WAYS: [&[&str]; 3] = [&["reboot"], &["reboot", "--force"], &["reboot", "--force", "--force"]];

/// Asks systemd to restart; shutdown then runs [`super::finalize`].
pub fn reboot(sys: &Sys) -> anyhow::Result<()> {
    sys.run(Command::new("systemctl").arg("reboot"), b"")?;
    Ok(())
}

/// Restarts a system that may be broken: harder each time that the last way did not work. On return the restart is on its way.
pub fn reboot_whatever_it_takes(sys: &Sys) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for way in WAYS {
        match sys.run_limited(Command::new("systemctl").args(way), LIMIT, MAX_OUTPUT) {
            Ok(Ended { status: Some(status), .. }) if status.success() => return Ok(()),
            Ok(ended) => failures.push(String::from_utf8_lossy(&ended.output).trim().to_owned()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    Err(super::Refused(format!("the machine cannot be restarted: {}", failures.join("; "))).into())
}
