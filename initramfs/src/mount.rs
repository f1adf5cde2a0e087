//! Every mount of the boot: the kernel's own file systems, the root, the image, and what is writable on it.
//!
//! The new mount interface throughout: descriptors instead of paths that could be swapped, options
//! one by one, and the kernel's own words when it refuses. Facts relied on (Linux 6.12): EROFS mounts straight
//! from a file; overlayfs takes its layers as strings, so the EROFS mount is attached before it is named.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, CWD};
use rustix::io::Errno;
use rustix::mount::{
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::efivars;
use crate::files;
use crate::names::DeploymentId;
use crate::refusal::Refusal;
use crate::verity::Proven;

const ROOT: &str = "/cfs/root";
const IMAGE: &str = "/cfs/image";
/// Where the next root is put together.
pub const NEW_ROOT: &str = "/cfs/new";

/// The root file system: the attacker's disk, so always used through [`files`].
#[derive(Debug)]
pub struct Root(OwnedFd);

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The verified image, attached at [`NEW_ROOT`].
#[derive(Debug)]
pub struct NewRoot(OwnedFd);

impl AsFd for NewRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `/proc`, `/sys`, `/dev` and `/run`.
pub fn system() -> Result<(), Refusal> {
    let nosuid = MountAttrFlags::MOUNT_ATTR_NOSUID;
    let nodev = nosuid | MountAttrFlags::MOUNT_ATTR_NODEV;
    let quiet = nodev | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    kernel("proc", &[], quiet, "/proc")?;
    kernel("sysfs", &[], quiet, "/sys")?;
    kernel("devtmpfs", &[("mode", "0755")], nosuid, "/dev")?;
    kernel("tmpfs", &[("mode", "0755")], nodev, "/run")
}

fn kernel(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags, at: &str) -> Result<(), Refusal> {
    mounted(kind, options, attributes, at).map_err(|why| Refusal::new(2, format!("{at} could not be mounted: {why}")))
}

/// The EFI variables.
pub fn efivarfs() -> Result<(), Refusal> {
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if !std::path::Path::new(efivars::DIRECTORY).exists() {
        return Err(Refusal::new(6, "there are no EFI variables: this machine was not started by UEFI"));
    }
    mounted("efivarfs", &[], attributes, efivars::DIRECTORY)
        .map_err(|why| Refusal::new(6, format!("the EFI variables could not be mounted: {why}")))
}

/// The root file system, from a device node, never as set-uid programs or devices (rule 8).
pub fn root(device: &str, kind: &str) -> Result<Root, Refusal> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let refuse = |why: String| Refusal::new(8, format!("the root file system ({kind} on {device}): {why}"));
    mounted(kind, &[("source", device)], attributes, ROOT).map_err(refuse)?;
    let root = files::open_beneath(CWD, &ROOT[1..], OFlags::RDONLY | OFlags::DIRECTORY);
    root.map(Root).map_err(|error| refuse(error.to_string()))
}

/// The proven image over the store's objects, read-only; the kernel compares each object with the image's digest.
pub fn composefs(proven: &Proven, objects: BorrowedFd<'_>) -> Result<NewRoot, Refusal> {
    let refuse = |why: String| Refusal::new(10, format!("image {} could not be mounted: {why}", proven.digest()));
    let descriptor = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let source = descriptor(proven.image());
    mounted("erofs", &[("ro", ""), ("source", &source)], MountAttrFlags::MOUNT_ATTR_RDONLY, IMAGE).map_err(refuse)?;

    let options = [
        ("source", format!("composefs:{}", proven.digest())),
        ("metacopy", "on".to_owned()),
        ("redirect_dir", "on".to_owned()),
        ("verity", "require".to_owned()),
        ("lowerdir+", IMAGE.to_owned()),
        ("datadir+", descriptor(objects)),
    ];
    let options = options.each_ref().map(|(key, value)| (*key, value.as_str()));
    mounted("overlay", &options, MountAttrFlags::MOUNT_ATTR_RDONLY, NEW_ROOT).map_err(refuse)?;
    // The overlay holds its layers; their own mount point goes.
    unmount(IMAGE, UnmountFlags::DETACH).map_err(|error| refuse(error.to_string()))?;
    let new = files::open_beneath(CWD, &NEW_ROOT[1..], OFlags::RDONLY | OFlags::DIRECTORY);
    new.map(NewRoot).map_err(|error| refuse(error.to_string()))
}

