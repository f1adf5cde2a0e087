//! A user whose podman sees images: who it is, what that podman reads and has, and how it comes to know of the images.
//!
//! Whatever lies in a home is read and made as the user, by a program without root's rights, terminal or groups: no link, no device and no
//! lock of the user's can make root do what the user cannot. Never changes a file of the user's.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::fetch::{system_config, Home, OfUser, Stores};
use crate::flow::Refused;
use crate::share::{extents, For, GroundOfUser, Own};
use crate::sys::{Owners, Sys};

/// How long a file of the user's may take, and how large it may be.
const LIMIT: Duration = Duration::from_secs(15);
const LARGEST: usize = 64 << 20;
const ABSENT: i32 = 44;
/// `$1` is a file: prints it.
const READ: &str = "test -e \"$1\" || exit 44; exec timeout 10 cat -- \"$1\"";
/// `$1` is a directory that may be there.
const IS_DIRECTORY: &str = "test -d \"$1\" || exit 44";
/// `$1` is a link to make, `$2` what it leads to, unless there is something.
const LINK: &str = "test -e \"$1\" -o -L \"$1\" && exit 44; mkdir -p -- \"${1%/*}\" && ln -s -T -- \"$2\" \"$1\"";
/// podman's own file of settings, below the home.
const CONFIG: &str = ".config/containers/storage.conf";

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As `/etc/passwd` and `/etc/subuid` have it.
    pub name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

/// What a user's podman reads and has.
#[derive(Debug)]
pub(super) struct Podman {
    of: OfUser,
    /// Whether the home is there, and in it what podman stored.
    known: bool,
}

impl User {
    /// Looks a user up by name or number.
    pub fn find(sys: &Sys, name: &str) -> anyhow::Result<Self> {
        let found = sys.run(Command::new("getent").args(["--", "passwd", name]), b"");
        let unknown = |_| Refused(format!("there is no user {name} on this host (getent passwd {name} finds none)"));
        let text = String::from_utf8(found.map_err(unknown)?.stdout).context("the entry of a user is no text")?;
        Ok(Self::parse(text.trim_end()).map_err(|why| Refused(format!("images cannot be shown to {name}: {why}")))?)
    }

