//! Opening files that an attacker may have written (security rule 8), and reading what `/init` was started with:
//! the initramfs (rule 1) and the command line (rule 2).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{fstat, openat2, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::cmdline;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::rootfs::{self, Found};

/// The most files in the initramfs: far above any manifest, far below what fills the memory.
const MOST_FILES: usize = 8192;
/// More than any kernel takes.
const LONGEST_LINE: u64 = 64 * 1024;

/// Opens `path` below `dir`: no symbolic link, no `..` and no mount's magic link leads out of it.
pub fn open_beneath(dir: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), strict)
}

/// The error of an open in words that name the rule's own reasons.
pub fn reason(error: Errno) -> String {
    match error {
        Errno::NOENT => "it does not exist".to_owned(),
        Errno::LOOP => "it is a symbolic link or behind one; none is followed here".to_owned(),
        Errno::XDEV => "it leads out of its directory".to_owned(),
        Errno::NOTDIR => "not a directory".to_owned(),
        Errno::INVAL => "not a regular file".to_owned(),
        error => error.to_string(),
    }
}

/// Opens a directory below `dir`.
pub fn directory(dir: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    open_beneath(dir, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a regular file below `dir` for reading and tells its size. `NONBLOCK`: a pipe must not hold the boot up.
pub fn regular(dir: BorrowedFd<'_>, path: &str) -> Result<(OwnedFd, u64), Errno> {
    let file = open_beneath(dir, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let size = regular_size(file.as_fd())?;
    Ok((file, size))
}

/// The size of an open regular file; `EINVAL` for anything else.
pub fn regular_size(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    let stat = fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    u64::try_from(stat.st_size).map_err(|_| Errno::OVERFLOW)
}

/// Reads an open file to its end; `FileTooLarge` beyond `most` bytes.
pub fn read_whole(file: OwnedFd, most: u64) -> io::Result<(OwnedFd, Vec<u8>)> {
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    file.by_ref().take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {most} bytes")));
    }
    Ok((file.into(), bytes))
}

/// Rule 1: nothing but the manifest is in the initramfs. Called before anything is mounted.
pub fn check_rootfs(policy: &Policy) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::new(1, why);
    let found = walk(Path::new("/")).map_err(|error| refuse(format!("the initramfs could not be listed: {error}")))?;
    match rootfs::unexpected(&found, policy) {
        None => Ok(()),
        Some(what) => Err(refuse(format!("the initramfs is not the one that was sealed: {what}"))),
    }
}

/// Rule 2: the kernel's command line is the sealed one.
pub fn check_command_line(policy: &Policy) -> Result<(), Refusal> {
    let line = File::open("/proc/cmdline").and_then(|file| read_whole(file.into(), LONGEST_LINE));
    let (_, line) = line.map_err(|error| Refusal::new(2, format!("/proc/cmdline could not be read: {error}")))?;
    cmdline::check(&line, policy)
}

/// Everything below `top`, by absolute path; links are not followed.
fn walk(top: &Path) -> io::Result<Vec<(String, Found)>> {
    let mut found = Vec::new();
    let mut pending = vec![top.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let kind = match (kind.is_dir(), kind.is_file()) {
                (true, _) => Found::Directory,
                (_, true) => Found::File,
                _ => Found::Other,
            };
            if matches!(kind, Found::Directory) {
                pending.push(entry.path());
            }
            found.push((entry.path().to_string_lossy().into_owned(), kind));
            if found.len() > MOST_FILES {
                return Err(io::Error::other(format!("more than {MOST_FILES} files")));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        std::fs::create_dir_all(at.join("a/b")).unwrap();
        std::fs::write(at.join("a/b/file"), b"12345").unwrap();
        symlink("a", at.join("link")).unwrap();
        symlink("b/file", at.join("a/to-file")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at.join("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        let fd = File::open(at).unwrap().into();
        (dir, fd)
    }

    #[test]
    fn no_link_and_no_dots_lead_out() {
        let (_dir, fd) = tree();
        assert_eq!(regular(fd.as_fd(), "a/b/file").unwrap().1, 5);
        for path in ["link/b/file", "a/to-file", "../x", "a/../../x"] {
            assert!(regular(fd.as_fd(), path).is_err(), "{path}");
        }
        assert_eq!(open_beneath(fd.as_fd(), "/etc/passwd", OFlags::RDONLY).unwrap_err(), Errno::XDEV);
        assert_eq!(directory(fd.as_fd(), "link").unwrap_err(), Errno::LOOP);
        assert!(reason(regular(fd.as_fd(), "link/b/file").unwrap_err()).contains("symbolic link"));
    }

    #[test]
    fn only_regular_files_are_read_and_a_pipe_does_not_block() {
        let (_dir, fd) = tree();
        assert_eq!(regular(fd.as_fd(), "pipe").unwrap_err(), Errno::INVAL);
        assert_eq!(regular(fd.as_fd(), "a/b").unwrap_err(), Errno::INVAL);
        assert_eq!(regular(fd.as_fd(), "missing").unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn the_bound_is_the_bound() {
        let (_dir, fd) = tree();
        let open = || regular(fd.as_fd(), "a/b/file").unwrap().0;
        assert_eq!(read_whole(open(), 5).unwrap().1, b"12345");
        assert_eq!(read_whole(open(), 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn the_walk_sees_everything_and_follows_nothing() {
        let (dir, _fd) = tree();
        let mut found: Vec<_> = walk(dir.path())
            .unwrap()
            .into_iter()
            .map(|(path, kind)| {
                let short = path.strip_prefix(dir.path().to_str().unwrap()).unwrap().to_owned();
                (short, matches!(kind, Found::Directory), matches!(kind, Found::File))
            })
            .collect();
        found.sort();
        let expected = [
            ("/a", true, false),
            ("/a/b", true, false),
            ("/a/b/file", false, true),
            ("/a/to-file", false, false),
            ("/link", false, false),
            ("/pipe", false, false),
        ];
        assert_eq!(found, expected.map(|(path, dir, file)| (path.to_owned(), dir, file)));
    }
}
