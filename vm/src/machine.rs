//! The description of a machine, and the QEMU command line that it means.
//!
//! Emulated (TCG) by name: a `/dev/kvm` that opens is no proof that KVM works. One core, no display, System Management
//! Mode on, because the firmware build that enforces Secure Boot needs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::agent;

/// The firmware that enforces Secure Boot.
pub const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";

/// A machine to start. Made by [`Machine::new`]; change the fields that differ.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Disk images, the first one boots. The ending tells the format: `.qcow2` or raw.
    pub disks: Vec<PathBuf>,
    /// The firmware's variables.
    pub vars: PathBuf,
    /// SMBIOS type 11 strings: what the owner of a virtual machine can whisper to its guest.
    pub smbios: Vec<String>,
    /// Memory in MiB.
    pub memory: u32,
    /// Write to the images and to the variables themselves instead of to copies that are thrown away.
    pub persistent: bool,
    /// Let the guest restart; else a restart ends the machine.
    pub restarts: bool,
    /// Give the guest a network (10.0.2.2 is the host).
    pub network: bool,
    /// Give the guest a watchdog that resets it (i6300esb).
    pub watchdog: bool,
    /// Log every write to the first disk into this file; needs [`Self::persistent`].
    pub write_log: Option<PathBuf>,
    /// The longest that a boot may take.
    pub limit: Duration,
    /// The longest that the console may be silent before that.
    pub silence: Duration,
}

/// Where a running machine's files are.
pub(crate) struct Places<'a> {
    pub vars: &'a Path,
    pub console: &'a Path,
    pub agent: &'a Path,
}

impl Machine {
    /// A machine with one disk, one core and 1 GiB that leaves disk and variables as they are.
    /// The kernel's console is on the serial port, through the one argument that a policy allows.
    pub fn new(disk: &Path, vars: &Path) -> Self {
        Self {
            disks: vec![disk.to_owned()],
            vars: vars.to_owned(),
            smbios: vec!["io.systemd.stub.kernel-cmdline-extra=console=ttyS0".to_owned()],
            memory: 1024,
            persistent: false,
            restarts: false,
            network: false,
            watchdog: false,
            write_log: None,
            limit: Duration::from_secs(300),
            silence: Duration::from_secs(75),
        }
    }

    /// QEMU with all arguments.
    pub(crate) fn command(&self, places: &Places) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-cpu", "Nehalem", "-smp", "1", "-m", &self.memory.to_string()]);
        qemu.args(["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]);
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-monitor", "none"]);
        qemu.arg("-drive").arg(format!("if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}"));
        qemu.arg("-drive").arg(option("if=pflash,unit=1,format=raw,file=", places.vars));
        for (n, disk) in self.disks.iter().enumerate() {
            match self.write_log.as_ref().filter(|_| n == 0) {
                Some(log) => qemu.arg("-blockdev").arg(logged(disk, log)),
                None => qemu.arg("-drive").arg(self.plain(n, disk)),
            };
            qemu.arg("-device").arg(format!("virtio-blk-pci,drive=disk{n},bootindex={}", n + 1));
        }
        for text in &self.smbios {
            qemu.arg("-smbios").arg(format!("type=11,value={}", text.replace(',', ",,")));
        }
        qemu.arg("-serial").arg(option("file:", places.console));
        qemu.arg("-chardev").arg(option("socket,id=agent,server=on,wait=off,path=", places.agent));
        qemu.args([
            "-device",
            "virtio-serial-pci",
            "-device",
            &format!("virtserialport,chardev=agent,name={}", agent::PORT),
        ]);
        // Without a source of randomness the guest's first getrandom waits for minutes.
        qemu.args(["-device", "virtio-rng-pci"]);
        if self.network {
            qemu.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
        }
        if self.watchdog {
            qemu.args(["-device", "i6300esb", "-action", "watchdog=reset"]);
        }
        if !self.restarts {
            qemu.arg("-no-reboot");
        }
        qemu
    }

    /// A disk that keeps its data where it is quickest.
    fn plain(&self, n: usize, disk: &Path) -> OsString {
        let snapshot = if self.persistent { "off" } else { "on" };
        option(&format!("if=none,id=disk{n},format={},cache=unsafe,snapshot={snapshot},file=", format(disk)), disk)
    }
}

/// The ending tells the format.
fn format(disk: &Path) -> &'static str {
    match disk.extension().is_some_and(|end| end == "qcow2") {
        true => "qcow2",
        false => "raw",
    }
}

