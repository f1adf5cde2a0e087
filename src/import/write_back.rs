//! Contents on their way to the disk while more of them come: the sync at the end of an import has little left to do then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use crate::store::{Result, Store};
use crate::sys::Sys;

/// Bytes that may wait in the page cache before somebody sees to it.
const AFTER: u64 = 32 << 20;

/// What the writers of an import have written since the last sync.
#[derive(Debug, Default)]
pub(super) struct WriteBack {
    waiting: AtomicU64,
    /// Held by the one that syncs; the others go on writing.
    syncing: Mutex<()>,
}

impl WriteBack {
    /// So many bytes were written. Now and then, who tells that waits for a sync; what that says must not be lost: the kernel says it once.
    pub(super) fn wrote(&self, bytes: u64, store: &Store, sys: &Sys) -> Result<()> {
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes < AFTER {
            return Ok(());
        }
        let Ok(_syncing) = self.syncing.try_lock() else { return Ok(()) };
        self.waiting.store(0, Ordering::Relaxed);
        store.sync(sys)
    }
}
