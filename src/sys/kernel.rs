//! What lasts, or locks, and is no plain file operation: EFI variables, fs-verity, a file system without a mount point, a lock.

use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cfs_init::verity::{self, NoDigest};
use rustix::fs::{fcntl_lock, flock, ioctl_getflags, ioctl_setflags, FlockOperation, IFlags};
use rustix::io::Errno;
use rustix::mount::{fsconfig_create, fsconfig_set_string, fsmount, fsopen, FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::{Result, Sys};

/// A file system that is mounted nowhere: reached through [`Detached::path`], gone with this value or the process.
#[derive(Debug)]
pub struct Detached {
    mount: OwnedFd,
}

impl Detached {
    /// Its root directory, for this process.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.mount.as_raw_fd()))
    }
}

/// A list of containers/storage, locked as podman locks it; dropped, it is free.
#[derive(Debug)]
pub struct Listing {
    file: File,
    path: PathBuf,
}

/// As many bytes podman compares to see whether the list has changed.
const MARK: usize = 64;

impl Listing {
    /// Tells processes that have read the list to read it again.
    pub fn mark_changed(&self, sys: &Sys) -> Result<()> {
        let mut mark = [0; MARK];
        let random = (0..MARK / 16).flat_map(|_| *uuid::Uuid::new_v4().as_bytes());
        mark.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
        sys.write_at(&self.file, &self.path, &mark, 0)
    }
}

/// An exclusive lock; dropped, it is free.
#[derive(Debug)]
pub struct Locked(#[allow(dead_code)] File);

impl Sys {
    /// Mounts a file system of this type without attaching it: nothing to unmount, whatever happens.
    pub fn mount_detached(&self, device: &Path, kind: &str) -> Result<Detached> {
        self.step("mount", device, || {
            let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_set_string(&context, "source", device)?;
            fsconfig_create(&context)?;
            let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
                | MountAttrFlags::MOUNT_ATTR_NODEV
                | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            Ok(Detached { mount: fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, quiet)? })
        })
    }

    /// Writes an EFI variable: `path` in efivarfs, `bytes` with the four bytes of attributes.
    pub fn write_efi_variable(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.step("write the EFI variable", path, || {
            make_mutable(path)?;
            // One write: efivarfs hands every write to the firmware as the whole variable.
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path)?;
            file.write_all(bytes)?;
            // A plain file, in tests, keeps the end of what was longer. efivarfs does not, and knows no seeking.
            if file.metadata()?.len() > bytes.len() as u64 {
                let _ = file.set_len(bytes.len() as u64);
            }
            Ok(())
        })
    }

    /// Removes an EFI variable; it may be gone already.
    pub fn remove_efi_variable(&self, path: &Path) -> Result<()> {
        self.step("remove the EFI variable", path, || {
            make_mutable(path)?;
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
    }

    /// Turns fs-verity on for a file that nobody writes; fine if it is on. `false`: the file system has none. The file keeps its time:
    /// it may be podman's as well, which takes another time for damage.
    pub fn enable_verity(&self, path: &Path) -> Result<bool> {
        self.step("turn on fs-verity of", path, || {
            let file = File::open(path)?;
            let before = file.metadata()?;
            match verity::enable(file.as_fd()) {
                Ok(()) => keep_time(&file, &before).map(|()| true),
                Err(NoDigest::Unsupported) => Ok(false),
                Err(NoDigest::Io(error)) => Err(error.into()),
                Err(error) => Err(io::Error::other(error)),
            }
        })
    }

    /// Takes the lock of this file and writes into it who holds it; `None`: somebody else has it.
    pub fn try_lock(&self, path: &Path, holder: &[u8]) -> Result<Option<Locked>> {
        self.step("lock", path, || {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                other => other?,
            }
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder)?;
            Ok(Some(Locked(file)))
        })
    }

    /// Takes the lock of a list that podman reads; `None`: somebody else has it.
    pub fn try_lock_listing(&self, path: &Path) -> Result<Option<Listing>> {
        self.step("lock", path, || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
                other => other.map(|()| Some(Listing { file, path: path.to_owned() })).map_err(io::Error::from),
            }
        })
    }
}

/// Gives a file its time of modification back.
fn keep_time(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    match (now.mtime(), now.mtime_nsec()) == (before.mtime(), before.mtime_nsec()) {
        true => Ok(()),
        false => file.set_times(FileTimes::new().set_modified(before.modified()?)),
    }
}

/// efivarfs guards variables with the immutable flag, against `rm -rf`.
fn make_mutable(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let flags = ioctl_getflags(&file)?;
    if flags.contains(IFlags::IMMUTABLE) {
        ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_says_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Sys::real().try_lock(&path, b"one").unwrap().unwrap();
        assert!(Sys::real().try_lock(&path, b"two").unwrap().is_none());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        drop(held);
        assert!(Sys::real().try_lock(&path, b"two").unwrap().is_some());
    }

    #[test]
    fn a_variable_is_replaced_whole_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v");
        let sys = Sys::real();
        sys.write_efi_variable(&path, b"longer").unwrap();
        sys.write_efi_variable(&path, b"short").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
        sys.remove_efi_variable(&path).unwrap();
        sys.remove_efi_variable(&path).unwrap();
        assert!(!path.exists());
    }
}
