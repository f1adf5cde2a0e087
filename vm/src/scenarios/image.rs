//! The EROFS image and its signature: by whom, for what, over which bytes (rules 9 to 12).

use anyhow::{Context, Result};
use cfs_host::model::{Claims, Role};
use cfs_host::trust::cms;
use cfs_host::trust::keys::KeyDir;
use cfs_host::trust::signer::KeyFile;

use super::{Bed, Expect, Scenario, Start};
use crate::bench::{Recipe, OURS};
use crate::inside::enforcing;

/// The scenarios of this file.
pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "unsigned-image",
        promise: "an image without a signature does not boot",
        start: Start::Booted,
        attack: |bed| bed.disk.root_remove(&bed.host.signature()?),
        expect: Expect::Refused(&[8], "image.sig"),
    },
    Scenario {
        name: "empty-signature",
        promise: "an empty signature is none",
        start: Start::Booted,
        attack: |bed| bed.disk.root_write(&bed.host.signature()?, b""),
        expect: Expect::Refused(&[13], "not signed"),
    },
    Scenario {
        name: "other-key",
        promise: "an image signed by a key that the UKI does not know does not boot",
        start: Start::Fresh,
        attack: |bed| other_root(bed, &Recipe { keys: "theirs", ..OURS }),
        expect: Expect::Refused(&[13], "unknown key"),
    },
    Scenario {
        name: "other-image",
        promise: "the signature of another image does not serve this one",
        start: Start::Booted,
        attack: |bed| {
            let other = bed.bench.host(&Recipe { version: "v2", ..OURS })?;
            bed.disk.root_write(&bed.host.signature()?, &other.disk.root_read(&other.signature()?)?)
        },
        expect: Expect::Refused(&[9], "signature of another image"),
    },
    Scenario {
        name: "same-claims",
        promise: "the same claims, signed again by our key, boot: so the two refusals that follow are for the claims",
        start: Start::Booted,
        attack: |bed| claim(bed, |_| ()),
        expect: Expect::Boots(|_, running| enforcing(running)),
    },
    Scenario {
        name: "other-role",
        promise: "an image that our key signed for another role does not boot",
        start: Start::Booted,
        attack: |bed| claim(bed, |claims| claims.role = Role::HostConfig),
        expect: Expect::Refused(&[11], "is signed as host-config"),
    },
    Scenario {
        name: "other-product",
        promise: "an image that our key signed for another product does not boot",
        start: Start::Booted,
        attack: |bed| claim(bed, |claims| claims.product = "other".to_owned()),
        expect: Expect::Refused(&[11], "product"),
    },
    Scenario {
        name: "config-signature",
        promise: "the signature of the OCI configuration does not serve the image",
        start: Start::Booted,
        attack: |bed| bed.disk.root_write(&bed.host.signature()?, &bed.host.config_signature()?),
        expect: Expect::Refused(&[9], "signature of another image"),
    },
    Scenario {
        name: "other-uki",
        promise: "an image boots under the UKIs that its signature lists, and no other",
        start: Start::Fresh,
        attack: |bed| other_root(bed, &Recipe { karg: Some("quiet"), ..OURS }),
        expect: Expect::Refused(&[12], "is not signed for this UKI"),
    },
    Scenario {
        name: "flipped-byte-fresh",
        promise: "an image with one changed byte does not boot, before fs-verity is on",
        start: Start::Fresh,
        attack: |bed| bed.disk.root_flip(&bed.host.image()?, 5000),
        expect: Expect::Refused(&[10], "another image"),
    },
    Scenario {
        name: "flipped-byte",
        promise: "an image with one changed byte does not boot, after fs-verity is on",
        start: Start::Booted,
        attack: |bed| bed.disk.root_flip(&bed.host.image()?, 5000),
        expect: Expect::Refused(&[10], "could not be read"),
    },
];

/// The image under a new signature by our own key, with other claims than `seal` makes.
fn claim(bed: &mut Bed, change: fn(&mut Claims)) -> Result<()> {
    let path = bed.host.signature()?;
    let mut claims = cms::unverified_claims(&bed.disk.root_read(&path)?)?;
    change(&mut claims);
    let keys = KeyDir::new(&bed.host.sealed.keys);
    let signer = KeyFile::load(&keys.image_key(), &keys.image_certificate())?;
    bed.disk.root_write(&path, &cms::sign(&claims, &signer)?)
}

/// The root partition of another host, under the loader and the UKI of ours: an entry of ours names its deployment.
fn other_root(bed: &mut Bed, recipe: &Recipe) -> Result<()> {
    let other = bed.bench.host(recipe)?;
    let entry = other.disk.esp_find("loader/entries/", ".conf")?;
    let ours = bed.disk.esp_find("loader/entries/", ".conf")?;
    let text = bed.disk.esp_read(&ours)?;
    let disk = other.disk.copy_to(&bed.dir.path().join("other.img"))?;
    disk.esp_transplant(&bed.disk).context("cannot give the other host our ESP")?;
    disk.esp_remove(&ours)?;
    disk.esp_write(&entry, &text)?;
    bed.machine.disks = vec![disk.path().to_owned()];
    Ok(())
}
