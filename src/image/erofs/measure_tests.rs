//! Time and memory of the writer next to composefs-rs' own, each in a process of its own:
//!
//!     cargo test --release --lib image_of_200_000_files -- --ignored --nocapture

use std::process::Command;
use std::time::Instant;

use super::tests::{empty, inline, mkdir, peer, put, symlink, with};
use super::*;
use composefs::tree::{LeafContent, RegularFile};

const TEST: &str =
    "image::erofs::measure_tests::the_image_of_200_000_files_takes_half_the_time_and_a_quarter_of_the_memory";
const FILES: usize = 200_000;

#[test]
#[ignore = "a measurement: needs an optimized build and a quiet machine"]
fn the_image_of_200_000_files_takes_half_the_time_and_a_quarter_of_the_memory() {
    if let Ok(writer) = std::env::var("CFS_MEASURE") {
        let labels = std::env::var_os("CFS_MEASURE_LABELS").is_some();
        return measure(&writer, labels);
    }
    for labels in [false, true] {
        let run = |writer| child(writer, labels);
        let (tree, ours, theirs) = (run("none"), run("ours"), run("composefs"));
        println!("{FILES} files, SELinux labels: {labels}");
        println!("  the tree alone        {:>5.0} MiB", tree.memory);
        for (name, run) in [("cfs-host", &ours), ("composefs-rs", &theirs)] {
            println!(
                "  {name:<13} {:>5.2} s  {:>5.0} MiB, of that the writer {:>4.0} MiB",
                run.seconds,
                run.memory,
                run.memory - tree.memory
            );
        }
        println!(
            "  ratio         {:>5.2}    {:>5.2}                    {:>4.2}",
            ours.seconds / theirs.seconds,
            ours.memory / theirs.memory,
            (ours.memory - tree.memory) / (theirs.memory - tree.memory)
        );
        assert_eq!(ours.digest, theirs.digest);
    }
}

struct Run {
    seconds: f64,
    memory: f64,
    digest: String,
}

/// The best of three.
fn child(writer: &str, labels: bool) -> Run {
    let run = |_| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--ignored", "--nocapture"]).env("CFS_MEASURE", writer);
        if labels {
            command.env("CFS_MEASURE_LABELS", "1");
        }
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let line = output.lines().find_map(|line| line.split_once("measured: ")).expect(&output).1.to_owned();
        let words: Vec<&str> = line.split(' ').collect();
        Run { seconds: words[0].parse().unwrap(), memory: words[1].parse().unwrap(), digest: words[2].to_owned() }
    };
    (0..3).map(run).min_by(|one, other| one.seconds.total_cmp(&other.seconds)).unwrap()
}

fn measure(writer: &str, labels: bool) {
    let files = tree(labels);
    let start = Instant::now();
    let digest = match writer {
        "ours" => write(&View::new(&files), io::sink()).unwrap().to_hex(),
        "composefs" => peer(files).1,
        _ => "none".to_owned(),
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
fn tree(labels: bool) -> Files {
    const LABELS: [&str; 3] =
        ["system_u:object_r:lib_t:s0", "system_u:object_r:bin_t:s0", "system_u:object_r:usr_t:s0"];
    let mut files = empty();
    for at in 0..FILES {
        let (upper, folder) = (format!("top{:03}", at / 2000), format!("folder{:03}", at / 20 % 100));
        let stat = || match labels {
            true => with(&[("security.selinux", LABELS[at / 20 % 3].as_bytes())]),
            false => with(&[]),
        };
        if at % 2000 == 0 {
            mkdir(&mut files, "", &upper, stat());
        }
        if at % 20 == 0 {
            mkdir(&mut files, &upper, &folder, stat());
        }
        let mut digest = [at as u8; 32];
        digest[..8].copy_from_slice(&(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let content = match at % 20 {
            0 => symlink(20),
            1 => inline(40),
            _ => LeafContent::Regular(RegularFile::External(digest.into(), 1000 + at as u64)),
        };
        let stat = composefs::tree::Stat { st_mtim_sec: 7 + (at as i64 % 5), ..stat() };
        put(&mut files, &format!("{upper}/{folder}"), format!("file-of-the-measure-{at}"), stat, content);
    }
    files
}
