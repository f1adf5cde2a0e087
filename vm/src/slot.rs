//! How many machines run side by side: one per core, whoever starts them.
//!
//! An emulated machine keeps one core busy; more of them than cores makes each miss its time limit. The slots are lock
//! files, so tests of several processes share them, and a process that dies gives its slot back.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

use crate::cache;

/// The right to run one machine, until it is dropped.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its lock")] File);

/// How many there are: `$CFS_VM_SLOTS`, or the number of cores.
pub fn count() -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    std::env::var("CFS_VM_SLOTS").ok().and_then(|text| text.parse().ok()).filter(|n| *n > 0).unwrap_or_else(cores)
}

/// Waits for a free slot.
pub fn acquire() -> Result<Slot> {
    let root = cache::root()?;
    loop {
        for n in 0..count() {
            let path = root.join(format!("slot.{n}"));
            let file = File::create(&path).with_context(|| format!("cannot open the lock {}", path.display()))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Slot(file)),
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
