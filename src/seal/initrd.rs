//! The initrd: `/init`, kernel modules and empty mount points, as one newc archive that depends on nothing else.

use super::modules::Module;
use crate::boot::cpio::{MAGIC, TRAILER};

/// What `/init` mounts on, and where modules lie.
const DIRECTORIES: [&str; 6] = ["dev", "modules", "proc", "run", "sys", "sysroot"];

/// Builds the archive: times, owners and devices are 0, so equal inputs give equal bytes.
pub fn build(init: &[u8], modules: &[Module]) -> Vec<u8> {
    let mut archive = Archive::default();
    for directory in DIRECTORIES {
        archive.entry(directory, 0o040_755, 2, &[]);
    }
    archive.entry("init", 0o100_755, 1, init);
    for module in modules {
        archive.entry(module.path.trim_start_matches('/'), 0o100_644, 1, &module.bytes);
    }
    archive.entry(TRAILER, 0, 1, &[]);
    archive.bytes
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: usize,
}

impl Archive {
    fn entry(&mut self, path: &str, mode: usize, links: usize, data: &[u8]) {
        self.inode += 1;
        let name_size = path.len() + 1;
        // inode, mode, uid, gid, links, mtime, size, 4 device numbers, size of the name, checksum
        let numbers = [self.inode, mode, 0, 0, links, 0, data.len(), 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(MAGIC);
        for number in numbers {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::cpio;

    fn modules() -> Vec<Module> {
        vec![Module { path: "/modules/00-erofs.ko".into(), bytes: b"odd".to_vec() }]
    }

    #[test]
    fn our_reader_reads_it_back() {
        let archive = build(b"program", &modules());
        let entries = cpio::read(&archive).unwrap();
        let files: Vec<_> = entries.iter().filter(|entry| !entry.is_directory()).collect();
        assert_eq!((files[0].path, files[0].data, files[0].mode), ("init", &b"program"[..], 0o100_755));
        assert_eq!((files[1].path, files[1].data), ("modules/00-erofs.ko", &b"odd"[..]));
        assert_eq!(entries.len(), DIRECTORIES.len() + 2);
    }

    #[test]
    fn every_truncation_and_an_appended_archive_are_refused() {
        let archive = build(b"program", &modules());
        for length in 0..archive.len() - 8 {
            assert!(cpio::read(&archive[..length]).is_err(), "{length}");
        }
        let twice = [archive.clone(), archive].concat();
        assert!(cpio::read(&twice).is_err(), "a second archive behind the first is not ignored");
    }

    #[test]
    fn cpio_reads_it() {
        let archive = build(b"program", &modules());
        let mut child = std::process::Command::new("cpio")
            .arg("-t")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &archive).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let names = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            names.lines().collect::<Vec<_>>().join(" "),
            "dev modules proc run sys sysroot init modules/00-erofs.ko"
        );
    }
}
