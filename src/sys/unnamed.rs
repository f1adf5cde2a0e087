//! Files that have no name until they are whole: `open(2)` with `O_TMPFILE`, then `linkat(2)`.
//!
//! What is dropped, or cut off by a crash, leaves nothing to clean up; and no temporary name is written to a
//! directory to be taken out again, which for many small files is a good part of the work.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{linkat, open, AtFlags, Mode, OFlags, CWD};
use rustix::io::Errno;

use super::{Result, Sys};

/// Tells the temporary names of this process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A file that appears under its name whole or not at all. Durable only after [`Sys::sync_fs`].
#[derive(Debug)]
pub struct Unnamed {
    file: File,
    /// Its name on a file system that has no unnamed files.
    temporary: Option<PathBuf>,
    /// Where temporary names may be, should one be needed.
    spare: PathBuf,
}

impl Unnamed {
    /// Gives the file its name, on the same file system. A file of that name and size stays instead.
    pub fn place(self, sys: &Sys, target: &Path) -> Result<()> {
        sys.step("name", target, || match &self.temporary {
            // Where both are names of one file, nothing happens: the temporary one goes when this is dropped.
            Some(temporary) => fs::rename(temporary, target),
            None => self.link(target),
        })
    }

    /// A file that has names already, with a temporary one more in `spare`, which is open.
    pub(super) fn link_of(file: File, folder: &File, spare: &Path) -> rustix::io::Result<Self> {
        let temporary = temporary_in(spare);
        linkat(&file, "", folder, temporary.file_name().unwrap_or_default(), AtFlags::EMPTY_PATH)?;
        Ok(Self { file, temporary: Some(temporary), spare: spare.to_owned() })
    }

    /// The file, open.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    fn link(&self, target: &Path) -> io::Result<()> {
        match self.link_as(target) {
            Err(Errno::EXIST) if self.is_there(target) => Ok(()),
            // What is there is the trace of a power cut: replaced at once.
            Err(Errno::EXIST) => {
                let temporary = temporary_in(&self.spare);
                self.link_as(&temporary)?;
                fs::rename(&temporary, target).inspect_err(|_| {
                    let _ = fs::remove_file(&temporary);
                })
            }
            other => Ok(other?),
        }
    }

    /// By the descriptor where the kernel lets us (root, and all since 6.10), else by its name in `/proc`.
    fn link_as(&self, target: &Path) -> rustix::io::Result<()> {
        use std::os::fd::AsRawFd;
        match linkat(&self.file, "", CWD, target, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT) => {
                let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, descriptor, CWD, target, AtFlags::SYMLINK_FOLLOW)
            }
            other => other,
        }
    }

    fn is_there(&self, target: &Path) -> bool {
        let size = |meta: io::Result<fs::Metadata>| meta.ok().filter(fs::Metadata::is_file).map(|meta| meta.len());
        size(fs::symlink_metadata(target)).is_some_and(|there| size(self.file.metadata()) == Some(there))
    }
}

impl Write for Unnamed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Best effort: the store's check knows the name as temporary.
            let _ = fs::remove_file(temporary);
        }
    }
}

impl Sys {
    /// Starts a file to be placed in `folder` or near; `spare` is where its temporary name is, if it needs one.
    pub fn unnamed_file(&self, folder: &Path, spare: &Path, mode: u32) -> Result<Unnamed> {
        self.step("create a file in", folder, || {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            match open(folder, flags, Mode::from_raw_mode(mode)) {
                Ok(file) => Ok(Unnamed { file: file.into(), temporary: None, spare: spare.to_owned() }),
                // EISDIR: a kernel or file system that does not know the flag.
                Err(Errno::OPNOTSUPP | Errno::ISDIR) => named(spare, mode),
                Err(error) => Err(error.into()),
            }
        })
    }
}

fn named(spare: &Path, mode: u32) -> io::Result<Unnamed> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = temporary_in(spare);
    let file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&path)?;
    Ok(Unnamed { file, temporary: Some(path), spare: spare.to_owned() })
}

fn temporary_in(folder: &Path) -> PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".tmp-incoming-{number}-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn starts() -> [fn(&Path) -> Unnamed; 2] {
        [|folder| Sys::real().unnamed_file(folder, folder, 0o644).unwrap(), |folder| named(folder, 0o644).unwrap()]
    }

    fn appears_whole(mut file: Unnamed, folder: &Path) {
        file.write_all(b"whole").unwrap();
        file.place(&Sys::real(), &folder.join("f")).unwrap();
        assert_eq!(names(folder), ["f"]);
        assert_eq!(fs::read(folder.join("f")).unwrap(), b"whole");
    }

    #[test]
    fn a_file_appears_whole_or_leaves_nothing() {
        for start in starts() {
            let dir = tempfile::tempdir().unwrap();
            drop(start(dir.path()));
            assert!(names(dir.path()).is_empty());
            appears_whole(start(dir.path()), dir.path());
        }
    }

    #[test]
    fn what_a_power_cut_left_is_replaced() {
        for start in starts() {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("f"), "").unwrap();
            appears_whole(start(dir.path()), dir.path());
        }
    }

    #[test]
    fn a_file_of_that_name_and_size_stays() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        fs::write(&target, "whole").unwrap();
        let before = fs::metadata(&target).unwrap().ino();
        let mut file = Sys::real().unnamed_file(dir.path(), dir.path(), 0o644).unwrap();
        file.write_all(b"whole").unwrap();
        file.place(&Sys::real(), &target).unwrap();
        assert_eq!((fs::metadata(&target).unwrap().ino(), names(dir.path()).len()), (before, 1));
    }
}
