//! The harness tells the truth: shown with a disk that was made without `cfs-host`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use cfs_vm::disk::Disk;
use cfs_vm::firmware::{self, Variable};
use cfs_vm::handmade;
use cfs_vm::machine::Machine;
use cfs_vm::verdict::Verdict;
use cfs_vm::writelog::{self, Log, Survivors};

fn machine(disk: &Disk) -> Machine {
    Machine::new(disk.path(), &firmware::enrolled(&handmade::keys("harness-keys").unwrap()).unwrap())
}

fn disk() -> Disk {
    handmade::disk(&handmade::keys("harness-keys").unwrap()).unwrap()
}

/// A copy of the disk that the test may damage.
fn copy(dir: &tempfile::TempDir) -> Disk {
    disk().copy_to(&dir.path().join("disk.img")).unwrap()
}

fn boots(machine: &Machine) -> cfs_vm::run::Running {
    let (running, verdict, _) = machine.boot().unwrap();
    assert!(matches!(verdict, Verdict::Booted { .. }), "{verdict:#?}");
    running
}

#[test]
fn a_signed_uki_boots_under_enforced_secure_boot_and_answers() {
    let mut running = boots(&machine(&disk()));
    let agent = running.agent();
    assert_eq!(agent.check("echo $((40 + 2))").unwrap(), "42");
    assert_eq!(agent.run("echo oops >&2; exit 7", Duration::from_secs(30)).unwrap().code, 7);
    let secure = "od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    assert_eq!(agent.check(secure).unwrap().split_whitespace().collect::<Vec<_>>(), ["6", "0", "0", "0", "1"]);
    // The SMBIOS argument arrives: the console of all other tests depends on it.
    assert!(agent.check("cat /proc/cmdline").unwrap().ends_with("console=ttyS0"));
}

#[test]
fn an_unsigned_uki_is_refused_by_the_firmware() {
    let dir = tempfile::tempdir().unwrap();
    let disk = copy(&dir);
    let unsigned = disk_directory().join("unsigned.efi");
    disk.esp_write(handmade::UKI, &fs::read(unsigned).unwrap()).unwrap();
    let (_, verdict, _) = machine(&disk).boot().unwrap();
    assert!(matches!(verdict, Verdict::FirmwareRefused { .. }), "{verdict:#?}");
}

#[test]
fn a_uki_signed_by_another_key_is_refused_by_the_firmware() {
    let others = firmware::enrolled(&handmade::keys("other-keys").unwrap()).unwrap();
    let (_, verdict, _) = Machine::new(disk().path(), &others).boot().unwrap();
    assert!(matches!(verdict, Verdict::FirmwareRefused { .. }), "{verdict:#?}");
}

#[test]
fn a_restart_is_another_boot_and_planted_variables_are_seen_and_read_back() {
    let mut machine = machine(&disk());
    machine.restarts = true;
    let dir = tempfile::tempdir().unwrap();
    let vars = dir.path().join("vars.fd");
    fs::copy(&machine.vars, &vars).unwrap();
    firmware::plant(&vars, &[Variable::planted("LoaderHarness", "planted")]).unwrap();
    machine.vars = vars;
    let (mut running, first, _) = machine.boot().unwrap();
    let name = format!("/sys/firmware/efi/efivars/LoaderHarness-{}", firmware::LOADER);
    assert!(running.agent().check(&format!("cat {name} | tr -d '\\0'")).unwrap().contains("planted"));
    let ours = format!("/sys/firmware/efi/efivars/CfsHostRefusal-{}", firmware::CFS_HOST);
    running.agent().check(&format!("printf '\\7\\0\\0\\0hello' >{ours}")).unwrap();
    running.agent().check("(sleep 1; reboot -f) >/dev/null 2>&1 &").unwrap();
    let second = running.wait().unwrap();
    assert!(matches!(second, Verdict::Booted { .. }) && first != second, "{first:?} {second:?}");
    let ended = running.cut_power().unwrap();
    let left = firmware::read(&ended.vars, firmware::CFS_HOST, "CfsHostRefusal").unwrap().unwrap();
    assert_eq!((left.attr, left.data.as_slice()), (7, b"hello".as_slice()));
}