/// The first disk with its write log. The guest's flushes have to reach the log, and need not reach the host's disk. The log's
/// own count of entries is brought up to date with every request, so that it can be read while the machine runs.
fn logged(disk: &Path, log: &Path) -> String {
    let file = |path: &Path| json!({"driver": "file", "filename": path, "cache": {"no-flush": true}});
    json!({
        "driver": "blklogwrites", "node-name": "disk0", "log-sector-size": 512, "log-super-update-interval": 1,
        "file": {"driver": format(disk), "file": file(disk), "cache": {"no-flush": true}},
        "log": file(log),
    })
    .to_string()
}

/// An option that ends in a path; QEMU wants commas doubled.
fn option(head: &str, path: &Path) -> OsString {
    let mut option = OsString::from(head);
    option.push(path.to_string_lossy().replace(',', ",,"));
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(machine: &Machine) -> Vec<String> {
        let places = Places { vars: Path::new("/w/vars.fd"), console: Path::new("/w/c"), agent: Path::new("/w/a") };
        machine.command(&places).get_args().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn secure_boot_can_not_be_switched_off_by_the_guest() {
        let args = arguments(&Machine::new(Path::new("d.img"), Path::new("v.fd")));
        assert!(args.contains(&"driver=cfi.pflash01,property=secure,value=on".to_owned()));
        assert!(args.iter().any(|arg| arg.contains("readonly=on") && arg.contains(".secboot.fd")));
    }

    #[test]
    fn disks_are_left_alone_unless_told_otherwise() {
        let mut machine = Machine::new(Path::new("d.img"), Path::new("v.fd"));
        assert!(arguments(&machine).iter().any(|arg| arg.contains("snapshot=on,file=d.img")));
        assert!(arguments(&machine).contains(&"-no-reboot".to_owned()));
        machine.persistent = true;
        machine.restarts = true;
        assert!(arguments(&machine).iter().any(|arg| arg.contains("snapshot=off,file=d.img")));
        assert!(!arguments(&machine).contains(&"-no-reboot".to_owned()));
    }

    #[test]
    fn flushes_reach_the_write_log_and_nothing_is_logged_unless_told() {
        let mut machine = Machine::new(Path::new("d.img"), Path::new("v.fd"));
        assert!(!arguments(&machine).iter().any(|arg| arg.contains("blklogwrites")));
        machine.write_log = Some("w.log".into());
        machine.disks.push("second.img".into());
        let args = arguments(&machine);
        let node = args.iter().find(|arg| arg.contains("blklogwrites")).unwrap();
        let node: serde_json::Value = serde_json::from_str(node).unwrap();
        assert_eq!((&node["node-name"], &node["log"]["filename"]), (&json!("disk0"), &json!("w.log")));
        // With it on this node QEMU would answer flushes by itself.
        assert!(node.get("cache").is_none());
        assert!(args.iter().any(|arg| arg.starts_with("if=none,id=disk1") && arg.ends_with("file=second.img")));
    }

    #[test]
    fn commas_do_not_break_out_of_an_option() {
        let mut machine = Machine::new(Path::new("d,format=raw.qcow2"), Path::new("v.fd"));
        machine.smbios = vec!["a=b,c".to_owned()];
        let args = arguments(&machine);
        assert!(args.contains(&"type=11,value=a=b,,c".to_owned()));
        assert!(args.iter().any(|arg| arg.contains("format=qcow2") && arg.ends_with("file=d,,format=raw.qcow2")));
    }
}
