//! A layer's blob to its tar stream: read by one thread, inflated by a second, hashed for the diff ID by a third.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::budget::Growth;
use super::parts::{Part, Parts, Pool};
use crate::fetch::Compression;

/// Parts that may wait between two threads.
pub(super) const QUEUE: usize = 8;

/// Where parts go, and whether anybody still takes them.
pub(super) type Outlet = SyncSender<io::Result<Part>>;

/// Reads the blob to its end. Its reader checks it; what it says is handed on in place of a part.
pub(super) fn read(mut blob: Box<dyn Read + Send + '_>, pool: &Arc<Pool>, outlet: &Outlet, growth: &Growth) {
    loop {
        let part = pool.fill(&mut blob);
        growth.packed(part.as_ref().map_or(0, |part| part.len() as u64));
        let last = part.as_ref().map_or(true, |part| part.is_empty());
        if outlet.send(part).is_err() || last {
            return;
        }
    }
}

/// Turns the blob into the tar stream, for all who read that.
///
/// When nobody splits it any more, the blob is still read: a wrong blob is told before what is wrong inside it.
pub(super) fn inflate(
    mut blob: Parts,
    compression: Compression,
    pool: &Arc<Pool>,
    outlets: &[Outlet; 2],
    growth: &Growth,
) -> io::Result<()> {
    let fill = |stream: &mut dyn Read| pool.fill(stream).map(Some);
    let outcome = match compression {
        Compression::None => send(|| blob.part(), outlets, growth),
        Compression::Gzip => {
            let mut decoder = MultiGzDecoder::new(&mut blob);
            send(|| fill(&mut decoder), outlets, growth)
        }
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut blob)
            .and_then(|mut decoder| send(|| fill(&mut decoder), outlets, growth)),
    };
    drain(&mut blob)?;
    outcome
}

/// Hands on what `next` gives, until that is nothing or nobody takes it.
fn send(mut next: impl FnMut() -> io::Result<Option<Part>>, outlets: &[Outlet; 2], growth: &Growth) -> io::Result<()> {
    while let Some(part) = next()?.filter(|part| !part.is_empty()) {
        growth.unpacked(part.len() as u64).map_err(io::Error::other)?;
        if outlets.iter().any(|outlet| outlet.send(Ok(Arc::clone(&part))).is_err()) {
            break;
        }
    }
    Ok(())
}

fn drain(blob: &mut impl BufRead) -> io::Result<()> {
    loop {
        match blob.fill_buf()?.len() {
            0 => return Ok(()),
            length => blob.consume(length),
        }
    }
}

/// The SHA-256 of all parts.
pub(super) fn hash(parts: &Receiver<io::Result<Part>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().flatten().for_each(|part| hash.update(&**part));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::mpsc::sync_channel;

    fn through(compression: Compression, blob: &[u8]) -> io::Result<(Vec<u8>, [u8; 32])> {
        let (pool, growth) = (&Pool::new(), &crate::import::Budget::default().growth());
        std::thread::scope(|scope| {
            let [(packed, blob_parts), (one, hashed), (two, split)] = std::array::from_fn(|_| sync_channel(QUEUE));
            scope.spawn(move || read(Box::new(blob), pool, &packed, growth));
            let inflater = scope.spawn(move || inflate(Parts::new(blob_parts), compression, pool, &[one, two], growth));
            let hasher = scope.spawn(move || hash(&hashed));
            let mut bytes = Vec::new();
            Parts::new(split).read_to_end(&mut bytes)?;
            inflater.join().unwrap()?;
            Ok((bytes, hasher.join().unwrap()))
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
