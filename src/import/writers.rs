//! Objects written by a few threads, while the next part of the layer is split: most of an import's time is
//! the file system's, one small file after the other.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::layer::Importer;
use super::parts::{Content, Parts, Slice};
use super::Fault;
use crate::model::Digest;
use crate::store::verity::Hasher;
use crate::store::{Error, Store, Stored};

const THREADS: usize = 2;
/// Jobs that may wait; what they hold, the pool of parts bounds.
const QUEUE: usize = 8;
/// Contents are handed over together: so many bytes, so many files, of so many parts of the stream. The last keeps a few new
/// files among many known ones from holding on to all parts.
const BATCH_BYTES: u64 = 512 << 10;
const BATCH_FILES: usize = 64;
const BATCH_PARTS: u64 = 8;

enum Job {
    Contents(Vec<(Digest, Content)>),
    Stream(Receiver<Piece>),
}

/// What comes of a file that is too large to be held; one that never gets its name is dropped.
enum Piece {
    Bytes(Slice),
    Name(Digest),
}

#[derive(Default)]
struct Batch {
    contents: Vec<(Digest, Content)>,
    bytes: u64,
    /// The stream's part that the first came from.
    begun: u64,
}

/// The threads, and what they were given.
pub(super) struct Writers<'a> {
    store: &'a Store,
    jobs: SyncSender<Job>,
    batch: Batch,
    given: HashSet<Digest>,
    threads: Vec<ScopedJoinHandle<'a, Result<(), Error>>>,
}

impl<'a> Writers<'a> {
    /// Starts the threads.
    pub fn start(scope: &'a Scope<'a, '_>, importer: &'a Importer<'a>) -> Self {
        let (jobs, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = (0..THREADS).map(|_| {
            let receiver = Arc::clone(&receiver);
            scope.spawn(move || work(&receiver, importer))
        });
        let threads = threads.collect();
        Self { store: importer.store, jobs, batch: Batch::default(), given: HashSet::new(), threads }
    }

    /// Names the content and has it written, if it is not there and not on its way. `part` counts the stream's parts.
    pub fn put(&mut self, content: Content, part: u64) -> Result<Stored, Fault> {
        let (digest, size) = (content.digest(), content.size);
        let new = self.is_new(digest, size);
        if new {
            if self.batch.contents.is_empty() {
                self.batch.begun = part;
            }
            self.batch.bytes += size;
            self.batch.contents.push((digest, content));
        }
        let Batch { contents, bytes, begun } = &self.batch;
        if *bytes >= BATCH_BYTES || contents.len() >= BATCH_FILES || part.saturating_sub(*begun) >= BATCH_PARTS {
            self.hand_over()?;
        }
        Ok(Stored { digest, size, new })
    }

    /// Has the next `size` bytes of a stream written while they come, and names them at their end.
    pub fn put_stream(&mut self, tar: &mut Parts, size: u64) -> Result<Stored, Fault> {
        self.hand_over()?;
        let (pieces, receiver) = sync_channel(QUEUE);
        self.give(Job::Stream(receiver))?;
        let (mut hasher, mut left) = (Hasher::default(), size);
        while left > 0 {
            let slice = tar.slice(left)?.ok_or(Fault::Truncated)?;
            left -= slice.len() as u64;
            hasher.update(&slice);
            pieces.send(Piece::Bytes(slice)).map_err(|_| stopped())?;
        }
        let digest = hasher.finish();
        let new = self.is_new(digest, size);
        if new {
            pieces.send(Piece::Name(digest)).map_err(|_| stopped())?;
        }
        Ok(Stored { digest, size, new })
    }

    /// Waits until all is written; tells the first failure.
    pub fn finish(mut self) -> Result<(), Fault> {
        let handed_over = self.hand_over();
        drop(self.jobs);
        let died = || Err(Fault::Write(io::Error::other("a writing thread died")));
        let outcomes: Vec<_> = self.threads.into_iter().map(|thread| thread.join()).collect();
        let written = outcomes.into_iter().try_for_each(|outcome| outcome.map_or_else(|_| died(), |done| Ok(done?)));
        written.and(handed_over)
    }

    fn is_new(&mut self, digest: Digest, size: u64) -> bool {
        !self.given.contains(&digest) && !self.store.has(&digest, size) && self.given.insert(digest)
    }

    fn hand_over(&mut self) -> Result<(), Fault> {
        let Batch { contents, .. } = std::mem::take(&mut self.batch);
        match contents.is_empty() {
            true => Ok(()),
            false => self.give(Job::Contents(contents)),
        }
    }

    fn give(&self, job: Job) -> Result<(), Fault> {
        self.jobs.send(job).map_err(|_| stopped())
    }
}

/// No thread is left to take it: each has failed, and will say why.
fn stopped() -> Fault {
    Fault::Write(io::Error::other("writing has stopped"))
}

fn work(jobs: &Mutex<Receiver<Job>>, importer: &Importer<'_>) -> Result<(), Error> {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Err(_) => return Ok(()),
            Ok(Job::Contents(contents)) => write_contents(contents, importer)?,
            Ok(Job::Stream(pieces)) => write_stream(&pieces, importer)?,
        }
    }
}

fn write_contents(contents: Vec<(Digest, Content)>, importer: &Importer<'_>) -> Result<(), Error> {
    let mut bytes = 0;
    for (digest, content) in contents {
        importer.store.put_hashed(importer.sys, &digest, content.slices())?;
        bytes += content.size;
    }
    importer.write_back.wrote(bytes, importer.store, importer.sys)
}

/// Its bytes are not seen to the disk meanwhile: of a file that the store has they are dropped.
fn write_stream(pieces: &Receiver<Piece>, importer: &Importer<'_>) -> Result<(), Error> {
    let Importer { store, sys, .. } = importer;
    let mut file = store.new_object(sys, None)?;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => {
                let unwritable = |source| Error::Write { path: store.path().join("objects"), source };
                file.write_all(&bytes).map_err(unwritable)?;
            }
            Piece::Name(digest) => return store.place(sys, file, &digest),
        }
    }
    Ok(())
}
