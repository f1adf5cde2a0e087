//! What the target is, and whether it may be overwritten. Reads only.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor, OFlags};

use super::{Error, Result};
use crate::model::disk::TargetKind;

/// How much of either end must be zero on a device that is taken without `--wipe`:
/// partition tables and the superblocks of all common file systems, LUKS, LVM and RAID lie there.
const LOOKED_AT: u64 = 1 << 20;

/// A target that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where; for a device, the device itself and not a link to it.
    pub path: PathBuf,
    /// What it becomes.
    pub kind: TargetKind,
    /// The size of a device.
    pub capacity: Option<u64>,
}

impl Target {
    /// A directory for temporary files: beside a file; not in `/dev`, which is memory.
    pub fn scratch_parent(&self) -> &Path {
        match self.kind {
            TargetKind::Device => Path::new("/var/tmp"),
            TargetKind::Raw | TargetKind::Qcow2 => crate::sys::parent(&self.path),
        }
    }

    /// The file names below which an installation to this target writes until it is done.
    pub fn temporary_names(&self) -> Vec<String> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        match self.kind {
            TargetKind::Device => Vec::new(),
            TargetKind::Raw => name(&self.path).into_iter().collect(),
            TargetKind::Qcow2 => name(&self.path).into_iter().chain(name(&self.path.with_extension("raw"))).collect(),
        }
    }
}

/// Looks at the target and refuses what must not be overwritten.
pub fn observe(path: &Path, wipe: bool) -> Result<Target> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_block_device() => device(path, wipe),
        Ok(metadata) if !metadata.is_file() => {
            Err(Error::NotATarget { path: path.to_owned(), why: "it is neither a regular file nor a block device" })
        }
        Ok(_) if !wipe => Err(Error::Exists(path.to_owned())),
        Ok(_) => file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => file(path),
        Err(source) => Err(Error::Inspect { path: path.to_owned(), source }),
    }
}

fn file(path: &Path) -> Result<Target> {
    let kind = match path.extension().and_then(|ending| ending.to_str()) {
        Some("qcow2") => TargetKind::Qcow2,
        _ => TargetKind::Raw,
    };
    let target = Target { path: path.to_owned(), kind, capacity: None };
    if path.starts_with("/dev") {
        // A mistyped device name would fill memory.
        return Err(Error::NotATarget { path: path.to_owned(), why: "there is no such device" });
    }
    match target.scratch_parent() {
        parent if !parent.is_dir() => Err(Error::NoDirectory { path: path.to_owned(), parent: parent.to_owned() }),
        _ => Ok(target),
    }
}

fn device(path: &Path, wipe: bool) -> Result<Target> {
    let inspect = |source| Error::Inspect { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(inspect)?;
    let inspect = |source| Error::Inspect { path: path.clone(), source };
    let not_a_target = |why| Error::NotATarget { path: path.clone(), why };
    let number = std::fs::metadata(&path).map_err(inspect)?.rdev();
    let sysfs = PathBuf::from(format!("/sys/dev/block/{}:{}", major(number), minor(number)));
    if sysfs.join("partition").exists() {
        return Err(not_a_target("it is a partition: name the whole disk"));
    }
    let sector = std::fs::read_to_string(sysfs.join("queue/logical_block_size")).map_err(inspect)?;
    if sector.trim() != "512" {
        return Err(not_a_target("its logical sectors are not 512 bytes, which is not supported"));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").map_err(inspect)?;
    if let Some(place) = mounted_at(&mounts, &numbers(&sysfs)) {
        return Err(Error::InUse { path, why: format!("it is mounted at {place}; unmount it") });
    }
    let open = open_device(&path)?;
    let size = rustix::fs::seek(&open, rustix::fs::SeekFrom::End(0)).map_err(|error| inspect(error.into()))?;
    if !wipe {
        let what = if has_partitions(&sysfs) {
            Some("it has partitions")
        } else {
            data_at_ends(&open, size).map_err(inspect)?
        };
        if let Some(what) = what {
            return Err(Error::NotEmpty { path, what });
        }
    }
    Ok(Target { path, kind: TargetKind::Device, capacity: Some(size) })
}

/// Opens a device so that nobody else has claimed it: mounted, swap, LVM, RAID.
pub fn open_device(path: &Path) -> Result<File> {
    let exclusive = OFlags::EXCL.bits() as i32;
    OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(path).map_err(|source| {
        match source.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) {
            true => Error::InUse {
                path: path.to_owned(),
                why: "the kernel has it claimed; unmount it, switch swap off, stop LVM, RAID or encryption on it"
                    .into(),
            },
            false => Error::Inspect { path: path.to_owned(), source },
        }
    })
}

/// `major:minor` of the disk and of its partitions.
fn numbers(sysfs: &Path) -> Vec<String> {
    let own = std::fs::read_to_string(sysfs.join("dev"));
    let children = std::fs::read_dir(sysfs).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_partitions = children.filter(|path| path.join("partition").exists());
    let texts = of_partitions.filter_map(|path| std::fs::read_to_string(path.join("dev")).ok());
    own.into_iter().chain(texts).map(|text| text.trim().to_owned()).collect()
}

fn has_partitions(sysfs: &Path) -> bool {
    numbers(sysfs).len() > 1
}

/// The first mount point of one of these devices. Format: `proc_pid_mountinfo(5)`.
fn mounted_at(mountinfo: &str, devices: &[String]) -> Option<String> {
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let device = fields.nth(2)?;
        let place = fields.nth(1)?;
        devices.iter().any(|number| number == device).then(|| place.to_owned())
    })
}

fn data_at_ends(device: &File, size: u64) -> std::io::Result<Option<&'static str>> {
    let length = LOOKED_AT.min(size);
    let mut bytes = vec![0; length as usize];
    for (offset, what) in [(0, "its first MiB holds data"), (size - length, "its last MiB holds data")] {
        device.read_exact_at(&mut bytes, offset)?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_gives_the_format() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(observe(&dir.path().join("a.qcow2"), false).unwrap().kind, TargetKind::Qcow2);
        assert_eq!(observe(&dir.path().join("a.img"), false).unwrap().kind, TargetKind::Raw);
        assert_eq!(observe(&dir.path().join("a"), false).unwrap().scratch_parent(), dir.path());
    }

    #[test]
    fn an_existing_file_is_replaced_only_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.img");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(observe(&path, false), Err(Error::Exists(_))));
        assert!(observe(&path, true).is_ok());
    }

    #[test]
    fn what_is_neither_file_nor_disk_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(observe(dir.path(), true), Err(Error::NotATarget { .. })));
        assert!(matches!(observe(Path::new("/dev/null"), true), Err(Error::NotATarget { .. })));
        assert!(matches!(observe(Path::new("/dev/no-such-disk"), true), Err(Error::NotATarget { .. })));
        assert!(matches!(observe(&dir.path().join("no/such.img"), true), Err(Error::NoDirectory { .. })));
    }

    #[test]
    fn mounts_are_found_by_device_number() {
        let mountinfo = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:5 / /dev rw - devtmpfs udev rw\n";
        assert_eq!(mounted_at(mountinfo, &["8:0".into(), "8:1".into()]).unwrap(), "/");
        assert_eq!(mounted_at(mountinfo, &["8:0".into(), "8:11".into()]), None);
    }
}
