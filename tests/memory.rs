//! What an import holds in memory: 96 MiB, and 200 bytes and the name for each entry, whatever the sizes of files and layers.
//!
//!     cargo test --release --test memory -- --ignored --nocapture
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cfs_host::seal::layout::Layout;
use cfs_host::sys::Sys;
use serde_json::json;

const MIB: u64 = 1 << 20;
const FIXED: u64 = 96 * MIB;
const PER_ENTRY: u64 = 200;

/// A tar stream of files that all have this size; no two have the same contents.
struct Files {
    count: u64,
    size: u64,
    made: u64,
    /// What is left to give of the present one: its header, then contents and padding.
    header: io::Cursor<Vec<u8>>,
    left: u64,
}

impl Files {
    fn new(count: u64, size: u64) -> Self {
        Self { count, size, made: 0, header: io::Cursor::new(Vec::new()), left: 0 }
    }

    /// As long as the names of a Debian host are on the average.
    fn name(number: u64) -> String {
        format!("usr/share/doc/package-{:05}/examples/number-{number:08}", number / 100)
    }

    fn next(&mut self) {
        let mut header = tar::Header::new_gnu();
        header.set_path(Self::name(self.made)).unwrap();
        header.set_size(self.size);
        header.set_mode(0o644);
        header.set_cksum();
        self.header = io::Cursor::new(header.as_bytes().to_vec());
        self.left = self.size.next_multiple_of(512);
        self.made += 1;
    }
}

impl Read for Files {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.header.position() == self.header.get_ref().len() as u64 {
            if self.made == self.count {
                return Ok(0);
            }
            self.next();
        }
        let header = self.header.read(buffer)?;
        if header > 0 {
            return Ok(header);
        }
        let length = buffer.len().min(usize::try_from(self.left).unwrap());
        for (at, byte) in buffer[..length].iter_mut().enumerate() {
            *byte = ((self.left.wrapping_sub(at as u64) ^ (self.made << 7)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56)
                as u8;
        }
        self.left -= length as u64;
        Ok(length)
    }
}

fn image(path: &Path, files: Files) {
    let sys = Sys::real();
    let layout = Layout::open_or_create(path, &sys).unwrap();
    let directories = {
        let mut builder = tar::Builder::new(Vec::new());
        for name in ["usr", "usr/share", "usr/share/doc"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            header.set_mode(0o755);
            builder.append_data(&mut header, name, io::empty()).unwrap();
        }
        let mut folders = builder.into_inner().unwrap();
        folders.truncate(folders.len() - 1024);
        for folder in 0..files.count.div_ceil(100) {
            for name in
                [format!("usr/share/doc/package-{folder:05}"), format!("usr/share/doc/package-{folder:05}/examples")]
            {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_path(name).unwrap();
                header.set_size(0);
                header.set_mode(0o755);
                header.set_cksum();
                folders.extend_from_slice(header.as_bytes());
            }
        }
        folders
    };
    let end = [0; 1024];
    let mut tar = directories.as_slice().chain(files).chain(end.as_slice());
    let layer = layout.put("application/vnd.oci.image.layer.v1.tar", &mut tar, &sys).unwrap();
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.digest]}});
    let put =
        |kind: &str, text: String| layout.put(&format!("application/vnd.oci.image.{kind}"), &mut text.as_bytes(), &sys);
    let config = put("config.v1+json", config.to_string()).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": config.media_type, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}],
    });
    let manifest = put("manifest.v1+json", manifest.to_string()).unwrap();
    layout.tag(&manifest, Some("v1"), &sys).unwrap();
}

/// Peak of the program's memory in bytes while it pulls the image.
fn peak(files: Files) -> u64 {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let layout = dir.path().join("image");
    image(&layout, files);
    let mut child = Command::new(env!("CARGO_BIN_EXE_cfs-host"))
        .args(["image", "pull", "--quiet", "--sysroot"])
        .arg(dir.path().join("root"))
        .arg(format!("oci:{}:v1", layout.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let outcome = loop {
        if let Some(outcome) = child.try_wait().unwrap() {
            break outcome;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(outcome.success() && peak > 0);
    peak * 1024
}

fn holds(what: &str, count: u64, size: u64) -> u64 {
    let peak = peak(Files::new(count, size));
    let names = Files::name(count).len() as u64;
    let allowed = FIXED + (PER_ENTRY + names) * count;
    println!("{what}: peak {} MiB of {} MiB", peak / MIB, allowed / MIB);
    assert!(peak <= allowed, "{what}: {peak} > {allowed}");
    peak
}

#[test]
#[ignore = "half a minute"]
fn many_small_files() {
    holds("200 000 files of 300 bytes", 200_000, 300);
}

#[test]
#[ignore = "writes 16 GB"]
fn one_large_file() {
    holds("one file of 8 GiB", 1, 8 << 30);
}

#[test]
#[ignore = "writes 2 GB"]
fn ten_times_the_size() {
    let one = holds("1 000 files of 100 KB", 1000, 100_000);
    let ten = holds("10 000 files of 100 KB", 10_000, 100_000);
    assert!(ten - one < (PER_ENTRY + 100) * 9000 + 16 * MIB, "{one} and {ten}");
}
