//! A layer's blob to its tar stream, on a thread of its own: reading, decompressing and the diff ID there,
//! splitting and writing here.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::budget::Growth;
use crate::fetch::{Compression, LayerStream};

const PART: usize = 256 << 10;
/// Parts that may wait: bounds the memory.
pub(super) const QUEUE: usize = 8;

/// Reads the blob to its end and sends its tar stream in parts; gives the stream's SHA-256.
///
/// When nobody takes the parts any more, the blob is still read: a wrong blob is told before what is wrong inside it.
pub(super) fn feed(layer: LayerStream<'_>, parts: SyncSender<Vec<u8>>, growth: &Growth) -> io::Result<[u8; 32]> {
    let mut blob = BufReader::with_capacity(PART, Packed { blob: layer.reader, growth });
    let outcome = match layer.compression {
        Compression::None => send(&mut blob, &parts, growth),
        Compression::Gzip => send(&mut MultiGzDecoder::new(&mut blob), &parts, growth),
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut blob)
            .and_then(|mut decoder| send(&mut decoder, &parts, growth)),
    };
    drain(&mut blob)?;
    outcome
}

/// Counts what is read of the blob.
struct Packed<'a, R> {
    blob: R,
    growth: &'a Growth,
}

impl<R: Read> Read for Packed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.blob.read(buffer)?;
        self.growth.packed(length as u64);
        Ok(length)
    }
}

fn send(stream: &mut dyn Read, parts: &SyncSender<Vec<u8>>, growth: &Growth) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    loop {
        let mut part = Vec::with_capacity(PART);
        stream.take(PART as u64).read_to_end(&mut part)?;
        growth.unpacked(part.len() as u64).map_err(io::Error::other)?;
        hash.update(&part);
        if part.is_empty() || parts.send(part).is_err() {
            return Ok(hash.finalize().into());
        }
    }
}

fn drain(blob: &mut impl BufRead) -> io::Result<()> {
    loop {
        match blob.fill_buf()?.len() {
            0 => return Ok(()),
            length => blob.consume(length),
        }
    }
}

/// The parts as one stream.
pub(super) struct Parts {
    queue: Receiver<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
}

impl Parts {
    /// Takes the receiving end.
    pub(super) fn new(queue: Receiver<Vec<u8>>) -> Self {
        Self { queue, part: Vec::new(), at: 0 }
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
        if self.at == self.part.len() {
            // A closed queue is the end; why it was closed, the feeding thread tells.
            (self.part, self.at) = (self.queue.recv().unwrap_or_default(), 0);
        }
        Ok(&self.part[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::mpsc::sync_channel;

    fn through(compression: Compression, blob: &[u8]) -> io::Result<(Vec<u8>, [u8; 32])> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(QUEUE);
            let feeder = scope.spawn(move || {
                let growth = crate::import::Budget::default().growth();
                feed(LayerStream { compression, reader: Box::new(blob) }, sender, &growth)
            });
            let mut bytes = Vec::new();
            Parts::new(receiver).read_to_end(&mut bytes)?;
            Ok((bytes, feeder.join().unwrap()?))
        })
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_compressions_give_the_same_stream_and_hash() {
        let bytes: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let (head, tail) = bytes.split_at(500_000);
        let members = [gzip(head), gzip(tail)].concat();
        let frames = [zstd::encode_all(head, 1).unwrap(), zstd::encode_all(tail, 1).unwrap()].concat();
        let expected: [u8; 32] = Sha256::digest(&bytes).into();
        for (compression, blob) in
            [(Compression::None, bytes.clone()), (Compression::Gzip, members), (Compression::Zstd, frames)]
        {
            assert!(through(compression, &blob).unwrap() == (bytes.clone(), expected), "{compression:?}");
        }
    }

    #[test]
    fn a_truncated_or_changed_blob_fails() {
        let bytes = vec![9; 100_000];
        for (compression, blob) in
            [(Compression::Gzip, gzip(&bytes)), (Compression::Zstd, zstd::encode_all(&bytes[..], 1).unwrap())]
        {
            assert!(through(compression, &blob[..blob.len() - 3]).is_err(), "{compression:?}");
        }
        assert!(through(Compression::Gzip, b"not gzip").is_err());
        assert!(through(Compression::Zstd, b"not zstd").is_err());
    }
}