    /// Out of a line of `/etc/passwd`.
    fn parse(line: &str) -> Result<Self, &'static str> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, _] = fields[..] else { return Err("the entry is not one of passwd(5)") };
        let number = |text: &str| text.parse::<u32>().map_err(|_| "the entry has no numbers where ids are");
        let (uid, gid) = (number(uid)?, number(gid)?);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$' | '@' | '\\');
        match () {
            () if uid == 0 => Err("that is root, whose podman sees what is shared without --user"),
            () if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) => {
                Err("the name has signs that no file name of ours may have")
            }
            () if !home.starts_with('/') => Err("the account has no home directory"),
            () => Ok(Self { name: name.to_owned(), uid, gid, home: home.into() }),
        }
    }

    /// The directory of this user's images below one for all users.
    pub fn below(&self, users: &Path) -> PathBuf {
        users.join(self.uid.to_string())
    }

    /// Whom the files of images belong to, or why that is not known.
    pub(super) fn ids(&self) -> Result<For, String> {
        let read = |path: &str, own: u32| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            extents(&text, (&self.name, self.uid), own).map_err(|why| format!("{path}: {why}"))
        };
        let owners = Owners { uids: read("/etc/subuid", self.uid)?, gids: read("/etc/subgid", self.gid)? };
        Ok(For { uid: self.uid, owners })
    }

    /// What stands in the way of showing images to this user's podman.
    pub(super) fn ground(&self, sys: &Sys) -> anyhow::Result<GroundOfUser> {
        let podman = self.podman(sys)?.of;
        let root = &podman.stores.own;
        let former = |kind: &str| self.has_directory(sys, &root.join(format!("{kind}-layers")));
        let other = match former("vfs")? && !former("overlay")? {
            true => Some("vfs".to_owned()),
            false => podman.other_driver,
        };
        // podman's own note that the storage was made by such a program, which it goes on to use.
        let note = self.read(sys, &root.join("overlay/.has-mount-program"))?;
        let noted = note.filter(|text| text.trim_ascii() == b"true").map(|_| "fuse-overlayfs".to_owned());
        Ok(GroundOfUser {
            name: self.name.clone(),
            no_owners: self.ids().err(),
            other_driver: other,
            mount_program: podman.mount_program.or(noted),
        })
    }

    /// What the user's podman has itself.
    pub(super) fn own(&self, sys: &Sys) -> anyhow::Result<Own> {
        let podman = self.podman(sys)?;
        let mut own = Own::read_by(&podman.of.stores.own, &|path| self.read(sys, path))?;
        own.is_unknown = !podman.known;
        Ok(own)
    }

    /// Whether the user's podman looks into this directory.
    pub(super) fn reads(&self, sys: &Sys, directory: &Path) -> anyhow::Result<bool> {
        Ok(self.podman(sys)?.of.stores.additional.iter().any(|store| store == directory))
    }

    /// Has the user's podman read this configuration, unless the user has one.
    pub(super) fn configure(&self, sys: &Sys, config: &Path) -> anyhow::Result<()> {
        let link = self.home.join(CONFIG);
        self.act(sys, LINK, &[&link, config])
            .map(drop)
            .with_context(|| format!("cannot make {} lead to {} as {}", link.display(), config.display(), self.name))
    }

    fn podman(&self, sys: &Sys) -> anyhow::Result<Podman> {
        let path = self.home.join(CONFIG);
        let text = self.read(sys, &path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let home = Home { path: &self.home, name: &self.name, uid: self.uid };
        let of = Stores::of_user(text.as_deref(), system_config().as_deref(), &home);
        let of = of.map_err(|why| Refused(format!("podman of {} cannot read {}: {why}", self.name, path.display())))?;
        let known = self.has_directory(sys, &of.stores.own)?;
        Ok(Podman { of, known })
    }

    fn has_directory(&self, sys: &Sys, path: &Path) -> io::Result<bool> {
        Ok(self.act(sys, IS_DIRECTORY, &[path])?.is_some())
    }

    fn read(&self, sys: &Sys, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.act(sys, READ, &[path])
    }

    /// What a script prints that runs as this user; `None` if it finds nothing.
    fn act(&self, sys: &Sys, script: &str, words: &[&Path]) -> io::Result<Option<Vec<u8>>> {
        let mut command = Command::new("setsid");
        command.args(["--wait", "setpriv", "--clear-groups", "--no-new-privs"]);
        command.args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)]);
        command.args(["--", "sh", "-c", &format!("exec 2>/dev/null; {script}"), "sh"]).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", &self.home).current_dir("/");
        let ended = sys.run_limited(&mut command, LIMIT, LARGEST).map_err(io::Error::other)?;
        match ended.status.map(|status| status.code()) {
            Some(Some(0)) if ended.output.len() < LARGEST => Ok(Some(ended.output)),
            Some(Some(ABSENT)) => Ok(None),
            Some(Some(0)) => Err(io::Error::other("it is larger than 64 MiB")),
            _ => Err(io::Error::other(format!("{} may not do that, or it took too long", self.name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_from_an_entry_or_refused() {
        let user = User::parse("alice:x:1234:100:A:/home/alice:/bin/sh").unwrap();
        assert_eq!((user.uid, user.gid, user.home.as_path()), (1234, 100, Path::new("/home/alice")));
        assert_eq!(user.below(Path::new("/run/u")), Path::new("/run/u/1234"));
        for line in [
            "",
            "root:x:0:0::/root:/bin/sh",
            "alice:x:1234:100:A:/home/alice",
            "alice:x:-1:100:A:/home/alice:/bin/sh",
            "a/b:x:7:7::/home/a:/bin/sh",
            "..:x:7:7::/home/a:/bin/sh",
            "alice:x:7:7:::/bin/sh",
        ] {
            assert!(User::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_file_of_the_users_is_read_with_the_rights_of_the_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let user = User { name: "nobody".into(), uid: 65534, gid: 65534, home: "/nonexistent".into() };
        let sys = Sys::real();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        sys.write_file(&path, b"x", 0o600).unwrap();
        assert!(user.read(&sys, &path).is_err());
        assert!(user.read(&sys, Path::new("/etc/shadow")).is_err());
        assert_eq!(user.read(&sys, &dir.path().join("none")).unwrap(), None);
        assert_eq!(user.read(&sys, Path::new("/proc/self/comm")).unwrap().as_deref(), Some(&b"cat\n"[..]));
    }
}
