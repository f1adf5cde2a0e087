//! The last act: the image becomes `/` and its init becomes PID 1 (security rule 2).

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::mount::{mount_move, unmount, UnmountFlags};
use rustix::process::{chdir, chroot};

use crate::efivars;
use crate::mount::{self, NewRoot, Root};
use crate::refusal::Refusal;

const INIT: &str = "/sbin/init";

/// Moves everything into the new root and starts its init, with no environment and no argument: the kernel puts
/// unknown words of the command line into both. Returns only to say why it could not.
pub fn switch(root: Root, new: NewRoot) -> Result<Infallible, Refusal> {
    // Left mounted it would be as we mounted it; the running system mounts it in its own way.
    unmount(efivars::DIRECTORY, UnmountFlags::empty()).map_err(|error| refuse("the EFI variables' mount", error))?;
    drop(root);
    mount::move_into(&new)?;
    drop(new);
    free_memory();
    chdir(mount::NEW_ROOT).map_err(|error| refuse("entering the image", error))?;
    mount_move(".", "/").map_err(|error| refuse("moving the image to /", error))?;
    chroot(".").map_err(|error| refuse("changing the root", error))?;
    chdir("/").map_err(|error| refuse("entering the new root", error))?;
    Err(refuse(INIT, Command::new(INIT).env_clear().exec()))
}

fn refuse(what: &str, error: impl std::fmt::Display) -> Refusal {
    Refusal::new(2, format!("the hand-over to the image failed: {what}: {error}"))
}

/// The initramfs lives in memory for as long as the system runs, so its files go. What can not be removed only costs memory.
fn free_memory() {
    for directory in ["/modules", "/.extra"] {
        let _ = std::fs::remove_dir_all(directory);
    }
    let _ = std::fs::remove_file("/init");
}