#[test]
fn a_power_cut_leaves_what_was_flushed_and_the_whole_log_is_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, log) = (copy(&dir), dir.path().join("log"));
    let before = disk.copy_to(&dir.path().join("before.img")).unwrap();
    let mut machine = machine(&disk);
    let vars = dir.path().join("vars.fd");
    fs::copy(&machine.vars, &vars).unwrap();
    fs::write(&log, b"").unwrap();
    (machine.vars, machine.persistent, machine.write_log) = (vars, true, Some(log.clone()));
    let mut running = boots(&machine);
    // Behind the partitions. `direct` is on its way to the disk at once, `fsync` flushes.
    let mut write = |text: &str, block: u32, how: &str| {
        let dd = format!("dd of=/dev/vda bs=4096 count=1 iflag=fullblock seek={block} {how}");
        running.agent().check(&format!("yes {text} | {dd} 2>/dev/null")).unwrap();
        writelog::position(&log).unwrap()
    };
    let flushed = write("flushed", 60000, "oflag=direct conv=notrunc,fsync");
    let written = write("written", 60001, "oflag=direct conv=notrunc");
    assert!(flushed < written, "{flushed} {written}");
    running.cut_power().unwrap();

    let log = Log::open(&log).unwrap();
    let block = |disk: &Disk, block: u64| {
        let mut bytes = [0; 8];
        fs::File::open(disk.path()).unwrap().read_exact_at(&mut bytes, block * 4096).unwrap();
        bytes
    };
    let cut = |at, survivors| {
        let copy = before.copy_to(&dir.path().join("cut.img")).unwrap();
        log.cut(&fs::OpenOptions::new().read(true).write(true).open(copy.path()).unwrap(), at, survivors).unwrap();
        copy
    };
    let lost = cut(written, Survivors::None);
    assert_eq!((&block(&lost, 60000), &block(&lost, 60001)), (b"flushed\n", &[0; 8]));
    let kept = cut(written, Survivors::All);
    assert_eq!((&block(&kept, 60000), &block(&kept, 60001)), (b"flushed\n", b"written\n"));
    let whole = cut(log.len(), Survivors::All);
    assert!(fs::read(whole.path()).unwrap() == fs::read(disk.path()).unwrap(), "the log is not what QEMU wrote");
}

#[test]
fn a_machine_that_stops_or_hangs_is_not_taken_for_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let disk = copy(&dir);
    disk.esp_remove(handmade::UKI).unwrap();
    let mut machine = machine(&disk);
    machine.silence = Duration::from_secs(20);
    let mut running = machine.start().unwrap();
    let verdict = running.wait().unwrap();
    assert!(matches!(verdict, Verdict::Hung { .. } | Verdict::Stopped { .. }), "{verdict:#?}");
}

#[test]
fn disks_are_damaged_where_asked_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let disk = copy(&dir);
    let object = "/cfs/object";
    let before = disk.root_read(object).unwrap();
    disk.root_flip(object, 4099).unwrap();
    let after = disk.root_read(object).unwrap();
    let changed: Vec<usize> = (0..before.len()).filter(|n| before[*n] != after[*n]).collect();
    assert_eq!(changed, [4099]);
    assert!(disk.root_flip(object, 1 << 30).is_err());

    disk.root_write("/cfs/deploy/origin.json", b"other").unwrap();
    assert_eq!(disk.root_read("/cfs/deploy/origin.json").unwrap(), b"other");
    disk.root_write("/cfs/deploy/insecure", b"").unwrap();
    assert_eq!(disk.root_list("/cfs/deploy").unwrap(), ["insecure", "origin.json"]);
    disk.root_remove("/cfs/deploy/insecure").unwrap();
    assert!(disk.root_remove("/cfs/deploy/insecure").is_err());
    assert!(disk.root_read("/absent").is_err());

    assert_eq!(disk.esp_find("EFI/Linux/", ".efi").unwrap(), handmade::UKI);
    disk.esp_write("loader/entries/x.conf", b"title x\n").unwrap();
    assert_eq!(disk.esp_read("loader/entries/x.conf").unwrap(), b"title x\n");
    let pristine = self::disk();
    disk.esp_transplant(&pristine).unwrap();
    assert_eq!(disk.esp_list().unwrap(), pristine.esp_list().unwrap());
}

fn disk_directory() -> std::path::PathBuf {
    disk().path().parent().unwrap().to_owned()
}
