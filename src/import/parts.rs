//! A stream in parts that its readers share: what is written is never copied, only counted on.
//!
//! The buffers are a fixed number: who wants one more waits until somebody lets go of one. That bounds an import's memory,
//! whatever the sizes of its layers and files.

use std::io::{self, BufRead, Read};
use std::ops::{Deref, Range};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::model::Digest;
use crate::store::verity::Hasher;

/// Size of a part in bytes.
const PART: usize = 256 << 10;
/// All parts together are 40 MiB.
const PARTS: usize = 160;
/// Of these, what larger files may take that are held whole: 8 MiB.
const RESERVED: usize = 32;

/// The buffers of an import, for all of its layers.
pub struct Pool {
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    free: Vec<Box<[u8]>>,
    /// Buffers that nobody has asked for yet.
    unmade: usize,
    reserve: usize,
}

impl Pool {
    /// No buffer is made before it is needed.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Arc<Self> {
        let state = State { free: Vec::new(), unmade: PARTS, reserve: RESERVED };
        Arc::new(Self { state: Mutex::new(state), returned: Condvar::new() })
    }

    /// The next part of a stream, filled to its end or to the end of the stream; waits for a buffer.
    pub(super) fn fill(self: &Arc<Self>, stream: &mut dyn Read) -> io::Result<Part> {
        let mut buffer = Buffer { bytes: self.take(), filled: 0, pool: Arc::clone(self) };
        while buffer.filled < PART {
            match stream.read(&mut buffer.bytes[buffer.filled..]) {
                Ok(0) => break,
                Ok(length) => buffer.filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(buffer))
    }

    fn take(&self) -> Box<[u8]> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(buffer) = state.free.pop() {
                return buffer;
            }
            if state.unmade > 0 {
                state.unmade -= 1;
                return vec![0; PART].into();
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Room for a file that is held whole, if there is any now.
    pub(super) fn reserve(self: &Arc<Self>, size: u64) -> Option<Reserved> {
        let parts = usize::try_from(size.div_ceil(PART as u64)).ok()? + 1;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reserve = state.reserve.checked_sub(parts)?;
        Some(Reserved { parts, pool: Arc::clone(self) })
    }
}

/// Room that is given back when dropped.
pub(super) struct Reserved {
    parts: usize,
    pool: Arc<Pool>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.pool.state.lock().unwrap_or_else(PoisonError::into_inner).reserve += self.parts;
    }
}

/// A filled buffer; goes back to its pool.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
    pool: Arc<Pool>,
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.pool.state.lock().unwrap_or_else(PoisonError::into_inner).free.push(bytes);
        self.pool.returned.notify_one();
    }
}

/// One part of a stream.
pub(super) type Part = Arc<Buffer>;

/// Some bytes of a part.
pub(super) struct Slice {
    part: Part,
    range: Range<usize>,
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.part[self.range.clone()]
    }
}

/// A file's content, where the stream has left it.
pub(super) struct Content {
    slices: Vec<Slice>,
    /// In bytes.
    pub size: u64,
    /// Kept as long as the content is.
    _room: Option<Reserved>,
}

impl Content {
    /// Its fs-verity digest.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        self.slices().for_each(|slice| hasher.update(slice));
        hasher.finish()
    }

    /// Its bytes, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.slices.iter().map(|slice| &**slice)
    }
}

/// Parts, one after the other, as a stream.
pub(super) struct Parts {
    queue: Receiver<io::Result<Part>>,
    part: Option<Part>,
    at: usize,
    /// How many parts have come.
    pub number: u64,
    /// How many bytes of the stream were taken.
    pub offset: u64,
}

impl Parts {
    /// Takes the receiving end. A closed queue is the end of the stream.
    pub fn new(queue: Receiver<io::Result<Part>>) -> Self {
        Self { queue, part: None, at: 0, number: 0, offset: 0 }
    }

    /// The next part as it came; `None` at the end. For a stream of which nothing else is read.
    pub fn part(&mut self) -> io::Result<Option<Part>> {
        self.queue.recv().ok().transpose()
    }

    /// The next bytes, `most` of them or fewer; `None` at the end.
    pub fn slice(&mut self, most: u64) -> io::Result<Option<Slice>> {
        let length = self.fill_buf()?.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let Some(part) = self.part.clone().filter(|_| length > 0) else { return Ok(None) };
        let range = self.at..self.at + length;
        self.consume(length);
        Ok(Some(Slice { part, range }))
    }

    /// The next `size` bytes; `None` if the stream ends before.
    pub fn content(&mut self, size: u64, room: Option<Reserved>) -> io::Result<Option<Content>> {
        let (mut slices, mut left) = (Vec::new(), size);
        while left > 0 {
            let Some(slice) = self.slice(left)? else { return Ok(None) };
            left -= slice.len() as u64;
            slices.push(slice);
        }
        Ok(Some(Content { slices, size, _room: room }))
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Parts {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.part.as_ref().is_none_or(|part| self.at == part.len()) {
            // Let go of before the next is waited for.
            (self.part, self.at) = (None, 0);
            self.part = self.part()?;
            self.number += 1;
        }
        Ok(self.part.as_ref().map_or(&[][..], |part| &part[self.at..]))
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
        self.offset += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    /// A stream of `bytes` in parts.
    fn parts(pool: &Arc<Pool>, mut bytes: &[u8]) -> Parts {
        let (sender, receiver) = sync_channel(100);
        while !bytes.is_empty() {
            sender.send(pool.fill(&mut bytes)).unwrap();
        }
        Parts::new(receiver)
    }

    fn pattern(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn contents_and_bytes_between_them_are_those_of_the_stream() {
        let (pool, bytes) = (Pool::new(), pattern(3 * PART + 17));
        let mut stream = parts(&pool, &bytes);
        let mut head = [0; 100];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[..], bytes[..100]);
        let content = stream.content(2 * PART as u64, None).unwrap().unwrap();
        assert_eq!(content.slices().collect::<Vec<_>>().concat(), bytes[100..100 + 2 * PART]);
        assert_eq!(content.digest(), Hasher::hash(&bytes[100..100 + 2 * PART]));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, bytes[100 + 2 * PART..]);
        assert!(stream.slice(1).unwrap().is_none() && stream.content(1, None).unwrap().is_none());
        assert_eq!(stream.content(0, None).unwrap().unwrap().size, 0);
    }

    #[test]
    fn buffers_are_used_again_and_a_lack_of_them_waits() {
        let (pool, bytes) = (Pool::new(), pattern(PART));
        let held: Vec<_> = (0..PARTS).map(|_| pool.fill(&mut &bytes[..]).unwrap()).collect();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.fill(&mut &bytes[..7]).unwrap().len());
            drop(held);
            assert_eq!(waiting.join().unwrap(), 7);
        });
        let state = pool.state.lock().unwrap();
        assert_eq!((state.free.len(), state.unmade), (PARTS, 0));
        assert!(state.free.iter().all(|buffer| buffer.len() == PART), "a part changed its size");
    }

    #[test]
    fn room_for_larger_files_is_limited_and_given_back() {
        let pool = Pool::new();
        assert!(pool.reserve(u64::MAX).is_none());
        let first = pool.reserve(20 * PART as u64).unwrap();
        assert!(pool.reserve(20 * PART as u64).is_none());
        drop(first);
        assert!(pool.reserve(20 * PART as u64).is_some());
    }
}
