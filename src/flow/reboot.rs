//! The restart that `--apply` asks for.

use std::process::Command;

use crate::sys::Sys;

/// Asks systemd to restart; shutdown then runs [`super::finalize`].
pub fn reboot(sys: &Sys) -> anyhow::Result<()> {
    sys.run(Command::new("systemctl").arg("reboot"), b"")?;
    Ok(())
}
