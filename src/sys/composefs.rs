//! A composefs image made visible at a directory: EROFS over the store's objects, read-only.
//!
//! As `/init` mounts it (`cfs_init::mount`), where the running system keeps its own mounts.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use cfs_init::mount::detached;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{move_mount, unmount, MountAttrFlags, MoveMountFlags, UnmountFlags};

use super::syscalls::idmap;
use super::{Result, Sys, UserNamespace};

/// Whether the kernel checks what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verity {
    /// An object without fs-verity, or with another digest than the image names, cannot be read.
    Required,
    /// Nothing is checked.
    Off,
}

/// What is mounted.
#[derive(Debug)]
pub struct Composefs<'a> {
    /// The image, open.
    pub image: &'a File,
    /// What `/proc/mounts` calls it.
    pub name: &'a str,
    /// The store's `objects/`.
    pub objects: &'a Path,
    /// Whether what is read is checked.
    pub verity: Verity,
    /// Whose its files are, if not those whom it names.
    pub owners: Option<&'a UserNamespace>,
}

impl Sys {
    /// Mounts an image at a directory; `umount` ends that.
    pub fn mount_composefs(&self, what: &Composefs<'_>, at: &Path) -> Result<()> {
        self.step("mount", at, || what.mount(at))
    }

    /// Takes down whatever is mounted at a directory, which need not be there. Who uses it keeps it.
    pub fn unmount_all(&self, at: &Path) -> Result<()> {
        self.step("unmount", at, || loop {
            match unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        })
    }
}

impl Composefs<'_> {
    fn mount(&self, at: &Path) -> io::Result<()> {
        let attributes =
            MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or(io::Error::other("a path is no text"));
        let at = text(&std::path::absolute(at)?)?;
        let image = format!("/proc/self/fd/{}", self.image.as_raw_fd());
        let erofs = detached("erofs", &[("ro", ""), ("source", &image)], attributes).map_err(io::Error::other)?;
        if let Some(owners) = self.owners {
            let fail = |error| io::Error::other(format!("EROFS with other owners: {error}"));
            idmap(erofs.as_fd(), owners.as_fd()).map_err(fail)?;
        }
        // overlayfs takes a layer by its path: the directory itself lends the EROFS a place for a moment.
        move_mount(&erofs, "", CWD, &*at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        let verity = if self.verity == Verity::Required { "require" } else { "off" };
        let options = [
            ("source", format!("composefs:{}", self.name)),
            ("metacopy", "on".to_owned()),
            ("redirect_dir", "on".to_owned()),
            ("verity", verity.to_owned()),
            ("lowerdir+", at.clone()),
            ("datadir+", text(&std::path::absolute(self.objects)?)?),
        ];
        let options = options.each_ref().map(|(key, value)| (*key, value.as_str()));
        let overlay = detached("overlay", &options, attributes);
        unmount(&*at, UnmountFlags::DETACH)?;
        let overlay = overlay.map_err(io::Error::other)?;
        Ok(move_mount(&overlay, "", CWD, &*at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
    }
}
