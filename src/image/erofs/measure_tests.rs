//! Time and memory of the writer next to composefs-rs' own, each in a process of its own:
//!
//!     cargo test --release --lib image_of_200_000_files -- --ignored --nocapture

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Instant;

use super::super::{labels, Tree};
use super::tests::{empty, inline, mkdir, peer, put, symlink, with};
use super::*;
use composefs::tree::{LeafContent, RegularFile, Stat};
use composefs_boot::BootOps;

const TEST: &str =
    "image::erofs::measure_tests::the_image_of_200_000_files_takes_half_the_time_and_a_quarter_of_the_memory";
const FILES: usize = 200_000;
const POLICY: &[u8] = b"/.*  system_u:object_r:default_t:s0
/usr(/.*)?  system_u:object_r:usr_t:s0
/usr/top0[0-9]0(/.*)?  system_u:object_r:lib_t:s0
/usr/.*/folder00[0-9]/.*7  --  system_u:object_r:bin_t:s0
";

#[test]
#[ignore = "a measurement: needs an optimized build and a quiet machine"]
fn the_image_of_200_000_files_takes_half_the_time_and_a_quarter_of_the_memory() {
    if let Ok(writer) = std::env::var("CFS_MEASURE") {
        return measure(&writer);
    }
    let tree = child("tree");
    println!("{FILES} files; the tree alone: {:.0} MiB", tree.memory);
    for (image, ours, theirs) in [
        ("plain image", "ours-plain", "composefs-plain"),
        ("bootable image, no SELinux policy", "ours-bootable", "composefs-bootable"),
        ("bootable image, SELinux policy", "ours-labelled", "composefs-labelled"),
    ] {
        let (ours, theirs) = (child(ours), child(theirs));
        println!("{image}:");
        for (name, run) in [("cfs-host", &ours), ("composefs-rs", &theirs)] {
            println!("  {name:<13} {:>5.2} s  {:>5.0} MiB", run.seconds, run.memory);
        }
        let added = (ours.memory - tree.memory) / (theirs.memory - tree.memory);
        let (seconds, memory) = (ours.seconds / theirs.seconds, ours.memory / theirs.memory);
        println!("  ratio         {seconds:>5.2}    {memory:>5.2}      (without the tree {added:.2})");
        assert_eq!(ours.digest, theirs.digest);
    }
}

struct Run {
    seconds: f64,
    memory: f64,
    digest: String,
}

/// The best of three.
fn child(writer: &str) -> Run {
    let run = |_| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--ignored", "--nocapture"]).env("CFS_MEASURE", writer);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let line = output.lines().find_map(|line| line.split_once("measured: ")).expect(&output).1.to_owned();
        let words: Vec<&str> = line.split(' ').collect();
        Run { seconds: words[0].parse().unwrap(), memory: words[1].parse().unwrap(), digest: words[2].to_owned() }
    };
    (0..3).map(run).min_by(|one, other| one.seconds.total_cmp(&other.seconds)).unwrap()
}

/// Ours reads the tree and leaves it as it is; composefs-rs' transforms change it in place.
fn measure(writer: &str) {
    let mut files = tree(writer.ends_with("labelled"));
    let start = Instant::now();
    let (out, contents) = (&mut io::sink(), |_: &_| Ok(POLICY.to_vec()));
    let digest = match writer {
        "tree" => "none".to_owned(),
        "ours-plain" => Tree { files }.write_plain(out).unwrap().to_hex(),
        "ours-bootable" | "ours-labelled" => Tree { files }.write_bootable(&contents, out).unwrap().to_hex(),
        "composefs-plain" => peer(files).1,
        _ => {
            let policy = labels::policy(&files, &contents).unwrap();
            let folder = policy.unwrap_or_else(|| tempfile::tempdir().unwrap());
            files.transform_for_boot_from_dir(OwnedFd::from(File::open(folder.path()).unwrap())).unwrap();
            peer(files).1
        }
    };
    println!("measured: {} {} {digest}", start.elapsed().as_secs_f64(), peak());
}

/// Largest resident set so far, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Twenty files in a directory, a hundred directories in each of the first level; one file of ten is a link or small.
fn tree(policy: bool) -> Files {
    let mut files = empty();
    for folder in ["usr", "boot", "sysroot", "etc"] {
        mkdir(&mut files, "", folder, with(&[]));
    }
    if policy {
        let mut above = "etc".to_owned();
        for folder in ["selinux", "t", "contexts", "files"] {
            mkdir(&mut files, &above, folder, with(&[]));
            above = format!("{above}/{folder}");
        }
        let config = LeafContent::Regular(RegularFile::Inline(b"SELINUXTYPE=t\n".as_slice().into()));
        put(&mut files, "etc/selinux", "config", with(&[]), config);
        let contexts = LeafContent::Regular(RegularFile::External([1; 32].into(), POLICY.len() as u64));
        put(&mut files, &above, "file_contexts", with(&[]), contexts);
    }
    for at in 0..FILES {
        let (upper, folder) = (format!("top{:03}", at / 2000), format!("folder{:03}", at / 20 % 100));
        if at % 2000 == 0 {
            mkdir(&mut files, "usr", &upper, with(&[]));
        }
        let upper = format!("usr/{upper}");
        if at % 20 == 0 {
            mkdir(&mut files, &upper, &folder, with(&[]));
        }
        let mut digest = [at as u8; 32];
        digest[..8].copy_from_slice(&(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let content = match at % 20 {
            0 => symlink(20),
            1 => inline(40),
            _ => LeafContent::Regular(RegularFile::External(digest.into(), 1000 + at as u64)),
        };
        let stat = Stat { st_mtim_sec: 7 + (at as i64 % 5), ..with(&[]) };
        put(&mut files, &format!("{upper}/{folder}"), format!("file-of-the-measure-{at}"), stat, content);
    }
    files
}
