//! Around the image: the firmware, the loader, SMBIOS, EFI variables (rules 1 to 6).

use std::fs;

use anyhow::{ensure, Context, Result};

use super::{Bed, Expect, Scenario, Start};
use crate::bench::{Recipe, OURS};
use crate::firmware::{self, Variable};
use crate::inside::enforcing;
use crate::{cmd, command};

/// The scenarios of this file.
pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "unsigned-uki",
        promise: "a UKI without a signature is not started",
        start: Start::Booted,
        attack: |bed| {
            let (path, file) = uki(bed)?;
            command::run(&mut cmd!("sbattach", "--remove", &file))?;
            bed.disk.esp_write(&path, &fs::read(&file)?)
        },
        expect: Expect::FirmwareRefuses,
    },
    Scenario {
        name: "other-db-key",
        promise: "a UKI signed by a key that is not in db is not started",
        start: Start::Booted,
        attack: |bed| {
            let other = bed.bench.host(&Recipe { keys: "theirs", ..OURS })?;
            let (path, file) = uki(bed)?;
            command::run(&mut cmd!("sbattach", "--remove", &file))?;
            crate::handmade::sign(&other.sealed.keys, &file, &file)?;
            bed.disk.esp_write(&path, &fs::read(&file)?)
        },
        expect: Expect::FirmwareRefuses,
    },
    Scenario {
        name: "kernel-argument",
        promise: "a kernel argument from SMBIOS that the policy does not allow stops the boot",
        start: Start::Booted,
        attack: |bed| {
            bed.machine.smbios = vec!["io.systemd.stub.kernel-cmdline-extra=console=ttyS0 init=/bin/sh".to_owned()];
            Ok(())
        },
        expect: Expect::Refused(&[2], "init=/bin/sh"),
    },
    Scenario {
        name: "credential",
        promise: "a credential from SMBIOS is not taken",
        start: Start::Booted,
        attack: |bed| {
            bed.machine.smbios.push("io.systemd.credential:cfs.harness=taken".to_owned());
            Ok(())
        },
        expect: Expect::Boots(|_, running| {
            enforcing(running)?;
            let found = running.agent().check("grep -r taken /run /etc 2>/dev/null || echo nothing")?;
            ensure!(found == "nothing", "the credential arrived: {found}");
            Ok(())
        }),
    },
    Scenario {
        name: "planted-variable",
        promise: "a loader variable that somebody wrote into the flash does not count, is removed, and the next boot is as before",
        start: Start::Booted,
        attack: |bed| {
            let vars = bed.dir.path().join("vars.fd");
            fs::copy(&bed.machine.vars, &vars).context("cannot copy the firmware's variables")?;
            let chosen = format!("cfs-{}.1.conf", bed.host.deployment()?);
            firmware::plant(&vars, &[Variable::planted("LoaderEntrySelected", &chosen)])?;
            bed.machine.vars = vars;
            Ok(())
        },
        expect: Expect::FallsBack(|_, running| enforcing(running)),
    },
];

/// The UKI: its path on the ESP, and a copy.
fn uki(bed: &Bed) -> Result<(String, std::path::PathBuf)> {
    let path = bed.disk.esp_find("EFI/cfs/", ".efi")?;
    let file = bed.dir.path().join("uki.efi");
    fs::write(&file, bed.disk.esp_read(&path)?)?;
    Ok((path, file))
}
