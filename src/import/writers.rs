//! Objects written by a few threads, while the next part of the layer is split: most of an import's time is
//! the file system's, one small file after the other.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::layer::Importer;
use super::parts::{Content, Parts, Slice};
use super::sharing::Share;
use super::Fault;
use crate::model::sharing::Shared;
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
    Objects(Vec<(Digest, Object)>),
    Stream(Receiver<Piece>),
}

/// Where an object's bytes are.
enum Object {
    /// In parts of the stream.
    Content(Content),
    /// In a file of so many bytes, which they were read from.
    File(Share, u64),
}

/// What comes of a file that is too large to be held; one that never gets its name is dropped.
enum Piece {
    Bytes(Slice),
    Name(Digest),
}

#[derive(Default)]
struct Batch {
    objects: Vec<(Digest, Object)>,
    /// Of the stream's parts that it holds on to.
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
    threads: Vec<ScopedJoinHandle<'a, Result<Shared, Error>>>,
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
            self.add(digest, Object::Content(content), size, part);
        }
        self.hand_over_if_due(part)?;
        Ok(Stored { digest, size, new })
    }

    /// Hashes the next `size` bytes of a stream, and has the file that they come from shared: nothing of them is kept.
    pub fn put_file(&mut self, tar: &mut Parts, size: u64, share: Share) -> Result<Stored, Fault> {
        let mut hasher = Hasher::default();
        each_slice(tar, size, |slice| {
            hasher.update(&slice);
            Ok(())
        })?;
        let digest = hasher.finish();
        let new = self.is_new(digest, size);
        if new {
            self.add(digest, Object::File(share, size), 0, tar.number);
        }
        self.hand_over_if_due(tar.number)?;
        Ok(Stored { digest, size, new })
    }

    /// Has the next `size` bytes of a stream written while they come, and names them at their end.
    pub fn put_stream(&mut self, tar: &mut Parts, size: u64) -> Result<Stored, Fault> {
        self.hand_over()?;
        let (pieces, receiver) = sync_channel(QUEUE);
        self.give(Job::Stream(receiver))?;
        let mut hasher = Hasher::default();
        each_slice(tar, size, |slice| {
            hasher.update(&slice);
            pieces.send(Piece::Bytes(slice)).map_err(|_| stopped())
        })?;
        let digest = hasher.finish();
        let new = self.is_new(digest, size);
        if new {
            pieces.send(Piece::Name(digest)).map_err(|_| stopped())?;
        }
        Ok(Stored { digest, size, new })
    }

    /// Waits until all is written; tells what was shared, or the first failure.
    pub fn finish(mut self) -> Result<Shared, Fault> {
        let handed_over = self.hand_over();
        drop(self.jobs);
        let died = || Err(Fault::Write(io::Error::other("a writing thread died")));
        let outcomes: Vec<_> = self.threads.into_iter().map(|thread| thread.join()).collect();
        let shared = outcomes
            .into_iter()
            .try_fold(Shared::default(), |sum, outcome| outcome.map_or_else(|_| died(), |done| Ok(sum.and(done?))))?;
        handed_over.map(|()| shared)
    }

    fn is_new(&mut self, digest: Digest, size: u64) -> bool {
        !self.given.contains(&digest) && !self.store.has(&digest, size) && self.given.insert(digest)
    }

    fn add(&mut self, digest: Digest, object: Object, bytes: u64, part: u64) {
        if self.batch.objects.is_empty() {
            self.batch.begun = part;
        }
        self.batch.bytes += bytes;
        self.batch.objects.push((digest, object));
    }

    fn hand_over_if_due(&mut self, part: u64) -> Result<(), Fault> {
        let Batch { objects, bytes, begun } = &self.batch;
        match *bytes >= BATCH_BYTES || objects.len() >= BATCH_FILES || part.saturating_sub(*begun) >= BATCH_PARTS {
            true => self.hand_over(),
            false => Ok(()),
        }
    }

    fn hand_over(&mut self) -> Result<(), Fault> {
        let Batch { objects, .. } = std::mem::take(&mut self.batch);
        match objects.is_empty() {
            true => Ok(()),
            false => self.give(Job::Objects(objects)),
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

/// The next `size` bytes of a stream, where it has left them.
fn each_slice(tar: &mut Parts, size: u64, mut take: impl FnMut(Slice) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut left = size;
    while left > 0 {
        let slice = tar.slice(left)?.ok_or(Fault::Truncated)?;
        left -= slice.len() as u64;
        take(slice)?;
    }
    Ok(())
}

fn work(jobs: &Mutex<Receiver<Job>>, importer: &Importer<'_>) -> Result<Shared, Error> {
    let mut shared = Shared::default();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Err(_) => return Ok(shared),
            Ok(Job::Objects(objects)) => shared = shared.and(write_objects(objects, importer)?),
            Ok(Job::Stream(pieces)) => write_stream(&pieces, importer)?,
        }
    }
}

fn write_objects(objects: Vec<(Digest, Object)>, importer: &Importer<'_>) -> Result<Shared, Error> {
    let Importer { store, sys, write_back, .. } = importer;
    let (mut shared, mut bytes) = (Shared::default(), 0);
    for (digest, object) in objects {
        match object {
            Object::Content(content) => {
                store.put_hashed(sys, &digest, content.slices())?;
                bytes += content.size;
            }
            Object::File(Share { original, by }, size) => {
                shared.add(store.put_file(sys, &digest, &original, &by)?, size);
            }
        }
    }
    write_back.wrote(bytes, store, sys)?;
    Ok(shared)
}

/// Its bytes are not seen to the disk meanwhile: of a file that the store has they are dropped.
fn write_stream(pieces: &Receiver<Piece>, importer: &Importer<'_>) -> Result<(), Error> {
    let Importer { store, sys, .. } = importer;
    let mut file = store.new_object(sys)?;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => {
                let unwritable = |source| Error::Write { path: store.objects(), source };
                file.write_all(&bytes).map_err(unwritable)?;
            }
            Piece::Name(digest) => return store.place(sys, file, &digest),
        }
    }
    Ok(())
}
