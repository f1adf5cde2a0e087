//! A bootable disk made by hand, without `cfs-host`: the harness is tested with it.
//!
//! Its UKI is signed and its initrd is busybox with the agent; its root partition holds a few files for the
//! attacks. It verifies nothing: what it shows is that the firmware enforces Secure Boot and that the harness sees it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::{self, Input};
use crate::disk::Disk;
use crate::{cmd, command};

/// The agent's script.
pub const AGENT: &str = include_str!("../../tests/vm/agent");
/// What the initrd does before the agent.
const INIT: &str = "#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
insmod /efivarfs.ko
insmod /virtio_blk.ko
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
exec /agent
";
/// The UKI's place on the ESP.
pub const UKI: &str = "EFI/Linux/hand.efi";

/// A Debian 13 tree with kernel, stub, loader and busybox, from the mirror that apt is configured with.
pub fn debian() -> Result<PathBuf> {
    let packages = "linux-image-cloud-amd64,systemd-boot-efi,busybox-static";
    let made = cache::artifact("debian", &[Input::Text(packages)], |dir| {
        let include = format!("--include={packages}");
        let no_docs = "--dpkgopt=path-exclude=/usr/share/doc/*";
        command::run(&mut cmd!("mmdebstrap", "--variant=extract", include, no_docs, "trixie", dir.join("root")))
    })?;
    Ok(made.join("root"))
}

/// Self-made keys in `secureboot/`, as `cfs-host keys generate` lays them out.
pub fn keys(name: &str) -> Result<PathBuf> {
    cache::artifact(name, &[Input::Text("rsa:2048 v1")], |dir| {
        let dir = dir.join("secureboot");
        fs::create_dir(&dir)?;
        for name in ["PK", "KEK", "db"] {
            let mut request =
                cmd!("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "3650");
            request.arg("-subj").arg(format!("/CN=harness {name}"));
            request.arg("-keyout").arg(dir.join(format!("{name}.key")));
            command::run(request.arg("-out").arg(dir.join(format!("{name}.crt"))))?;
        }
        Ok(())
    })
}

/// Signs a program with the db key.
pub fn sign(keys: &Path, program: &Path, out: &Path) -> Result<()> {
    let (key, certificate) = (keys.join("secureboot/db.key"), keys.join("secureboot/db.crt"));
    command::run(&mut cmd!("sbsign", "--key", key, "--cert", certificate, "--output", out, program))
}

/// A disk signed by `keys`, and beside it `unsigned.efi`, the same UKI without a signature.
pub fn disk(keys: &Path) -> Result<Disk> {
    let debian = debian()?;
    let certificate = keys.join("secureboot/db.crt");
    let inputs =
        [Input::File(&certificate), Input::Text(AGENT), Input::Text(INIT), Input::Text(&debian.to_string_lossy())];
    let made = cache::artifact("handmade", &inputs, |dir| {
        let unsigned = uki(&debian, dir)?;
        sign(keys, &unsigned, &dir.join("hand.efi"))?;
        sign(keys, &debian.join("usr/lib/systemd/boot/efi/systemd-bootx64.efi"), &dir.join("loader.efi"))?;
        lay_out(dir)
    })?;
    Disk::open(&made.join("disk.img"))
}

fn lay_out(dir: &Path) -> Result<()> {
    let disk = dir.join("disk.img");
    fs::File::create(&disk)?.set_len(256 << 20)?;
    command::run(&mut cmd!(
        "sgdisk",
        "-n",
        "1:2048:+127M",
        "-t",
        "1:ef00",
        "-n",
        "2:264192:+64M",
        "-t",
        "2:8304",
        &disk
    ))?;
    let esp = format!("{}@@{}", disk.display(), 2048 * 512);
    command::run(&mut cmd!("mformat", "-i", &esp, "-T", (127 * 2048).to_string(), "-F", "-h", "64", "-s", "32"))?;
    command::run(&mut cmd!("mmd", "-i", &esp, "::EFI", "::EFI/BOOT", "::EFI/Linux", "::loader", "::loader/entries"))?;
    command::run(&mut cmd!("mcopy", "-i", &esp, dir.join("loader.efi"), "::EFI/BOOT/BOOTX64.EFI"))?;
    command::run(&mut cmd!("mcopy", "-i", &esp, dir.join("hand.efi"), format!("::{UKI}")))?;
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("cfs/deploy"))?;
    fs::write(tree.join("cfs/deploy/origin.json"), "{}")?;
    fs::write(tree.join("cfs/object"), vec![b'x'; 3 * 4096 + 17])?;
    let offset = format!("offset={},root_owner=0:0", 264192 * 512);
    command::run(&mut cmd!(
        "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-d", tree, "-E", offset, &disk, "64M"
    ))
}

