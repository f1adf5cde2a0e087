//! Names by architecture, in one table.

use serde::Serialize;

/// What differs between the machines that we run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Arch {
    /// The kernel's and Rust's name.
    pub name: &'static str,
    /// The OCI platform's name.
    pub oci: &'static str,
    /// The loader that firmware starts without a boot entry, below `EFI/BOOT/` (UEFI 2.10, 3.5.1.1).
    pub removable_loader: &'static str,
    /// systemd-boot as distributions install it, below `/usr/lib/systemd/boot/efi/`.
    pub systemd_boot: &'static str,
    /// systemd's UKI stub, in the same folder.
    pub systemd_stub: &'static str,
    /// Type of the root partition (Discoverable Partitions Specification).
    pub root_partition: &'static str,
    /// The machine field of a PE file (`IMAGE_FILE_MACHINE_*`).
    pub pe_machine: u16,
}

/// Every architecture that we know.
pub const ALL: [Arch; 2] = [
    Arch {
        name: "x86_64",
        oci: "amd64",
        removable_loader: "BOOTX64.EFI",
        systemd_boot: "systemd-bootx64.efi",
        systemd_stub: "linuxx64.efi.stub",
        root_partition: cfs_init::disk::ROOT_X86_64,
        pe_machine: 0x8664,
    },
    Arch {
        name: "aarch64",
        oci: "arm64",
        removable_loader: "BOOTAA64.EFI",
        systemd_boot: "systemd-bootaa64.efi",
        systemd_stub: "linuxaa64.efi.stub",
        root_partition: cfs_init::disk::ROOT_AARCH64,
        pe_machine: 0xaa64,
    },
];

/// The architecture with this OCI name (`amd64`, `arm64`).
pub fn by_oci_name(name: &str) -> Option<Arch> {
    ALL.into_iter().find(|arch| arch.oci == name)
}

/// The architecture that this program was built for.
pub fn native() -> Option<Arch> {
    ALL.into_iter().find(|arch| arch.name == std::env::consts::ARCH)
}
