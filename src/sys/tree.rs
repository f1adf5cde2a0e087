//! Inodes of a tree that is built under a temporary name, and the scratch directory for one.
//!
//! Nothing here syncs: one `sync_fs` before the rename makes the whole tree durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{mknodat, FileType, Mode, CWD};

use super::{Result, Sys};

/// A directory that is removed with all below it when this value is dropped.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // Best effort: a later run of the same verb removes leftovers by their name.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Sys {
    /// Creates a directory that lives as long as the returned value: `.tmp-<name>-<pid>` in `parent`.
    pub fn scratch_dir(&self, parent: &Path, name: &str) -> Result<ScratchDir> {
        let path = parent.join(format!(".tmp-{name}-{}", std::process::id()));
        self.remove_dir_all(&path)?;
        self.create_dir(&path, 0o700)?;
        Ok(ScratchDir { path })
    }

    /// Removes what ended processes left in `parent`: entries called `.tmp-<name>-<pid>` whose process is gone.
    pub fn remove_leftovers(&self, parent: &Path, name: &str) -> Result<()> {
        let prefix = format!(".tmp-{name}-");
        let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let pid = file_name.to_str().and_then(|text| text.strip_prefix(&prefix)).and_then(|pid| pid.parse().ok());
            let Some(pid) = pid else { continue };
            if process_is_gone(pid) {
                match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    true => self.remove_dir_all(&entry.path())?,
                    false => self.remove_file(&entry.path())?,
                }
            }
        }
        Ok(())
    }

    /// Creates a regular file, which must not exist, with all that `content` gives.
    pub fn create_file<R: Read + ?Sized>(&self, path: &Path, content: &mut R) -> Result<()> {
        self.step("create", path, || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            io::copy(content, &mut file).map(drop)
        })
    }

    /// Creates a device, FIFO or socket: `kind` are the `S_IFMT` bits.
    pub fn make_node(&self, path: &Path, kind: u32, device: u64) -> Result<()> {
        let kind = FileType::from_raw_mode(kind);
        self.step("create device", path, || Ok(mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device)?))
    }

    /// Gives an open file this size, sparse.
    pub fn set_len(&self, file: &File, path: &Path, size: u64) -> Result<()> {
        self.step("set the size of", path, || file.set_len(size))
    }
}

fn process_is_gone(pid: u32) -> bool {
    pid != std::process::id() && !Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_goes_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Sys::real().scratch_dir(dir.path(), "x").unwrap();
        fs::write(scratch.path().join("f"), "").unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_of_ended_processes_go_and_those_of_running_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let gone = u32::MAX;
        for name in [format!(".tmp-disk-{gone}"), ".tmp-disk-1".into(), format!(".tmp-other-{gone}"), "disk".into()] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join(format!(".tmp-disk-{}", gone - 1))).unwrap();
        Sys::real().remove_leftovers(dir.path(), "disk").unwrap();
        let mut left: Vec<String> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [".tmp-disk-1".to_owned(), format!(".tmp-other-{gone}"), "disk".into()]);
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        Sys::real().create_file(&path, &mut &b"one"[..]).unwrap();
        assert!(Sys::real().create_file(&path, &mut &b"two"[..]).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
