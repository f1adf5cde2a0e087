//! Other owners: a user namespace that says whose files those of an image are, and a directory that one user alone may enter.
//!
//! The namespace is that of a child which does nothing, since only a process can have one; it lasts as long as its descriptor.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::{setxattr, XattrFlags};

use super::{Result, Sys};

/// A run of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first one as the image has it.
    pub inside: u32,
    /// The first one as the host has it.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Whose an image's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// Of users.
    pub uids: Vec<Extent>,
    /// Of groups.
    pub gids: Vec<Extent>,
}

/// Owners as the kernel takes them.
#[derive(Debug)]
pub struct UserNamespace(File);

impl AsFd for UserNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// As in `/proc/PID/uid_map`.
struct Lines<'a>(&'a [Extent]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|one| writeln!(f, "{} {} {}", one.inside, one.outside, one.count))
    }
}

impl fmt::Display for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "users\n{}groups\n{}", Lines(&self.uids), Lines(&self.gids))
    }
}

impl Sys {
    /// Makes a user namespace of these owners. Needs root.
    pub fn user_namespace(&self, owners: &Owners) -> Result<UserNamespace> {
        self.step("make a user namespace with", Path::new("unshare"), || {
            // It says that it is there, and ends when its input does.
            let mut child = Command::new("unshare")
                .args(["--user", "--", "sh", "-c", "echo && exec cat"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let made = namespace_of(&mut child, owners);
            drop(child.stdin.take());
            child.wait()?;
            made
        })
    }

    /// Makes a directory of root's that this user, and no other, may read. An access list, since with another owner than root
    /// the user could change what is in it.
    pub fn create_dir_for(&self, path: &Path, uid: u32) -> Result<()> {
        self.create_dir(path, 0o700)?;
        self.step("open to one user the directory", path, || {
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
            Ok(setxattr(path, "system.posix_acl_access", &access_list(uid), XattrFlags::empty())?)
        })
    }
}

fn namespace_of(child: &mut Child, owners: &Owners) -> io::Result<UserNamespace> {
    let mut word = [0];
    let out = child.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    out.read_exact(&mut word).map_err(|_| io::Error::other("the kernel or its settings allow no user namespaces"))?;
    let of = |file: &str| format!("/proc/{}/{file}", child.id());
    fs::write(of("uid_map"), Lines(&owners.uids).to_string())?;
    fs::write(of("gid_map"), Lines(&owners.gids).to_string())?;
    Ok(UserNamespace(File::open(of("ns/user"))?))
}

/// Read and search for one user, all for the owner, nothing for others: as `linux/posix_acl_xattr.h` lays it out.
fn access_list(uid: u32) -> Vec<u8> {
    const VERSION: u32 = 2;
    const NOBODY: u32 = u32::MAX;
    let (owner, user, group, mask, other) = (0x01u16, 0x02u16, 0x04u16, 0x10u16, 0x20u16);
    let entries = [(owner, 7u16, NOBODY), (user, 5, uid), (group, 0, NOBODY), (mask, 5, NOBODY), (other, 0, NOBODY)];
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn owners_are_written_as_the_kernel_reads_them() {
        let uids =
            vec![Extent { inside: 0, outside: 1000, count: 1 }, Extent { inside: 1, outside: 100_000, count: 9 }];
        let text = Owners { gids: uids[..1].to_vec(), uids }.to_string();
        assert_eq!(text, "users\n0 1000 1\n1 100000 9\ngroups\n0 1000 1\n");
    }

    #[test]
    fn a_directory_is_open_to_one_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let own = dir.path().join("own");
        if Sys::real().create_dir_for(&own, 1234).is_err() {
            return; // A file system without access lists.
        }
        fs::write(own.join("x"), "").unwrap();
        let lists = |uid: u32| {
            let words = Command::new("ls").arg(&own).uid(uid).gid(100).output().unwrap();
            words.stdout == b"x\n"
        };
        if rustix::process::geteuid().is_root() {
            assert!(lists(1234) && !lists(1235));
        }
    }

    #[test]
    fn a_namespace_has_the_owners_that_were_asked_for_or_says_why_not() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let ids = |outside| vec![Extent { inside: 0, outside, count: 5 }];
        Sys::real().user_namespace(&Owners { uids: ids(1000), gids: ids(2000) }).unwrap();
        let twice = [ids(1000), ids(1000)].concat();
        assert!(Sys::real().user_namespace(&Owners { uids: twice, gids: ids(2000) }).is_err());
    }
}
