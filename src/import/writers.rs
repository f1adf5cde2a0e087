//! Objects written by a few threads, while the next part of the layer is split: most of an import's time is
//! the file system's, one small file after the other.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::Fault;
use crate::model::Digest;
use crate::store::verity::Hasher;
use crate::store::{Store, Stored};
use crate::sys::Sys;

const THREADS: usize = 2;
/// Objects that may wait: bounds the memory.
const QUEUE: usize = 16;

type Job = (Digest, Vec<u8>);

/// The threads, and what they were given.
pub(super) struct Writers<'a> {
    store: &'a Store,
    jobs: SyncSender<Job>,
    given: HashSet<Digest>,
    threads: Vec<ScopedJoinHandle<'a, Result<(), crate::store::Error>>>,
}

impl<'a> Writers<'a> {
    /// Starts the threads.
    pub(super) fn start(scope: &'a Scope<'a, '_>, store: &'a Store, sys: &'a Sys) -> Self {
        let (jobs, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..THREADS).map(|_| {
            let receiver = Arc::clone(&receiver);
            scope.spawn(move || work(&receiver, store, sys))
        });
        let threads = threads.collect();
        Self { store, jobs, given: HashSet::new(), threads }
    }

    /// Names the object and has it written, if it is not there and not on its way.
    pub(super) fn put(&mut self, bytes: Vec<u8>) -> Result<Stored, Fault> {
        let (digest, size) = (Hasher::hash(&bytes), bytes.len() as u64);
        let new = !self.given.contains(&digest) && !self.store.has(&digest, size);
        if new {
            self.given.insert(digest);
            // No thread is left to take it: each has failed, and will say why.
            self.jobs.send((digest, bytes)).map_err(|_| Fault::Write(io::Error::other("writing has stopped")))?;
        }
        Ok(Stored { digest, size, new })
    }

    /// Waits until all is written; tells the first failure.
    pub(super) fn finish(self) -> Result<(), Fault> {
        drop(self.jobs);
        let died = || Err(Fault::Write(io::Error::other("a writing thread died")));
        let outcomes: Vec<_> = self.threads.into_iter().map(|thread| thread.join()).collect();
        outcomes.into_iter().try_for_each(|outcome| outcome.map_or_else(|_| died(), |written| Ok(written?)))
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, store: &Store, sys: &Sys) -> Result<(), crate::store::Error> {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((digest, bytes)) = job else { return Ok(()) };
        store.put_hashed(sys, &digest, &bytes)?;
    }
}
