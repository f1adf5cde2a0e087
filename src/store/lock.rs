//! The repository's lock: shared by all who use it, held alone by who removes. composefs-rs' own tools keep to the same.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

use super::{Error, Result, Store};

/// A look at the store is over by then, and so is the start of a child, which holds its parent's files until it is another program.
const MOMENT: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(20);

/// The repository, used by nobody else; dropped, it is shared again.
pub(super) struct Alone<'a>(pub(super) &'a Store);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // It was shared before. Without it another program may remove what this one imports from here on:
        // each name is checked again before it is used.
        let _ = lock_shared(&self.0.lock, &self.0.path);
    }
}

impl Store {
    /// Waits a moment and no longer: who holds the repository may hold it for hours.
    pub(super) fn alone(&self) -> Result<Alone<'_>> {
        // The kernel lets the old lock go before it tries the new one: the guard brings it back either way.
        let guard = Alone(self);
        let started = Instant::now();
        loop {
            match flock(&self.lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(guard),
                Err(Errno::WOULDBLOCK) if started.elapsed() < MOMENT => std::thread::sleep(BETWEEN),
                Err(Errno::WOULDBLOCK) => return Err(Error::InUse { path: self.path.clone() }),
                Err(error) => return Err(Error::Read { path: self.path.clone(), source: error.into() }),
            }
        }
    }
}

/// Opens the directory and shares it.
pub(super) fn share(path: &Path) -> Result<File> {
    let directory = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    lock_shared(&directory, path)?;
    Ok(directory)
}

fn lock_shared(directory: &File, path: &Path) -> Result<()> {
    flock(directory, FlockOperation::LockShared)
        .map_err(|error| Error::Read { path: path.to_owned(), source: error.into() })
}
