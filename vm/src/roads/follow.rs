//! Updates without a fault: over the network, from a disk, back, and back and forth.

use anyhow::{ensure, Context, Result};

use super::{recipe, Ground, Road, Trip};
use crate::cmd;
use crate::command;

/// The roads of this file.
pub(super) const ALL: &[Road] = &[
    Road {
        name: "soak",
        promise: "five updates back and forth leave nothing over: no deployment, object, entry, UKI or mount",
        control: false,
        go: soak,
    },
    Road {
        name: "follow",
        promise: "an update over the network is tried, promoted, and rolled back; /etc is merged, /var is kept",
        control: false,
        go: there_and_back,
    },
    Road {
        name: "offline",
        promise: "an update from an OCI directory on a second disk needs no network",
        control: false,
        go: offline,
    },
];

/// The control of all roads with a fault: the same update with an image that has none.
pub(super) fn control(ground: &Ground) -> Result<()> {
    let mut trip = Trip::new(ground)?;
    trip.power_on("v1")?;
    trip.stage("v2")?;
    good(&mut trip, "v2")
}

/// What is staged is tried, found healthy, and the default from then on.
fn good(trip: &mut Trip, version: &str) -> Result<()> {
    trip.restart()?;
    trip.arrive(version)?;
    let status = trip.ask("status")?;
    ensure!(status["trial"]["phase"] == "running", "{version} runs, but not on trial: {}", status["trial"]);
    trip.come_up()?;
    let status = trip.ask("status")?;
    ensure!(status["trial"].is_null(), "{version} is still on trial: {}", status["trial"]);
    let deployments = status["deployments"].as_array().context("status lists no deployments")?;
    let default = deployments.iter().find(|one| one["booted"] == true).is_some_and(|one| one["default"] == true);
    ensure!(default, "{version} is not the default: {}", status["deployments"]);
    Ok(())
}

fn there_and_back(trip: &mut Trip) -> Result<String> {
    trip.power_on("v1")?;
    let nothing = trip.upgrade("")?;
    ensure!(nothing == "unchanged", "there was nothing new, but the upgrade was {nothing}");
    trip.check("echo mine >/etc/machine.conf; echo mine >>/etc/hostname; echo kept >/var/lib/kept")?;

    trip.publish("v2")?;
    let reference = trip.ground.registry.reference(trip.name());
    trip.ask(&format!("switch --insecure-transport {reference}"))?;
    // Changed after staging: the shutdown brings it along.
    trip.check("echo late >/etc/late.conf")?;
    good(trip, "v2")?;
    let merged =
        "cat /etc/tiny.conf /etc/tiny-new.conf /etc/machine.conf /etc/late.conf /var/lib/kept; tail -n 1 /etc/hostname";
    let found = trip.check(merged)?;
    ensure!(found == "default of v2\nnew in v2\nmine\nlate\nkept\nmine", "/etc or /var of v2: {found:?}");

    trip.ask("rollback")?;
    trip.restart()?;
    trip.arrive("v1")?;
    let found = trip
        .check("cat /etc/tiny.conf /etc/machine.conf /var/lib/kept; ls /etc/tiny-new.conf 2>/dev/null || echo none")?;
    ensure!(found == "default of v1\nmine\nkept\nnone", "/etc or /var of v1 after the rollback: {found:?}");
    Ok("v2 was tried and promoted, v1 came back by rollback, each with its /etc".to_owned())
}

fn offline(trip: &mut Trip) -> Result<String> {
    let layout = trip.ground.bench.sealed(&recipe("v2"))?.layout;
    let image = trip.dir.path().join("media.img");
    command::run(&mut cmd!("mke2fs", "-q", "-t", "ext4", "-d", layout, &image, "256M"))?;
    trip.machine.disks.push(image);
    trip.machine.network = false;
    trip.power_on("v1")?;
    trip.check("mkdir -p /run/media && mount -t ext4 -o ro /dev/vdb /run/media")?;
    trip.ask("switch oci:/run/media:host")?;
    good(trip, "v2")?;
    Ok("v2 came from the second disk and was promoted".to_owned())
}

/// What may be left over.
const INVENTORY: &str = "
mkdir -p /tmp/esp && mount -t vfat -o ro /dev/vda1 /tmp/esp || exit 1
count() { echo \"$1 $(find $2 2>/dev/null | wc -l)\"; }
count deployments '/sysroot/cfs/deploy -mindepth 1 -maxdepth 1'
count records '/sysroot/cfs -maxdepth 1'
count objects '/sysroot/composefs/objects -type f'
count names '/sysroot/composefs ( -path */objects -prune ) -o -print'
count entries '/tmp/esp/loader/entries -type f'
count ukis '/tmp/esp/EFI/cfs -type f'
count esp '/tmp/esp -type f'
umount /tmp/esp
echo \"mounts $(wc -l </proc/mounts)\"
echo \"runtime $(find /run -type f | wc -l)\"
echo \"temporary $(find /sysroot /tmp /var/tmp -xdev -name '.tmp*' 2>/dev/null | wc -l)\"";

fn soak(trip: &mut Trip) -> Result<String> {
    trip.power_on("v1")?;
    let mut seen = Vec::new();
    for version in ["v2", "v1", "v2", "v1", "v2"] {
        trip.stage(version)?;
        good(trip, version)?;
        trip.ask("prune")?;
        seen.push(trip.check(INVENTORY)?);
    }
    // Each update with the one to the same version that came before; the first two fill what is kept.
    ensure!(seen[3] == seen[1], "after the fourth update:\n{}\nafter the second:\n{}", seen[3], seen[1]);
    ensure!(seen[4] == seen[2], "after the fifth update:\n{}\nafter the third:\n{}", seen[4], seen[2]);
    ensure!(seen[4].ends_with("temporary 0"), "something temporary is left over:\n{}", seen[4]);
    Ok(format!("after the fifth update as after the third: {}", seen[4].replace('\n', ", ")))
}
