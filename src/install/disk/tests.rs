//! Disks made of a small staged tree, read back by other programs.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use super::*;
use crate::boot::esp::tests::example;
use crate::install::geometry::{measure, plan, Wish};
use crate::install::target::observe;
use crate::model::arch;
use crate::sys::{Fault, FaultPlan};

struct Fixture {
    dir: tempfile::TempDir,
    staged: PathBuf,
    esp: Vec<EspFile>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let staged = dir.path().join("staged");
        fs::create_dir_all(staged.join("cfs/deploy/0123456789abcdef.0/etc")).unwrap();
        fs::write(staged.join("cfs/version"), "1\n").unwrap();
        fs::write(staged.join("cfs/deploy/0123456789abcdef.0/etc/shadow"), [b'x'; 9000]).unwrap();
        let sys = Sys::real();
        let shadow = staged.join("cfs/deploy/0123456789abcdef.0/etc/shadow");
        sys.set_metadata(&shadow, (0, 42), Some(0o640), &[(b"user.a", b"b")]).unwrap();
        Self { dir, staged, esp: example(vec![("db".into(), b"db".to_vec())]) }
    }

    fn plan(&self, target: &Path, kind: TargetKind, size: Option<u64>) -> DiskPlan {
        let geometry = plan("disk", &Wish { size, esp_size: 64 << 20 }, &measure(&self.staged).unwrap()).unwrap();
        let arch = arch::by_oci_name("amd64").unwrap();
        let (size, esp, root, inodes) = (geometry.size, geometry.esp, geometry.root, geometry.inodes);
        DiskPlan { target: target.to_owned(), kind, size, esp, root, inodes, arch }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).env("MTOOLS_SKIP_CHECK", "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program}: {text}");
    text
}

fn assert_bootable(disk: &Path, plan: &DiskPlan) {
    let path = disk.to_str().unwrap();
    let verified = output("sgdisk", &["-v", path]);
    assert!(verified.contains("No problems found"), "{verified}");
    let root = output("sgdisk", &["-i", "2", path]).to_lowercase();
    assert!(root.contains(plan.arch.root_partition), "{root}");
    let esp = output("sgdisk", &["-i", "1", path]).to_lowercase();
    assert!(esp.contains("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), "{esp}");

    let image = format!("{path}@@{}", plan.esp.offset);
    let listing = output("mdir", &["-/", "-b", "-i", &image, "::/"]);
    for name in
        ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi", "loader/entries/cfs-0123456789abcdef.0.1.conf"]
    {
        assert!(listing.contains(name), "{name} in {listing}");
    }

    let dir = tempfile::tempdir().unwrap();
    let (esp, root) = (dir.path().join("esp"), dir.path().join("root"));
    for (part, span) in [(&esp, plan.esp), (&root, plan.root)] {
        let mut bytes = vec![0; span.size as usize];
        fs::File::open(disk).unwrap().read_exact_at(&mut bytes, span.offset).unwrap();
        fs::write(part, bytes).unwrap();
    }
    let esp = output("fsck.vfat", &["-n", esp.to_str().unwrap()]);
    assert!(!esp.contains("differ") && !esp.contains("FAT16"), "{esp}");
    let root = root.to_str().unwrap();
    output("e2fsck", &["-fn", root]);
    let shadow = output("debugfs", &["-R", "stat /cfs/deploy/0123456789abcdef.0/etc/shadow", root]);
    assert!(
        shadow.contains("Mode:  0640") && shadow.contains("Group:    42") && shadow.contains("Size: 9000"),
        "{shadow}"
    );
    let features = output("dumpe2fs", &["-h", root]);
    assert!(features.contains("verity") && features.contains("Block size:               4096"), "{features}");
}

#[test]
fn a_raw_disk_is_what_other_programs_take_for_one() {
    let fixture = Fixture::new();
    let target = fixture.dir.path().join("disk.img");
    let plan = fixture.plan(&target, TargetKind::Raw, Some(300 << 20));
    write(&Sys::real(), &plan, &fixture.staged, &fixture.esp).unwrap();
    assert_bootable(&target, &plan);
    assert_eq!(fixture.names(), ["disk.img", "staged"]);
}

#[test]
fn a_qcow2_disk_holds_the_same() {
    let fixture = Fixture::new();
    let target = fixture.dir.path().join("disk.qcow2");
    let plan = fixture.plan(&target, TargetKind::Qcow2, Some(300 << 20));
    write(&Sys::real(), &plan, &fixture.staged, &fixture.esp).unwrap();
    assert_eq!(fixture.names(), ["disk.qcow2", "staged"]);
    let raw = fixture.dir.path().join("raw");
    output("qemu-img", &["convert", "-O", "raw", target.to_str().unwrap(), raw.to_str().unwrap()]);
    assert_bootable(&raw, &plan);
}

#[test]
fn the_least_size_that_is_asked_for_is_enough() {
    let fixture = Fixture::new();
    fs::write(fixture.staged.join("large"), vec![b'x'; 30 << 20]).unwrap();
    for number in 0..3000 {
        fs::write(fixture.staged.join(format!("small-{number}")), [b'x'; 100]).unwrap();
    }
    let target = fixture.dir.path().join("disk.img");
    let content = measure(&fixture.staged).unwrap();
    let small = Wish { size: Some(1), esp_size: 64 << 20 };
    let Err(Error::TooSmall { needed, .. }) = crate::install::geometry::plan("disk", &small, &content) else {
        panic!("not refused")
    };
    let plan = fixture.plan(&target, TargetKind::Raw, Some(needed));
    write(&Sys::real(), &plan, &fixture.staged, &fixture.esp).unwrap();
    assert_bootable(&target, &plan);
}

#[test]
fn whatever_step_fails_no_file_is_left_and_an_old_one_stays() {
    for (name, kind) in [("disk.img", TargetKind::Raw), ("disk.qcow2", TargetKind::Qcow2)] {
        let fixture = Fixture::new();
        let target = fixture.dir.path().join(name);
        let plan = fixture.plan(&target, kind, Some(300 << 20));
        let counted = Sys::real();
        write(&counted, &plan, &fixture.staged, &fixture.esp).unwrap();
        fs::remove_file(&target).unwrap();
        assert!(counted.steps() > 20);
        for at in 1..=counted.steps() {
            let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(28) });
            let error = write(&sys, &plan, &fixture.staged, &fixture.esp).unwrap_err();
            assert!(error.to_string().contains("os error 28"), "{error}");
            assert_eq!(fixture.names(), ["staged"], "{name}, step {at}: {error}");
        }
    }
}

