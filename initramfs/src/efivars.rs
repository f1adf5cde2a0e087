//! EFI variables through efivarfs. Everything that is read is a hint (security rule 6); only the firmware's own
//! `SecureBoot` and `SetupMode` are more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{ioctl_getflags, ioctl_setflags, IFlags};

use crate::console;
use crate::loader::RawVariables;
use crate::policy::{Policy, SecureBoot};
use crate::refusal::Refusal;

/// Where efivarfs is mounted, here and on the running system.
pub const DIRECTORY: &str = "/sys/firmware/efi/efivars";
/// Vendor of the boot loader interface's variables.
pub const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Vendor of the firmware's own variables.
pub const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Vendor of this project's variables.
pub const CFS_HOST: &str = "76de96f7-2aa9-429f-9361-321acb1fd2a1";
/// Non-volatile, for the boot services and at run time.
pub const KEPT: u32 = 7;
/// Volatile, for the boot services and at run time: what loader, stub and firmware leave.
const VOLATILE: u32 = 6;
/// The largest variable that is read, with its 4 bytes of attributes.
const LARGEST: u64 = 4096 + 4;

/// Attributes and content of a variable, as efivarfs gives them; `None` if there is none or it is oversized.
pub fn read(vendor: &str, name: &str) -> Option<Vec<u8>> {
    read_in(Path::new(DIRECTORY), vendor, name)
}

fn read_in(directory: &Path, vendor: &str, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file(directory, vendor, name)).ok()?.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST).then_some(bytes)
}

/// The content alone.
pub fn content(vendor: &str, name: &str) -> Option<Vec<u8>> {
    read(vendor, name).and_then(|bytes| Some(bytes.get(4..)?.to_vec()))
}

/// Sets a variable, which survives a reboot.
pub fn write(vendor: &str, name: &str, content: &[u8]) -> io::Result<()> {
    let path = file(Path::new(DIRECTORY), vendor, name);
    make_mutable(&path)?;
    // One write: efivarfs hands every write to the firmware as the whole variable.
    let bytes = [KEPT.to_le_bytes().as_slice(), content].concat();
    OpenOptions::new().write(true).create(true).truncate(false).open(path)?.write_all(&bytes)
}

/// Removes a variable; one that is not there is fine.
pub fn remove(vendor: &str, name: &str) -> io::Result<()> {
    let path = file(Path::new(DIRECTORY), vendor, name);
    make_mutable(&path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The variables that the choice of a deployment is made from.
pub fn loader_variables() -> RawVariables {
    RawVariables {
        entry_selected: loader_variable("LoaderEntrySelected"),
        stub_image: loader_variable("StubImageIdentifier"),
        device_part_uuid: loader_variable("LoaderDevicePartUUID"),
        entries: loader_variable("LoaderEntries"),
    }
}

/// Reads one; a non-volatile one was planted, and the firmware lets the loader set no other beside it, in this boot
/// and every later one: it does not count, and it is removed, so that the next boot is as before.
fn loader_variable(name: &str) -> Option<Vec<u8>> {
    let bytes = read(LOADER, name)?;
    if is_planted(&bytes) {
        match remove(LOADER, name) {
            Ok(()) => console::say(&format!("removed a {name} that the boot loader did not set")),
            Err(error) => {
                console::say(&format!("{name} was not set by the boot loader and cannot be removed: {error}"))
            }
        }
    }
    Some(bytes)
}

/// Whether a variable outlives the boot, as none of the loader's does.
fn is_planted(variable: &[u8]) -> bool {
    const NON_VOLATILE: u8 = 1;
    variable.first().is_some_and(|attributes| attributes & NON_VOLATILE != 0)
}

/// Whether the firmware verified what it started.
pub fn secure_boot() -> bool {
    proves(read(GLOBAL, "SecureBoot").as_deref(), read(GLOBAL, "SetupMode").as_deref())
}

/// Rule 4: what a firmware that verified nothing is worth is the policy's decision.
pub fn check_secure_boot(on: bool, policy: &Policy) -> Result<(), Refusal> {
    if on || policy.secure_boot == SecureBoot::Report {
        return Ok(());
    }
    Err(Refusal::new(4, "Secure Boot is off and the policy requires it: turn it on in the firmware's setup"))
}

/// On, and not in the mode where anybody may enrol keys.
fn proves(secure_boot: Option<&[u8]>, setup_mode: Option<&[u8]>) -> bool {
    let is = |variable: Option<&[u8]>, value: u8| {
        let attributes = VOLATILE.to_le_bytes();
        variable.and_then(|bytes| bytes.strip_prefix(attributes.as_slice())) == Some(&[value])
    };
    is(secure_boot, 1) && is(setup_mode, 0)
}

fn file(directory: &Path, vendor: &str, name: &str) -> PathBuf {
    directory.join(format!("{name}-{vendor}"))
}

/// efivarfs guards variables with the immutable flag, against `rm -rf`.
fn make_mutable(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => {
            let flags = ioctl_getflags(&file)?;
            Ok(ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secure_boot_is_on_only_when_the_firmware_says_so_twice() {
        let on: &[u8] = &[6, 0, 0, 0, 1];
        let off: &[u8] = &[6, 0, 0, 0, 0];
        let planted: &[u8] = &[7, 0, 0, 0, 1];
        assert!(proves(Some(on), Some(off)));
        for (secure_boot, setup_mode) in [
            (Some(off), Some(off)),
            (Some(on), Some(on)),
            (None, Some(off)),
            (Some(on), None),
            (Some(planted), Some(off)),
            (Some(&[6, 0, 0, 0, 1, 1][..]), Some(off)),
            (Some(&[][..]), Some(off)),
        ] {
            assert!(!proves(secure_boot, setup_mode), "{secure_boot:?} {setup_mode:?}");
        }
    }

    #[test]
    fn only_what_outlives_the_boot_was_planted() {
        assert!(is_planted(&[7, 0, 0, 0, b'x', 0]));
        assert!(!is_planted(&[6, 0, 0, 0, b'x', 0]));
        assert!(!is_planted(&[]));
    }

    #[test]
    fn the_policy_decides_what_secure_boot_off_means() {
        let mut policy = crate::policy::tests::example();
        assert_eq!(check_secure_boot(false, &policy).unwrap_err().rule, 4);
        assert!(check_secure_boot(true, &policy).is_ok());
        policy.secure_boot = SecureBoot::Report;
        assert!(check_secure_boot(false, &policy).is_ok());
    }

    #[test]
    fn variables_are_read_whole_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let put = |size: usize| std::fs::write(dir.path().join("Name-vendor"), vec![7; size]).unwrap();
        assert_eq!(read_in(dir.path(), "vendor", "Name"), None);
        put(4100);
        assert_eq!(read_in(dir.path(), "vendor", "Name").unwrap().len(), 4100);
        put(4101);
        assert_eq!(read_in(dir.path(), "vendor", "Name"), None);
    }
}
