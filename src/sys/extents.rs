//! Which bytes of files a file system stores for others as well: `filefrag` asks it (`FS_IOC_FIEMAP`).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Result, Sys};

/// So many files are asked for at once.
const AT_ONCE: usize = 500;
/// `f_type` of the file systems that clone files: btrfs, xfs, bcachefs.
const CLONING: [u64; 3] = [0x9123_683e, 0x5846_5342, 0xca45_1a4e];

/// Whether files may share bytes there.
pub fn may_share(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| CLONING.contains(&(stat.f_type as u64)))
}

impl Sys {
    /// The bytes of these files that other files share, which may be among them.
    pub fn shared_bytes(&self, files: &[PathBuf]) -> Result<u64> {
        let mut bytes = 0;
        for some in files.chunks(AT_ONCE) {
            let printed = self.run(Command::new("filefrag").env("LC_ALL", "C").arg("-v").args(some), b"")?;
            bytes += shared(&String::from_utf8_lossy(&printed.stdout));
        }
        Ok(bytes)
    }
}

/// Lines of extents: `number: from.. to: from.. to: blocks: flags`; before them `File size of … (N blocks of M bytes)`.
fn shared(printed: &str) -> u64 {
    let (mut bytes, mut block) = (0, 0);
    for line in printed.lines() {
        if let Some(size) = line.strip_suffix(" bytes)").and_then(|line| line.rsplit(' ').next()) {
            block = size.parse().unwrap_or(0);
        }
        let fields: Vec<&str> = line.split(':').map(str::trim).collect();
        let is_extent = fields.len() >= 5 && fields[0].parse::<u64>().is_ok();
        if is_extent && fields[fields.len() - 1].split(',').any(|flag| flag == "shared") {
            bytes += fields[3].parse().unwrap_or(0) * block;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_that_are_shared_count_with_their_blocks() {
        let text = "\
Filesystem type is: 58465342
File size of /a is 13000 (4 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..       1:        172..       173:      2:             shared
   1:        2..       3:        200..       201:      2:        174: last,eof
/a: 2 extents found
File size of /b is 1 (1 block of 1024 bytes)
   0:        0..       0:         24..        24:      1:             last,shared,eof
/b: 1 extent found
";
        assert_eq!(shared(text), 2 * 4096 + 1024);
        assert_eq!(shared(""), 0);
    }

    #[test]
    fn the_program_is_there_and_understood() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Sys::real().shared_bytes(&[file.path().to_owned()]).unwrap(), 0);
    }
}
