//! The list of headers that podman keeps: reading ends, and of files only those of the layer are read.
#![no_main]
use std::io::Read;
use std::sync::LazyLock;

use cfs_host::fetch::TarSplit;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const SECRET: &[u8] = b"this lies beside the layer";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a directory");
    let diff = folder.path().join("diff");
    std::fs::create_dir_all(diff.join("a")).expect("a layer");
    std::fs::write(diff.join("a/x"), "hello").expect("a file");
    std::fs::write(folder.path().join("secret"), SECRET).expect("a file outside");
    std::os::unix::fs::symlink("../secret", diff.join("link")).expect("a way out");
    folder
});

fuzz_target!(|lines: &[u8]| {
    let diff = std::fs::File::open(FOLDER.path().join("diff")).expect("the layer");
    let mut bytes = Vec::new();
    let _ = TarSplit::new(lines, diff).take(1 << 20).read_to_end(&mut bytes);
    assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET));
});
