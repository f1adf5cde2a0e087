//! Files of another program whose bytes ours may share: by a clone (`FICLONE`), or by a second name.
//!
//! What is shared is what was read: a file is remembered as it was when it was opened for that, and one that has changed since is not taken.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{ioctl_ficlone, openat2, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::unnamed::Unnamed;
use super::{Bridge, Result, Sys};

/// Bits of a mode that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// A file beneath a folder, as it was when it was opened to be read.
#[derive(Debug)]
pub struct Original {
    folder: Arc<File>,
    path: PathBuf,
    seen: Metadata,
}

impl Original {
    /// Opens a file for reading. Somebody unknown chose the path: nothing outside of the folder is opened, and no link is followed.
    pub fn open(folder: &Arc<File>, path: &Path) -> io::Result<(File, Self)> {
        let file = beneath(folder, path)?;
        let seen = file.metadata()?;
        Ok((file, Self { folder: Arc::clone(folder), path: path.to_owned(), seen }))
    }

    /// Whether it is a file of this size.
    pub fn has(&self, size: u64) -> bool {
        self.seen.is_file() && self.seen.len() == size
    }

    /// Whether only root can write it, whoever may reach it.
    pub fn is_roots(&self) -> bool {
        self.seen.uid() == 0 && self.seen.mode() & OTHERS_WRITE == 0
    }

    /// A way for names of files of its folder into a directory; `None` if there is none.
    pub fn bridge(&self, to: &Path) -> io::Result<Option<Bridge>> {
        Bridge::between(&self.folder, to)
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same file, if it is what it was.
    pub fn again(&self) -> io::Result<File> {
        self.again_in(&self.folder)
    }

    /// The same, through another mount of its folder.
    fn again_in(&self, folder: &File) -> io::Result<File> {
        let file = beneath(folder, &self.path)?;
        let now = file.metadata()?;
        match self.is(&now) && changed(&now) == changed(&self.seen) {
            true => Ok(file),
            false => Err(io::Error::other("it was changed while it was read; leave podman's storage alone meanwhile")),
        }
    }

    /// Whether it has the bytes that were read. A second name changes `st_ctime`, so that does not count here.
    fn is(&self, now: &Metadata) -> bool {
        let key = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
        key(now) == key(&self.seen)
    }
}

fn changed(of: &Metadata) -> (i64, i64) {
    (of.ctime(), of.ctime_nsec())
}

fn beneath(folder: &File, path: &Path) -> io::Result<File> {
    let path = path.as_os_str().as_bytes();
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(folder, &path[start..], flags, Mode::empty(), resolve)?.into())
}

impl Sys {
    /// A file to be placed in `folder` or near that shares the original's bytes and nothing else of it. `None`: these file systems
    /// cannot do that, or the original has changed.
    pub fn clone_of(&self, original: &Original, folder: &Path, spare: &Path, mode: u32) -> Result<Option<Unnamed>> {
        let unnamed = self.unnamed_file(folder, spare, mode)?;
        let cloned = self.step("clone a file to", folder, || {
            let Ok(file) = original.again() else { return Ok(false) };
            match ioctl_ficlone(unnamed.file(), &file) {
                Ok(()) => Ok(original.is(&file.metadata()?)),
                Err(error) => unable(error),
            }
        })?;
        Ok(cloned.then_some(unnamed))
    }

    /// The original itself, with a temporary name in `spare`, to which the bridge leads. `None`: that is not possible, or the original has
    /// changed.
    pub fn link_of(&self, original: &Original, bridge: &Bridge, spare: &Path) -> Result<Option<Unnamed>> {
        self.step("link a file into", spare, || {
            let Ok(file) = original.again_in(&bridge.from) else { return Ok(None) };
            match Unnamed::link_of(file, &bridge.to, spare) {
                Ok(linked) => Ok(original.is(&linked.file().metadata()?).then_some(linked)),
                Err(error) => unable(error),
            }
        })
    }
}

