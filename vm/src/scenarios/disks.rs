//! The disk's owner: objects, files that could ask for less, entries, a second disk (rules 6 to 8, 14 to 16).

use anyhow::{ensure, Context, Result};

use super::{Bed, Expect, Scenario, Start};
use crate::bench::object_of;
use crate::inside::{booted, enforcing};

/// The scenarios of this file.
pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "object-replaced",
        promise: "an object with other content does not pass, whatever its name says",
        start: Start::Booted,
        attack: replace_numbers,
        expect: Expect::Refused(&[14], "has other content"),
    },
    Scenario {
        name: "object-replaced-fresh",
        promise: "an object with other content does not get fs-verity and pass",
        start: Start::Fresh,
        attack: replace_numbers,
        expect: Expect::Refused(&[14], "has other content"),
    },
    Scenario {
        name: "object-removed",
        promise: "a missing object stops the boot: a deleted file must not look absent",
        start: Start::Booted,
        attack: |bed| bed.disk.root_remove(&object_of(&numbers())?),
        expect: Expect::Refused(&[15], "is missing"),
    },
    Scenario {
        name: "object-rotten",
        promise: "a page that rotted under fs-verity is an error when it is read, never other content",
        start: Start::Booted,
        attack: |bed| bed.disk.root_flip(&object_of(&numbers())?, 5000),
        expect: Expect::Boots(|_, running| {
            enforcing(running)?;
            let answer = running.agent().run("cat /usr/share/tiny/numbers >/dev/null", READ_LIMIT)?;
            ensure!(answer.code != 0, "the rotten file was read");
            let error = answer.output.to_lowercase();
            ensure!(
                error.contains("i/o error") || error.contains("input/output error"),
                "it failed otherwise: {error}"
            );
            Ok(())
        }),
    },
    Scenario {
        name: "asking-for-less",
        promise: "no file of the root disk can ask for less checking",
        start: Start::Booted,
        attack: ask_for_less,
        expect: Expect::Boots(|_, running| enforcing(running)),
    },
    Scenario {
        name: "no-metadata",
        promise: "meta.json and origin.json are not read before the boot: without them it boots as before",
        start: Start::Booted,
        attack: |bed| {
            bed.disk.root_remove("/composefs/meta.json")?;
            bed.disk.root_remove(&format!("/cfs/deploy/{}/origin.json", bed.host.deployment()?))
        },
        expect: Expect::Boots(|_, running| enforcing(running)),
    },
    Scenario {
        name: "cloned-partition",
        promise: "two partitions with the loader's unique id stop the boot",
        start: Start::Booted,
        attack: |bed| {
            let second = bed.disk.copy_to(&bed.dir.path().join("second.img"))?;
            bed.machine.disks.push(second.path().to_owned());
            Ok(())
        },
        expect: Expect::Refused(&[7], "2 times"),
    },
    Scenario {
        name: "broken-default",
        promise: "a default deployment that does not boot is followed by another one",
        start: Start::Booted,
        attack: |bed| {
            let (path, text) = entry(bed)?;
            let deployment = bed.host.deployment()?;
            let (short, _) = deployment.split_once('.').context("the deployment has no serial")?;
            let broken = format!("loader/entries/cfs-{short}.99.99.conf");
            let order = text.lines().find(|line| line.starts_with("version")).context("the entry has no version")?;
            bed.disk.esp_write(&broken, text.replace(order, "version    99").as_bytes())?;
            ensure!(bed.disk.esp_list()?.contains(&path), "the good entry has gone");
            Ok(())
        },
        expect: Expect::FallsBack(|bed, running| {
            enforcing(running)?;
            let booted = booted(running)?;
            ensure!(booted["deployment"] == bed.host.deployment()?, "another deployment booted: {booted}");
            Ok(())
        }),
    },
    Scenario {
        name: "unsigned-initrd",
        promise: "an initrd that an entry prepends is not used",
        start: Start::Booted,
        attack: |bed| {
            bed.disk.esp_write("EFI/cfs/evil.cpio", &empty_cpio())?;
            let (path, text) = entry(bed)?;
            bed.disk.esp_write(&path, format!("{text}initrd     /EFI/cfs/evil.cpio\n").as_bytes())
        },
        // The stub of systemd 257 crashes on it, later ones hand it on and `/init` refuses.
        expect: Expect::NeverRuns,
    },
];

/// Another content, of the same size, under the name of the object that a test can name.
fn replace_numbers(bed: &mut Bed) -> Result<()> {
    let mut content = numbers();
    content[0] = b'2';
    bed.disk.root_write(&object_of(&numbers())?, &content)
}

const READ_LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The content of `/usr/share/tiny/numbers`, as `tests/vm/make-tiny` writes it.
fn numbers() -> Vec<u8> {
    (1..=5000).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// The only entry of the ESP: path and text.
fn entry(bed: &Bed) -> Result<(String, String)> {
    let path = bed.disk.esp_find("loader/entries/", ".conf")?;
    let text = String::from_utf8(bed.disk.esp_read(&path)?).context("the entry is no text")?;
    Ok((path, text))
}

/// Whatever this project and its peers ever took as a wish for less.
fn ask_for_less(bed: &mut Bed) -> Result<()> {
    let disk = &bed.disk;
    let meta = String::from_utf8(disk.root_read("/composefs/meta.json")?).context("meta.json is no text")?;
    disk.root_write(
        "/composefs/meta.json",
        meta.replacen('{', "{\"insecure\": true, \"verity\": \"off\", ", 1).as_bytes(),
    )?;
    let origin = format!("/cfs/deploy/{}/origin.json", bed.host.deployment()?);
    let text = String::from_utf8(disk.root_read(&origin)?).context("origin.json is no text")?;
    disk.root_write(&origin, text.replacen('{', "{\"mode\": \"permissive\", ", 1).as_bytes())?;
    for path in ["/composefs/insecure", "/insecure", "/cfs/insecure", "/cfs/policy.json", "/cfs/permissive"] {
        disk.root_write(path, b"1\n")?;
    }
    disk.root_write("/prepare-root.conf", b"[composefs]\nenabled = maybe\nverity = no\n")?;
    disk.root_write("/setup-root-conf.toml", b"[composefs]\ninsecure = true\n")
}

/// A valid newc archive with nothing in it but a file `/evil`.
fn empty_cpio() -> Vec<u8> {
    let mut out = Vec::new();
    for (mode, name) in [(0o100_644, "evil"), (0, "TRAILER!!!")] {
        let fields = [0, mode, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() + 1, 0];
        out.extend_from_slice(b"070701");
        fields.iter().for_each(|field| out.extend_from_slice(format!("{field:08X}").as_bytes()));
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}
