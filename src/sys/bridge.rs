//! Two directories of one file system, reached through one mount.
//!
//! `linkat(2)` refuses to cross mounts, also those of one file system: podman mounts its `overlay` folder over itself, and a host has `/var`
//! from the file system whose root is `/sysroot`. A clone of one of these mounts, without what is mounted on it, has both directories.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{openat, Mode, OFlags, CWD};
use rustix::mount::{open_tree, OpenTreeFlags};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Names in `to` may be given to files beneath `from`.
#[derive(Debug)]
pub struct Bridge {
    /// Where files are.
    pub(super) from: Arc<File>,
    /// Where names go.
    pub(super) to: File,
}

impl Bridge {
    /// `None`: they are on two file systems, or no mount has both, or this process may not clone one.
    pub(super) fn between(from: &Arc<File>, to: &Path) -> io::Result<Option<Self>> {
        let to = File::open(to)?;
        if from.metadata()?.dev() != to.metadata()?.dev() {
            return Ok(None);
        }
        match (mount_id(from)?, mount_id(&to)?) {
            (one, two) if one == two => Ok(Some(Self { from: Arc::clone(from), to })),
            (one, two) => {
                let text = fs::read_to_string("/proc/self/mountinfo")?;
                let mounts: Vec<Mount> = text.lines().filter_map(Mount::parse).collect();
                Ok(across(&mounts, (from, one), (&to, two)))
            }
        }
    }
}

/// Through a mount that has both. The one that names go through otherwise too is the first choice: it can be written.
fn across(mounts: &[Mount], (from, one): (&File, u64), (to, two): (&File, u64)) -> Option<Bridge> {
    let find = |id: u64| mounts.iter().find(|mount| mount.id == id);
    let (first, second) = (find(two)?, find(one)?);
    let (from_at, to_at) = (second.within(from)?, first.within(to)?);
    let others = mounts.iter().filter(|mount| mount.device == first.device);
    let candidates = std::iter::once(first).chain(others);
    let mut both = candidates.filter(|mount| from_at.starts_with(&mount.root) && to_at.starts_with(&mount.root));
    both.find_map(|mount| {
        let tree = mount.clone_alone().ok()?;
        let open = |at: &Path, same: &File| open_same(&tree, at.strip_prefix(&mount.root).ok()?, same);
        Some(Bridge { from: Arc::new(open(&from_at, from)?), to: open(&to_at, to)? })
    })
}

/// The directory at this path of the tree, if it is the one that it should be.
fn open_same(tree: &File, at: &Path, same: &File) -> Option<File> {
    let at = if at.as_os_str().is_empty() { Path::new(".") } else { at };
    let found = File::from(openat(tree, at, DIRECTORY, Mode::empty()).ok()?);
    let key = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    (key(&found)? == key(same)?).then_some(found)
}

/// `mnt_id` of `proc_pid_fdinfo(5)`.
fn mount_id(file: &File) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    id.ok_or_else(|| io::Error::other("the kernel does not tell on which mount a file is"))
}

/// A line of `proc_pid_mountinfo(5)`.
struct Mount {
    id: u64,
    device: String,
    /// Which directory of the file system it shows.
    root: PathBuf,
    place: PathBuf,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [id, _, device, root, place, ..] = fields[..] else { return None };
        Some(Self { id: id.parse().ok()?, device: device.to_owned(), root: unescaped(root), place: unescaped(place) })
    }

    /// Where in the file system a directory is that was opened on this mount.
    fn within(&self, directory: &File) -> Option<PathBuf> {
        let path = fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?;
        Some(self.root.join(path.strip_prefix(&self.place).ok()?))
    }

    /// The mount without those on it; attached nowhere.
    fn clone_alone(&self) -> rustix::io::Result<File> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(CWD, &self.place, flags).map(File::from)
    }
}

/// Blanks are written as `\040`.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let octal = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.extend(octal);
        bytes.extend_from_slice(&part.as_bytes()[if octal.is_some() { 3 } else { 0 }..]);
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::process::Command;

    fn mount(arguments: &[&OsStr]) {
        assert!(Command::new("mount").args(arguments).status().unwrap().success());
    }

    /// Unmounts what a test has mounted.
    struct Bound(PathBuf);

    impl Drop for Bound {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        }
    }

    fn bind(from: &Path, to: &Path) -> Bound {
        mount(&[OsStr::new("--bind"), from.as_os_str(), to.as_os_str()]);
        Bound(to.to_owned())
    }

    #[test]
    fn a_directory_that_is_mounted_over_itself_or_elsewhere_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["to", "from one/a", "else"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("from one/a/x"), "x").unwrap();
        let open = |name: &str| Arc::new(File::open(path(name)).unwrap());
        let links = |from: &Arc<File>| {
            let bridge = Bridge::between(from, &path("to")).unwrap().unwrap();
            let file = openat(&*bridge.from, "x", OFlags::RDONLY, Mode::empty()).unwrap();
            rustix::fs::linkat(&file, "", &bridge.to, "y", rustix::fs::AtFlags::EMPTY_PATH).unwrap();
            fs::remove_file(path("to/y")).unwrap();
        };
        links(&open("from one/a"));
        let _over = bind(&path("from one"), &path("from one"));
        links(&open("from one/a"));
        let _elsewhere = bind(&path("from one/a"), &path("else"));
        links(&open("else"));
        let other = Arc::new(File::open("/proc").unwrap());
        assert!(Bridge::between(&other, &path("to")).unwrap().is_none());
    }

    #[test]
    fn blanks_and_backslashes_of_mount_points_are_read() {
        let mount = Mount::parse(r"36 35 98:0 /mnt1 /mnt\0402\134\011 rw,noatime - ext3 /dev/root rw").unwrap();
        assert_eq!(mount.place, Path::new("/mnt 2\\\t"));
        assert_eq!((mount.id, mount.root), (36, "/mnt1".into()));
        assert!(Mount::parse("36 35").is_none());
    }
}
