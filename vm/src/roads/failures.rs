//! Updates that fail: the machine comes back to the last good deployment by itself, says why, and does not try again.

use anyhow::{ensure, Context, Result};

use super::{Road, Trip};
use crate::verdict::Verdict;

/// The roads of this file.
pub(super) const ALL: &[Road] = &[
    Road {
        name: "unhealthy",
        promise: "a version that fails a required health check is left for the last good one",
        control: true,
        go: |trip| {
            try_it(trip, "v3")?;
            trip.arrive("v3")?;
            let health = trip.run("cfs-host internals health")?;
            ensure!(health.code != 0, "the health checks of v3 passed: {}", health.output);
            came_back(trip, "unhealthy", "smells of smoke")
        },
    },
    Road {
        name: "panic",
        promise: "a version whose kernel panics is left for the last good one",
        control: true,
        go: |trip| {
            try_it(trip, "v4")?;
            let verdict = trip.verdict()?;
            ensure!(matches!(verdict, Verdict::Panicked { .. }), "v4 did not panic: {verdict:#?}");
            came_back(trip, "panic", "sysrq triggered crash")
        },
    },
    Road {
        name: "damaged-uki",
        promise: "a version whose UKI was damaged on the ESP is left for the last good one",
        control: true,
        go: |trip| {
            let uki = armed(trip, "v5")?;
            trip.power_off()?;
            let path = format!("EFI/cfs/{uki}");
            let mut bytes = trip.disk.esp_read(&path)?;
            let middle = bytes.len() / 2;
            bytes[middle] = !bytes[middle];
            trip.disk.esp_write(&path, &bytes)?;
            trip.switch_on()?;
            let verdict = trip.verdict()?;
            ensure!(matches!(verdict, Verdict::FirmwareRefused { .. }), "v5 was not refused: {verdict:#?}");
            came_back(trip, "not-started", "did not start")
        },
    },
    Road {
        name: "power-cut",
        promise: "a version whose power is cut while it boots is left for the last good one",
        control: true,
        go: |trip| {
            try_it(trip, "v6")?;
            trip.watch_for("Linux version")?;
            trip.power_off()?;
            trip.switch_on()?;
            came_back(trip, "not-started", "did not start")
        },
    },
    Road {
        name: "refused",
        promise: "a version that /init refuses is left for the last good one",
        control: true,
        go: |trip| {
            armed(trip, "v2")?;
            let id = trip.check("sed -n 's/.*\"deployment\": *\"\\([^\"]*\\)\".*/\\1/p' /run/cfs-host/staged.json")?;
            trip.check(&format!("rm /sysroot/cfs/deploy/{id}/image.sig && sync"))?;
            trip.power_off()?;
            trip.switch_on()?;
            let verdict = trip.verdict()?;
            ensure!(matches!(verdict, Verdict::Refused { rule: 8, .. }), "v2 was not refused: {verdict:#?}");
            came_back(trip, "refused", "rule 8")
        },
    },
    Road {
        name: "hang",
        promise: "a version that hangs is ended by the watchdog and left for the last good one",
        control: true,
        go: |trip| {
            trip.machine.watchdog = true;
            try_it(trip, "v7")?;
            came_back(trip, "stopped", "not heard of again")
        },
    },
];

/// v1 runs; this version is staged, and the machine restarts into it.
fn try_it(trip: &mut Trip, version: &'static str) -> Result<()> {
    trip.power_on("v1")?;
    trip.stage(version)?;
    trip.restart()
}

/// v1 runs; this version is staged and armed, and all of it is on the disk. Gives the name of its UKI.
fn armed(trip: &mut Trip, version: &'static str) -> Result<String> {
    trip.power_on("v1")?;
    trip.stage(version)?;
    let status = trip.ask("status")?;
    let uki = status["staged"]["uki"].as_str().context("status does not name the staged UKI")?.to_owned();
    trip.check("cfs-host internals finalize && sync")?;
    Ok(uki)
}

/// v1 comes up by itself, says what failed and why, does not take that image again, but does with --force.
fn came_back(trip: &mut Trip, kind: &str, why: &str) -> Result<String> {
    trip.fall_back("v1").context("it did not come back to the last good version")?;
    let status = trip.ask("status")?;
    let denied = status["denied"].as_array().and_then(|all| all.last()).context("status denies no image")?.clone();
    ensure!(denied["kind"] == kind, "it failed as {}, not as {kind}: {denied}", denied["kind"]);
    let said = denied["why"].as_str().unwrap_or_default();
    ensure!(said.contains(why), "the reason does not say {why:?}: {said}");
    ensure!(status["trial"].is_null(), "it is still on trial: {}", status["trial"]);
    trip.come_up()?;
    let again = trip.upgrade("")?;
    ensure!(again == "denied", "the image that failed was not left alone but {again}");
    let forced = trip.upgrade("--force")?;
    ensure!(forced == "staged", "--force did not take it: {forced}");
    Ok(format!("v1 came back; {kind}: {said}"))
}
