//! Files, directories and links, made to last.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{symlink, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{renameat_with, utimensat, AtFlags, RenameFlags, Timespec, Timestamps, CWD};

use super::{Result, Sys};

/// A file under a temporary name; [`NewFile::publish`] makes it appear whole or not at all.
/// Dropped without that, it is removed.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    published: bool,
}

impl NewFile {
    /// The open file, for reading back and for ioctls.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The temporary name.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// fsync, rename, fsync of the directory.
    pub fn publish(mut self, sys: &Sys) -> Result<()> {
        sys.sync(&self.file, &self.temporary)?;
        sys.rename(&self.temporary, &self.target)?;
        self.published = true;
        Ok(())
    }

    /// The same under another name, for a file whose name follows from its contents.
    pub fn publish_as(mut self, target: &Path, sys: &Sys) -> Result<()> {
        self.target = target.to_owned();
        self.publish(sys)
    }

    /// Gives the file this name (below the same file system) at once, durable only after [`Sys::sync_fs`]:
    /// for many objects that one barrier covers.
    pub fn place(mut self, sys: &Sys, target: &Path) -> Result<()> {
        sys.step("rename", target, || fs::rename(&self.temporary, target))?;
        self.published = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: the next run removes leftovers by their temporary name.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Sys {
    /// Starts a file that will be `target`, under a temporary name beside it (`.tmp-` + name + pid).
    pub fn new_file(&self, target: &Path, mode: u32) -> Result<NewFile> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = target.with_file_name(format!(".tmp-{name}-{}", std::process::id()));
        let file = self.step("create", &temporary, || {
            let _ = fs::remove_file(&temporary);
            OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&temporary)
        })?;
        Ok(NewFile { file, temporary, target: target.to_owned(), published: false })
    }

    /// Writes a whole file so that it appears complete and durable, or not at all. What an earlier process left of
    /// the same attempt goes.
    pub fn write_file(&self, target: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        self.remove_leftovers(parent(target), &target.file_name().unwrap_or_default().to_string_lossy())?;
        let mut new = self.new_file(target, mode)?;
        self.step("write", target, || new.write_all(bytes))?;
        new.publish(self)
    }

    /// Writes at an offset of an open file or block device.
    pub fn write_at(&self, file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
        self.step("write to", path, || file.write_all_at(bytes, offset))
    }

    /// fsync of an open file.
    pub fn sync(&self, file: &File, path: &Path) -> Result<()> {
        self.step("sync", path, || file.sync_all())
    }

    /// fsync of a directory: makes its names durable.
    pub fn sync_dir(&self, path: &Path) -> Result<()> {
        self.step("sync", path, || File::open(path)?.sync_all())
    }

    /// syncfs of the file system that holds `path`: one barrier for many objects.
    pub fn sync_fs(&self, path: &Path) -> Result<()> {
        self.step("sync the file system of", path, || Ok(rustix::fs::syncfs(File::open(path)?)?))
    }

