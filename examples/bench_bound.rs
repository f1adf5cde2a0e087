//! What an import costs at least on this machine: each part of the work on its own, and the sum that the processors allow.
//!
//!     cargo run --release --example bench_bound -- LAYOUT TAG DIRECTORY [OLDER-TAG]
//!
//! Prints JSON, in seconds: `inflate` (all layers) and `longest` (the largest, which one thread has to do), `hash` (blobs, diff IDs and
//! fs-verity digests), `write` (the contents that OLDER-TAG does not have, by as many threads as there are processors, no other work
//! beside it) and `sync`, the disk's part when nothing was written back before. `bound`: (inflate + hash) / processors + write, or
//! `longest` if that is more; the disk works meanwhile.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use cfs_host::fetch::{self, Compression, Options};
use cfs_host::store::verity::Hasher;
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use tar::Archive;

/// A layer in memory: its blob and its tar stream.
struct Layer {
    blob: Vec<u8>,
    tar: Vec<u8>,
    inflate: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [layout, tag, place, older @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: bench_bound LAYOUT TAG DIRECTORY [OLDER-TAG]")
    };
    let older = older.first().map_or_else(|| Ok(Vec::new()), |older| layers(layout, older))?;
    let mut seen: HashSet<_> = contents(&older)?.into_iter().map(|content| content.1).collect();
    drop(older);
    let layers = layers(layout, tag)?;
    let inflate: f64 = layers.iter().map(|layer| layer.inflate).sum();
    let longest = layers.iter().map(|layer| layer.inflate).fold(0.0, f64::max);
    let started = Instant::now();
    for layer in &layers {
        let _ = (Sha256::digest(&layer.blob), Sha256::digest(&layer.tar));
    }
    let files = contents(&layers)?;
    let hash = started.elapsed().as_secs_f64();
    let new: Vec<_> = files.into_iter().filter(|(_, name)| seen.insert(name.clone())).collect();
    let (write, sync) = write(Path::new(place), &new)?;
    let cores = std::thread::available_parallelism()?.get();
    let bound = ((inflate + hash) / cores as f64 + write).max(longest);
    println!(
        "{}",
        serde_json::json!({"inflate": inflate, "longest": longest, "hash": hash, "write": write, "sync": sync, "bound": bound})
    );
    Ok(())
}

fn layers(layout: &str, tag: &str) -> anyhow::Result<Vec<Layer>> {
    let source = fetch::open(&format!("oci:{layout}:{tag}").parse()?, &Options::default())?;
    (0..source.image().manifest.layers().len())
        .map(|index| {
            let mut stream = source.layer(index)?;
            let (mut blob, mut tar) = (Vec::new(), Vec::new());
            stream.reader.read_to_end(&mut blob)?;
            let unpack = |to: &mut dyn Write| -> std::io::Result<()> {
                match stream.compression {
                    Compression::None => to.write_all(&blob),
                    Compression::Gzip => unpacked(MultiGzDecoder::new(blob.as_slice()), to),
                    Compression::Zstd => unpacked(zstd::Decoder::new(blob.as_slice())?, to),
                }
            };
            // Into nowhere first: new memory costs more than the work that is to be measured.
            let started = Instant::now();
            unpack(&mut std::io::sink())?;
            let inflate = started.elapsed().as_secs_f64();
            unpack(&mut tar)?;
            Ok(Layer { blob, tar, inflate })
        })
        .collect()
}

fn unpacked(mut stream: impl Read, to: &mut dyn Write) -> std::io::Result<()> {
    let mut part = vec![0; 256 << 10];
    loop {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            length => to.write_all(&part[..length])?,
        }
    }
}

/// Files that are no inline contents, with their fs-verity digests.
fn contents(layers: &[Layer]) -> anyhow::Result<Vec<(&[u8], String)>> {
    let mut contents = Vec::new();
    for layer in layers {
        for entry in Archive::new(layer.tar.as_slice()).entries()? {
            let entry = entry?;
            if entry.header().entry_type().is_file() && entry.size() > 64 {
                let start = usize::try_from(entry.raw_file_position())?;
                let bytes =
                    layer.tar.get(start..start + usize::try_from(entry.size())?).context("a file is cut off")?;
                contents.push((bytes, Hasher::hash(bytes).to_string()));
            }
        }
    }
    Ok(contents)
}

/// Writes them; seconds of that, and of the sync that follows.
fn write(place: &Path, files: &[(&[u8], String)]) -> anyhow::Result<(f64, f64)> {
    for folder in 0..=255 {
        fs::create_dir(place.join(format!("{folder:02x}")))?;
    }
    let (started, next) = (Instant::now(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let worker = || -> std::io::Result<()> {
            while let Some((bytes, name)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                fs::write(place.join(&name[..2]).join(&name[2..]), bytes)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..std::thread::available_parallelism()?.get()).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(std::io::Error::other("died"))))
    })?;
    let written = started.elapsed().as_secs_f64();
    let started = Instant::now();
    rustix::fs::syncfs(fs::File::open(place)?)?;
    Ok((written, started.elapsed().as_secs_f64()))
}
