//! Two versions of a host image for `ci/bench`, out of the tar file of a root file system: image layouts `tar`, `gzip` and `zstd`,
//! tags `v1` and `v2`.
//!
//!     cargo run --release --example bench_data -- ROOT.tar DIRECTORY
//!
//! Five layers: the base, and four of 28, 27, 13 and 0.5 MB of its files. v2 has other contents in one of 20 files of the base, and other
//! times of its directories, as every rebuild has. The same input gives the same bytes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::Context;
use cfs_host::seal::layout::Layout;
use cfs_host::seal::manifest::Blob;
use cfs_host::sys::Sys;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType};

/// Of the layers above the base, in bytes.
const UPPER: [u64; 4] = [28_000_000, 27_000_000, 13_000_000, 500_000];
/// One file of so many is changed in v2.
const CHANGED: u8 = 20;
/// Larger files stay in the base.
const MOVED_MAX: u64 = 4_000_000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (root, target) = arguments.next().zip(arguments.next()).context("usage: bench_data ROOT.tar DIRECTORY")?;
    let (root, target) = (Path::new(&root), Path::new(&target));
    let moved = moved(root)?;
    for version in ["v1", "v2"] {
        let layers = split(root, &moved, version == "v2")?;
        for (packing, pack) in [("tar", plain as Pack), ("gzip", gzip), ("zstd", zstd)] {
            write(&target.join(packing), version, &layers, packing, pack)?;
        }
    }
    Ok(())
}

/// Which files go into which upper layer, by their number in the tar file; never one that has several names.
fn moved(root: &Path) -> anyhow::Result<Vec<HashSet<u64>>> {
    let mut linked = HashSet::new();
    let mut files = Vec::new();
    for (number, entry) in (0..).zip(archive(root)?.entries()?) {
        let entry = entry?;
        let path = entry.path_bytes().into_owned();
        match entry.header().entry_type() {
            EntryType::Link => drop(entry.link_name_bytes().map(|name| linked.insert(name.into_owned()))),
            EntryType::Regular if entry.size() <= MOVED_MAX => files.push((number, path, entry.size())),
            _ => {}
        }
    }
    // From the end: packages that the base does not need come last.
    let mut files = files.into_iter().rev().filter(|(_, path, _)| !linked.contains(path));
    let layer = |size: u64| {
        let mut left = size;
        let mut numbers = HashSet::new();
        for (number, _, size) in files.by_ref() {
            numbers.insert(number);
            left = left.saturating_sub(size);
            if left == 0 {
                break;
            }
        }
        numbers
    };
    Ok(UPPER.into_iter().map(layer).collect())
}

/// The layers' tar streams.
fn split(root: &Path, moved: &[HashSet<u64>], changed: bool) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut layers: Vec<_> = (0..=moved.len()).map(|_| Builder::new(Vec::new())).collect();
    for (number, entry) in (0..).zip(archive(root)?.entries()?) {
        let mut entry = entry?;
        let mut header = entry.header().clone();
        let (path, kind) = (entry.path_bytes().into_owned(), header.entry_type());
        // Not every peer takes devices.
        if matches!(kind, EntryType::Char | EntryType::Block) {
            continue;
        }
        let layer = moved.iter().position(|numbers| numbers.contains(&number)).map_or(0, |upper| upper + 1);
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if changed && layer == 0 {
            match kind {
                EntryType::Directory => header.set_mtime(header.mtime()? + 1),
                EntryType::Regular if Sha256::digest(&path)[0] % CHANGED == 0 => change(&mut bytes),
                _ => {}
            }
        }
        let path = os(&path);
        match entry.link_name_bytes() {
            Some(target) => layers[layer].append_link(&mut header, path, os(&target))?,
            None => layers[layer].append_data(&mut header, path, bytes.as_slice())?,
        }
    }
    layers.into_iter().map(|layer| Ok(layer.into_inner()?)).collect()
}

fn change(bytes: &mut [u8]) {
    if let Some(byte) = bytes.first_mut() {
        *byte ^= 1;
    }
}

fn os(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn archive(root: &Path) -> anyhow::Result<Archive<impl Read>> {
    Ok(Archive::new(BufReader::new(File::open(root).with_context(|| format!("cannot open {}", root.display()))?)))
}

type Pack = fn(&[u8]) -> std::io::Result<Vec<u8>>;

fn plain(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    Ok(bytes.to_vec())
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn zstd(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::encode_all(bytes, 3)
}

fn write(path: &Path, version: &str, layers: &[Vec<u8>], packing: &str, pack: Pack) -> anyhow::Result<()> {
    fs::create_dir_all(path)?;
    let (sys, suffix) = (Sys::real(), if packing == "tar" { String::new() } else { format!("+{packing}") });
    let layout = Layout::open_or_create(path, &sys)?;
    let put =
        |kind: &str, bytes: &[u8]| layout.put(&format!("application/vnd.oci.image.{kind}"), &mut &bytes[..], &sys);
    let blobs = layers.iter().map(|layer| Ok(put(&format!("layer.v1.tar{suffix}"), &pack(layer)?)?));
    let blobs = blobs.collect::<anyhow::Result<Vec<_>>>()?;
    let diff_ids: Vec<_> =
        layers.iter().map(|layer| format!("sha256:{}", hex::encode(Sha256::digest(layer)))).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = put("config.v1+json", config.to_string().as_bytes())?;
    let describe = |blob: &Blob| json!({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": describe(&config),
        "layers": blobs.iter().map(describe).collect::<Vec<_>>(),
    });
    let manifest = put("manifest.v1+json", manifest.to_string().as_bytes())?;
    Ok(layout.tag(&manifest, Some(version), &sys)?)
}
