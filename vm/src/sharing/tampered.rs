//! A published layer whose bytes somebody changed while the machine was off: an error, never wrong bytes.

use anyhow::{ensure, Result};

use super::media::large;
use super::{Act, Day, Visit, APP};

/// The machine of this file.
pub(super) const DAY: Day = Day {
    name: "tampered",
    about: "the owner of the disk changes what containers read",
    logged: false,
    acts: &[
        Act {
            name: "changed-byte",
            promise: "a container that reads a changed byte gets EIO, never another byte",
            go: changed_byte,
        },
        Act {
            name: "other-object",
            promise: "an image with a file put in an object's place is told and not shown, and hides no other",
            go: other_object,
        },
    ],
};

const LARGE: &str = "/usr/share/app/large";

/// Inverts one byte in the middle, where 120 blocks are before it.
fn changed_byte(visit: &mut Visit) -> Result<String> {
    visit.check("cfs-host image pull --quiet --share oci:/run/media/app:v1")?;
    // The control: without the attack it is read as it was built.
    visit.whole(APP)?;
    let (content, object) = large()?;
    visit.shut_down()?;
    visit.disk.root_flip(&object, 500_000)?;
    visit.power_on()?;
    let before = visit.container(APP, &format!("head -c 480000 {LARGE} | sha256sum"))?;
    ensure!(before.starts_with(&sha256(&content[..480_000])), "what lies before the changed byte reads {before}");
    let said = visit.refused(&format!("podman run --rm --network=none {APP} cat {LARGE} >/var/tmp/read"))?;
    ensure!(said.contains("Input/output error"), "{said}");
    let read: usize = visit.check("stat -c %s /var/tmp/read")?.parse()?;
    let got = visit.check("sha256sum </var/tmp/read")?;
    ensure!(read <= 500_000 - 500_000 % 4096, "{read} bytes were read, the changed one among them");
    ensure!(got.starts_with(&sha256(&content[..read])), "other bytes were read");
    let found = visit.refused("cfs-host fsck --contents")?;
    ensure!(found.contains("cannot be read"), "fsck --contents says {found}");
    Ok(format!(
        "{read} right bytes of {}, then: {}; fsck --contents finds it",
        content.len(),
        said.lines().last().unwrap_or_default()
    ))
}

/// Another file under the object's name, without fs-verity: found when the layers are mounted.
fn other_object(visit: &mut Visit) -> Result<String> {
    let (content, object) = large()?;
    let mut other = content;
    other[3] ^= 1;
    visit.shut_down()?;
    visit.disk.root_write(&object, &other)?;
    visit.power_on()?;
    let told = visit.check("journalctl -b -o cat -u cfs-host-share.service | grep 'not shown'")?;
    ensure!(told.contains("is damaged"), "the unit says {told}");
    let images = visit.images()?;
    ensure!(images.len() == 1 && images[0].starts_with("localhost/cfs-host:"), "podman images shows {images:?}");
    visit.container(images[0].trim_end_matches(" true"), "true")?;
    let said = visit.refused(&format!("podman run --rm --pull=never --network=none {APP} cat {LARGE}"))?;
    ensure!(!said.contains("000000000000001"), "it was read: {said}");
    // What the message says: remove it, import again.
    visit.check(&format!("rm /sysroot{object} && cfs-host image pull --quiet --share oci:/run/media/app:v1"))?;
    visit.whole(APP)?;
    Ok(format!("{told}; the host's image is shown and runs; pulled anew it is whole"))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes))
}