#[test]
fn a_full_file_system_is_an_error_and_leaves_nothing() {
    let fixture = Fixture::new();
    fs::write(fixture.staged.join("large"), vec![b'x'; 8 << 20]).unwrap();
    let small = fixture.dir.path().join("small");
    fs::create_dir(&small).unwrap();
    output("mount", &["-t", "tmpfs", "-o", "size=4M", "tmpfs", small.to_str().unwrap()]);
    let plan = fixture.plan(&small.join("disk.img"), TargetKind::Raw, Some(300 << 20));
    let result = write(&Sys::real(), &plan, &fixture.staged, &fixture.esp);
    let left = fs::read_dir(&small).unwrap().count();
    output("umount", &[small.to_str().unwrap()]);
    assert!(result.unwrap_err().to_string().starts_with("mke2fs failed"));
    assert_eq!(left, 0);
}

/// `losetup -f` claims for a moment a device that another test has just got: one at a time.
static LOOPS: Mutex<()> = Mutex::new(());

/// A loop device over a sparse file.
struct Loop(PathBuf, #[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Loop {
    fn new(file: &Path) -> Self {
        let alone = LOOPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Self(output("losetup", &["-f", "--show", file.to_str().unwrap()]).trim().into(), alone)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

#[test]
fn a_device_is_taken_when_empty_and_refused_when_not() {
    let fixture = Fixture::new();
    let backing = fixture.dir.path().join("backing");
    fs::File::create(&backing).unwrap().set_len(300 << 20).unwrap();
    let device = Loop::new(&backing);
    let target = observe(&device.0, false).unwrap();
    assert_eq!((target.kind, target.capacity), (TargetKind::Device, Some(300 << 20)));
    let plan = fixture.plan(&device.0, TargetKind::Device, target.capacity);
    write(&Sys::real(), &plan, &fixture.staged, &fixture.esp).unwrap();
    assert_bootable(&device.0, &plan);
    assert!(matches!(observe(&device.0, false), Err(Error::NotEmpty { .. })));
    assert!(observe(&device.0, true).is_ok());
}

#[test]
fn a_mounted_device_is_refused_even_with_wipe() {
    let fixture = Fixture::new();
    let backing = fixture.dir.path().join("backing");
    fs::File::create(&backing).unwrap().set_len(16 << 20).unwrap();
    output("mke2fs", &["-q", "-F", "-t", "ext4", backing.to_str().unwrap()]);
    let device = Loop::new(&backing);
    let place = fixture.dir.path().join("place");
    fs::create_dir(&place).unwrap();
    output("mount", &["-t", "ext4", device.0.to_str().unwrap(), place.to_str().unwrap()]);
    let refused = observe(&device.0, true);
    let claimed = crate::install::target::open_device(&device.0);
    output("umount", &[place.to_str().unwrap()]);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("mounted at") && text.contains("place"), "{text}");
    assert!(claimed.unwrap_err().to_string().contains("claimed"));
    assert!(observe(&device.0, true).is_ok(), "the same device, not mounted");
}

#[test]
fn a_device_has_no_partition_table_until_its_root_is_written() {
    let fixture = Fixture::new();
    let backing = fixture.dir.path().join("backing");
    fs::File::create(&backing).unwrap().set_len(300 << 20).unwrap();
    let device = Loop::new(&backing);
    let plan = fixture.plan(&device.0, TargetKind::Device, Some(300 << 20));
    let counted = Sys::real();
    write(&counted, &plan, &fixture.staged, &fixture.esp).unwrap();
    // The first two steps blank the two ends: from the third on, neither table is there.
    for at in 3..=counted.steps() {
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
        write(&sys, &plan, &fixture.staged, &fixture.esp).unwrap_err();
        let head = read(&device.0, 512);
        let tail = read(&device.0, plan.size - 512);
        let has_table = head.starts_with(b"EFI PART") || tail.starts_with(b"EFI PART");
        if !has_table {
            continue;
        }
        let root = format!("{}?offset={}", device.0.display(), plan.root.offset);
        let checked = Command::new("e2fsck").args(["-fn", &root]).output().unwrap();
        assert!(checked.status.success(), "step {at}: a table names a root that is not whole");
    }
}

fn read(device: &Path, offset: u64) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    fs::File::open(device).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}