/// Nothing, if this says that the file systems, or this file, cannot do it; else the error.
fn unable<T: Default>(error: Errno) -> io::Result<T> {
    const CANNOT: [Errno; 11] = [
        Errno::OPNOTSUPP,
        Errno::NOTTY,
        Errno::NOSYS,
        Errno::INVAL,
        Errno::XDEV,
        Errno::MLINK,
        Errno::PERM,
        Errno::ACCESS,
        Errno::TXTBSY,
        Errno::NOENT,
        Errno::ROFS,
    ];
    match CANNOT.contains(&error) {
        true => Ok(T::default()),
        false => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A folder with a file `a/x`, opened.
    fn original() -> (tempfile::TempDir, Original) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/x"), "hello").unwrap();
        let folder = Arc::new(File::open(dir.path()).unwrap());
        let original = Original::open(&folder, Path::new("/a/x")).unwrap().1;
        (dir, original)
    }

    fn entries(dir: &tempfile::TempDir) -> usize {
        fs::read_dir(dir.path()).unwrap().count()
    }

    #[test]
    fn a_linked_file_is_the_same_file_and_one_that_is_dropped_leaves_no_name() {
        let (dir, original) = original();
        assert!(original.has(5) && !original.has(4));
        let bridge = original.bridge(dir.path()).unwrap().unwrap();
        let linked = Sys::real().link_of(&original, &bridge, dir.path()).unwrap().unwrap();
        linked.place(&Sys::real(), &dir.path().join("y")).unwrap();
        let inode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().ino();
        assert_eq!((inode("y"), entries(&dir)), (inode("a/x"), 2));
        let (_, again) = Original::open(&original.folder, Path::new("a/x")).unwrap();
        let linked = Sys::real().link_of(&again, &bridge, dir.path()).unwrap().unwrap();
        assert_eq!(entries(&dir), 3);
        // Renamed to what it is already: nothing happens, and the temporary name still goes.
        linked.place(&Sys::real(), &dir.path().join("y")).unwrap();
        assert_eq!(entries(&dir), 2);
        let (_, again) = Original::open(&original.folder, Path::new("a/x")).unwrap();
        drop(Sys::real().link_of(&again, &bridge, dir.path()).unwrap().unwrap());
        assert_eq!(entries(&dir), 2);
    }

    #[test]
    fn a_file_that_has_changed_is_not_taken() {
        for change in [
            (|file: &Path| fs::write(file, "jello").unwrap()) as fn(&Path),
            |file| fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap(),
            |file| fs::remove_file(file).unwrap(),
            |file| {
                fs::rename(file, file.with_extension("old")).unwrap();
                fs::write(file, "hello").unwrap();
            },
        ] {
            let (dir, original) = original();
            std::thread::sleep(std::time::Duration::from_millis(20)); // the clock of file times is coarse
            change(&dir.path().join("a/x"));
            assert!(original.again().is_err());
            let bridge = original.bridge(dir.path()).unwrap().unwrap();
            assert!(Sys::real().link_of(&original, &bridge, dir.path()).unwrap().is_none());
            assert!(Sys::real().clone_of(&original, dir.path(), dir.path(), 0o644).unwrap().is_none());
            assert_eq!(entries(&dir), 1);
        }
    }

    #[test]
    fn only_what_root_alone_can_write_is_roots() {
        for (mode, owner, roots) in
            [(0o644, 0, true), (0o4755, 0, true), (0o664, 0, false), (0o646, 0, false), (0o644, 33, false)]
        {
            let (dir, original) = original();
            let file = dir.path().join("a/x");
            std::os::unix::fs::chown(&file, Some(owner), None).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let (_, now) = Original::open(&original.folder, Path::new("a/x")).unwrap();
            assert_eq!(now.is_roots(), roots, "{mode:o} of {owner}");
        }
    }
}
