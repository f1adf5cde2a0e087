//! The description of a machine, and the QEMU command line that it means.
//!
//! Emulated (TCG) by name: a `/dev/kvm` that opens is no proof that KVM works. One core, no display, System Management
//! Mode on, because the firmware build that enforces Secure Boot needs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
            let format = if disk.extension().is_some_and(|end| end == "qcow2") { "qcow2" } else { "raw" };
            let snapshot = if self.persistent { "off" } else { "on" };
            let head = format!("if=none,id=disk{n},format={format},cache=unsafe,snapshot={snapshot},file=");
            qemu.arg("-drive").arg(option(&head, disk));
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
        if !self.restarts {
            qemu.arg("-no-reboot");
        }
        qemu
    }
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
    fn commas_do_not_break_out_of_an_option() {
        let mut machine = Machine::new(Path::new("d,format=raw.qcow2"), Path::new("v.fd"));
        machine.smbios = vec!["a=b,c".to_owned()];
        let args = arguments(&machine);
        assert!(args.contains(&"type=11,value=a=b,,c".to_owned()));
        assert!(args.iter().any(|arg| arg.contains("format=qcow2") && arg.ends_with("file=d,,format=raw.qcow2")));
    }
}