/// The deployment's `/etc` and the shared `/var`, writable, without set-uid programs and devices as the root itself.
pub fn writable(root: &Root, deployment: &DeploymentId, new: &NewRoot) -> Result<(), Refusal> {
    for (from, to) in [(format!("cfs/deploy/{deployment}/etc"), "etc"), ("cfs/var".to_owned(), "var")] {
        let source = files::open_beneath(root.as_fd(), &from, OFlags::PATH | OFlags::DIRECTORY);
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = source.and_then(|source| open_tree(&source, "", clone));
        let tree =
            tree.map_err(|error| Refusal::new(8, format!("{from} on the root file system: {}", files::reason(error))))?;
        attach(tree.as_fd(), "", new, to)?;
    }
    Ok(())
}

/// The root file system becomes `/sysroot`, and the kernel's file systems move along.
pub fn move_into(new: &NewRoot) -> Result<(), Refusal> {
    for (from, to) in [(ROOT, "sysroot"), ("/dev", "dev"), ("/proc", "proc"), ("/sys", "sys"), ("/run", "run")] {
        attach(CWD, from, new, to)?;
    }
    Ok(())
}

/// Takes down what the boot put up, deepest first; for the dead end, so failures are not news.
pub fn take_down() {
    for at in [efivars::DIRECTORY, NEW_ROOT, IMAGE, ROOT] {
        let _ = unmount(at, UnmountFlags::DETACH);
    }
}

fn attach(from: BorrowedFd<'_>, path: &str, new: &NewRoot, to: &str) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::new(8, format!("/{to} of the image: {why}"));
    let target = files::open_beneath(new.as_fd(), to, OFlags::PATH | OFlags::DIRECTORY)
        .map_err(|error| refuse(format!("it can not be mounted on: {}", files::reason(error))))?;
    let flags = MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let flags = if path.is_empty() { flags | MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH } else { flags };
    move_mount(from, path, &target, "", flags).map_err(|error| refuse(error.to_string()))
}

/// Makes a file system and attaches it at `at`, a directory of the initramfs.
fn mounted(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags, at: &str) -> Result<(), String> {
    std::fs::create_dir_all(at).map_err(|error| format!("{at}: {error}"))?;
    let made = detached(kind, options, attributes)?;
    move_mount(&made, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(|error| format!("{at}: {error}"))
}

/// Makes a file system that is mounted nowhere yet; says what was refused, in the kernel's own words too.
pub fn detached(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, String> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| format!("{kind}: {error}"))?;
    for (key, value) in options {
        let set = match value.is_empty() {
            true => fsconfig_set_flag(&context, *key),
            false => fsconfig_set_string(&context, *key, *value),
        };
        set.map_err(|error| explain(&context, &format!("option {key}={value}"), error))?;
    }
    fsconfig_create(&context).map_err(|error| explain(&context, kind, error))?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|error| explain(&context, kind, error))
}

/// The error, and what the kernel left in the context's log about it.
fn explain(context: &OwnedFd, what: &str, error: Errno) -> String {
    let mut line = [0u8; 256];
    let mut text = format!("{what}: {error}");
    while let Ok(length @ 1..) = rustix::io::read(context, &mut line) {
        let said = String::from_utf8_lossy(line.get(..length).unwrap_or_default());
        text = format!("{text}; {}", said.trim_start_matches(['e', 'w', 'i', ' ']).trim_end());
    }
    text
}