/// Puts stub, kernel, initrd and command line together with objcopy.
fn uki(debian: &Path, dir: &Path) -> Result<PathBuf> {
    let modules = fs::read_dir(debian.join("usr/lib/modules")).context("the Debian tree has no kernel modules")?;
    let version = modules.last().context("the Debian tree has no kernel")??.file_name();
    let kernel = debian.join("boot").join(format!("vmlinuz-{}", version.to_string_lossy()));
    let stub = debian.join("usr/lib/systemd/boot/efi/linuxx64.efi.stub");
    let (cmdline, osrel) = (dir.join("cmdline"), dir.join("os-release"));
    let (initrd, out) = (dir.join("initrd"), dir.join("unsigned.efi"));
    fs::write(&osrel, "ID=handmade\nPRETTY_NAME=\"made by hand\"\n")?;
    fs::write(&cmdline, "panic=10 quiet")?;
    pack_initrd(debian, dir, &initrd)?;
    let mut objcopy = cmd!("objcopy");
    let mut at = end_of_sections(&stub)?;
    let sections = [(".osrel", osrel), (".cmdline", cmdline), (".initrd", initrd), (".linux", kernel)];
    for (name, file) in &sections {
        objcopy.arg("--add-section").arg(format!("{name}={}", file.display()));
        objcopy.arg("--change-section-vma").arg(format!("{name}={at:#x}"));
        at = (at + size(file)?).next_multiple_of(4096);
    }
    command::run(objcopy.arg(&stub).arg(&out))?;
    Ok(out)
}

fn pack_initrd(debian: &Path, dir: &Path, initrd: &Path) -> Result<()> {
    let tree = dir.join("initrd.d");
    for name in ["bin", "dev", "proc", "sys", "run"] {
        fs::create_dir_all(tree.join(name))?;
    }
    fs::copy(debian.join("usr/bin/busybox"), tree.join("bin/busybox")).context("the Debian tree has no busybox")?;
    for applet in
        command::text(&mut cmd!(tree.join("bin/busybox"), "--list"))?.lines().filter(|name| *name != "busybox")
    {
        symlink("busybox", tree.join("bin").join(applet))?;
    }
    for name in ["efivarfs", "virtio_blk"] {
        let file = format!("{name}.ko");
        let modules = debian.join("usr/lib/modules");
        let module = command::text(&mut cmd!("find", modules, "-name", format!("{file}.xz")))?;
        fs::write(tree.join(file), command::output(&mut cmd!("xz", "-dc", module.trim()))?)?;
    }
    fs::write(tree.join("init"), INIT)?;
    fs::write(tree.join("agent"), AGENT)?;
    command::run(&mut cmd!("chmod", "755", tree.join("init"), tree.join("agent")))?;
    let pack =
        format!("cd '{}' && find . | LC_ALL=C sort | cpio --quiet -o -H newc >'{}'", tree.display(), initrd.display());
    command::run(&mut cmd!("sh", "-c", pack))
}

/// The address after the last section of a PE file, page-aligned, as objcopy counts (with the image base).
fn end_of_sections(stub: &Path) -> Result<u64> {
    let table = command::text(&mut cmd!("objdump", "-h", "-w", stub))?;
    let ends = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u32>().ok()?;
        let (size, address) = (words.nth(1)?, words.next()?);
        Some(u64::from_str_radix(size, 16).ok()? + u64::from_str_radix(address, 16).ok()?)
    });
    let end = ends.max().with_context(|| format!("objdump showed no sections in {}", stub.display()))?;
    Ok(end.next_multiple_of(4096))
}

fn size(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len())
}