    /// Renames and makes the new name durable.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step("rename", to, || fs::rename(from, to))?;
        self.sync_dir(parent(to))
    }

    /// Exchanges two names of one file system at once, and makes that durable: neither is ever missing.
    pub fn exchange(&self, one: &Path, two: &Path) -> Result<()> {
        let flags = RenameFlags::EXCHANGE;
        self.step("exchange", two, || Ok(renameat_with(CWD, one, CWD, two, flags)?))?;
        self.sync_dir(parent(two))
    }

    /// Gives a file a second name.
    pub fn link(&self, file: &Path, name: &Path) -> Result<()> {
        self.step("link", name, || fs::hard_link(file, name))
    }

    /// Creates a directory; it may exist already.
    pub fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.step("create directory", path, || {
            match fs::create_dir(path) {
                // Another thread was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                other => other.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode))),
            }
        })
    }

    /// Creates a symbolic link.
    pub fn symlink(&self, content: &Path, link: &Path) -> Result<()> {
        self.step("create link", link, || symlink(content, link))
    }

    /// Makes `link` a symbolic link to `content`, replacing an earlier one at once.
    pub fn replace_symlink(&self, content: &Path, link: &Path) -> Result<()> {
        self.step("create link", link, || {
            let temporary = link.with_file_name(format!(".tmp-link-{}", std::process::id()));
            ignore_missing(fs::remove_file(&temporary))?;
            symlink(content, &temporary)?;
            fs::rename(&temporary, link).inspect_err(|_| {
                let _ = fs::remove_file(&temporary);
            })
        })
    }

    /// Removes a file; it may be gone already.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        self.step("remove", path, || ignore_missing(fs::remove_file(path)))
    }

    /// Removes a directory and all below it; it may be gone already.
    pub fn remove_dir_all(&self, path: &Path) -> Result<()> {
        self.step("remove", path, || ignore_missing(fs::remove_dir_all(path)))
    }

    /// Owner, then mode (which chown may have cleared), then extended attributes of a file or directory.
    pub fn set_metadata(
        &self,
        path: &Path,
        owner: (u32, u32),
        mode: Option<u32>,
        xattrs: &[(&[u8], &[u8])],
    ) -> Result<()> {
        self.step("set the metadata of", path, || {
            std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1))?;
            if let Some(mode) = mode {
                fs::set_permissions(path, Permissions::from_mode(mode))?;
            }
            for (name, value) in xattrs {
                rustix::fs::lsetxattr(path, *name, value, rustix::fs::XattrFlags::empty())?;
            }
            Ok(())
        })
    }

    /// The time of the last change of what a path holds, in seconds and nanoseconds; a link itself is meant.
    pub fn set_modified(&self, path: &Path, (seconds, nanoseconds): (i64, i64)) -> Result<()> {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
        let times = Timestamps { last_access: time, last_modification: time };
        self.step("set the time of", path, || Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?))
    }
}

/// The directory that a path lies in; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Fault, FaultPlan};

    #[test]
    fn a_file_is_written_whole_or_not_at_all_whatever_step_fails() {
        let count = {
            let dir = tempfile::tempdir().unwrap();
            let sys = Sys::real();
            sys.write_file(&dir.path().join("f"), b"new", 0o600).unwrap();
            sys.steps()
        };
        assert!(count >= 4);
        for at in 1..=count {
            let dir = tempfile::tempdir().unwrap();
            let target = dir.path().join("f");
            fs::write(&target, b"old").unwrap();
            let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(28) });
            let error = sys.write_file(&target, b"new", 0o600).unwrap_err();
            assert!(error.to_string().contains("os error 28"), "{error}");
            let content = fs::read(&target).unwrap();
            assert!(content == b"old" || content == b"new");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "step {at} left something behind");
        }
    }

    #[test]
    fn mode_and_owner_are_set() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        Sys::real().write_file(&path, b"", 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn two_directories_change_places_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        for path in [&one, &two] {
            fs::create_dir(path).unwrap();
        }
        fs::write(one.join("f"), "").unwrap();
        let sys = Sys::with_fault(FaultPlan { at: 1, fault: Fault::Errno(5) });
        assert!(sys.exchange(&one, &two).is_err() && one.join("f").exists());
        Sys::real().exchange(&one, &two).unwrap();
        assert!(two.join("f").exists() && one.is_dir() && !one.join("f").exists());
        assert!(Sys::real().exchange(&one, &dir.path().join("three")).is_err(), "both have to be there");
    }

    #[test]
    fn a_times_nanoseconds_are_kept_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("missing", &link).unwrap();
        Sys::real().set_modified(&link, (-5, 7)).unwrap();
        let metadata = fs::symlink_metadata(&link).unwrap();
        let time = |metadata: &fs::Metadata| {
            use std::os::unix::fs::MetadataExt;
            (metadata.mtime(), metadata.mtime_nsec())
        };
        assert_eq!(time(&metadata), (-5, 7));
    }
}
