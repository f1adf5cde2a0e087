//! A FAT that lost its power while it was written: names may lead to clusters that are free, or that another file has too.
//! Removing such a name frees what is in use, so it is repaired before anything is written to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::OFlags;

use crate::sys::{Error, Sys};

/// Of `fsck.fat`: there was something to repair, or it could not go on.
const FOUND: i32 = 1;

/// Repairs the file system if nothing has it mounted and the last mount did not end in order. Where there is no `fsck.fat`
/// the kernel's own checks are left: a host that cannot be updated could not get the program either.
pub(super) fn repair(sys: &Sys, device: &Path) -> Result<(), Error> {
    // Refused while it is mounted, and keeps others from mounting it until this ends.
    let alone = OFlags::EXCL.bits().cast_signed();
    let Ok(mut held) = OpenOptions::new().read(true).custom_flags(alone).open(device) else { return Ok(()) };
    if !was_left_dirty(&mut held).unwrap_or(false) {
        return Ok(());
    }
    let check = || sys.run(Command::new("fsck.fat").arg("-a").arg(device), b"").map(drop);
    match check() {
        // What was repaired has nothing more to repair.
        Err(Error::Program { status, .. }) if status.code() == Some(FOUND) => check(),
        Err(Error::Start { .. }) => Ok(()),
        other => other,
    }
}

fn was_left_dirty(device: &mut File) -> io::Result<bool> {
    let mut sector = [0; 512];
    device.read_exact(&mut sector)?;
    Ok(is_dirty(&sector))
}

/// The bit that a mount sets in the boot sector and that its end clears (Linux: `struct fat_boot_sector`, `state`).
fn is_dirty(sector: &[u8; 512]) -> bool {
    // FAT32 has no sectors per FAT in the old place.
    let state = if sector[22..24] == [0, 0] { 0x41 } else { 0x25 };
    sector[510..] == [0x55, 0xaa] && sector[state] & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn runs(program: &str, arguments: &[&str]) -> bool {
        Command::new(program).args(arguments).output().unwrap().status.success()
    }

    /// A FAT32 with a file whose chain is marked free, as if the power went between the name and the table.
    fn torn(dir: &Path) -> std::path::PathBuf {
        let (disk, file) = (dir.join("esp.img"), dir.join("uki"));
        File::create(&disk).unwrap().set_len(64 << 20).unwrap();
        std::fs::write(&file, vec![7; 10_000]).unwrap();
        let (disk_name, file) = (disk.to_str().unwrap(), file.to_str().unwrap());
        assert!(runs("mkfs.vfat", &["-F", "32", "-s", "1", disk_name]));
        assert!(runs("mcopy", &["-i", disk_name, file, "::uki"]));
        let image = File::options().read(true).write(true).open(&disk).unwrap();
        let mut sector = [0; 512];
        image.read_exact_at(&mut sector, 0).unwrap();
        let reserved = u64::from(u16::from_le_bytes([sector[14], sector[15]]));
        // Entries 0 to 2 are the table's own and the root directory's.
        image.write_all_at(&[0; 400], reserved * 512 + 12).unwrap();
        disk
    }

    fn set_dirty(disk: &Path) {
        File::options().write(true).open(disk).unwrap().write_all_at(&[1], 0x41).unwrap();
    }

    fn is_sound(disk: &Path) -> bool {
        runs("fsck.fat", &["-n", disk.to_str().unwrap()])
    }

    #[test]
    fn what_a_power_cut_tore_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let disk = torn(dir.path());
        set_dirty(&disk);
        assert!(!is_sound(&disk));
        repair(&Sys::real(), &disk).unwrap();
        assert!(is_sound(&disk));
        let sys = Sys::real();
        repair(&sys, &disk).unwrap();
        assert_eq!(sys.steps(), 0, "it is clean, and is not looked at again");
    }

    #[test]
    fn what_was_unmounted_in_order_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let disk = torn(dir.path());
        let sys = Sys::real();
        repair(&sys, &disk).unwrap();
        assert_eq!(sys.steps(), 0);
    }

    #[test]
    fn what_cannot_be_repaired_is_an_error_and_what_is_no_fat_is_left_to_the_mount() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let mut sector = [0; 512];
        (sector[0x41], sector[510], sector[511]) = (1, 0x55, 0xaa);
        std::fs::write(&disk, sector).unwrap();
        assert!(repair(&Sys::real(), &disk).unwrap_err().to_string().contains("fsck.fat"));
        std::fs::write(&disk, b"short").unwrap();
        repair(&Sys::real(), &disk).unwrap();
    }

    #[test]
    fn the_dirty_bit_of_fat16_is_elsewhere() {
        let mut sector = [0; 512];
        (sector[22], sector[0x25], sector[510], sector[511]) = (200, 1, 0x55, 0xaa);
        assert!(is_dirty(&sector));
        sector[22] = 0;
        assert!(!is_dirty(&sector));
    }
}
