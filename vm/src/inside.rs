//! Questions to a machine that runs our hosts.

use anyhow::{ensure, Context, Result};

use crate::run::Running;

/// What `/init` wrote down about this boot.
pub fn booted(running: &mut Running) -> Result<serde_json::Value> {
    let text = running.agent().check("cat /run/cfs-host/booted.json")?;
    serde_json::from_str(&text).with_context(|| format!("booted.json is no JSON: {text}"))
}

/// Nothing has loosened the checks, and what runs is what was verified.
pub fn enforcing(running: &mut Running) -> Result<()> {
    let booted = booted(running)?;
    ensure!(booted["mode"] == "enforce", "not in enforce mode: {booted}");
    ensure!(booted["secureBoot"] == true, "Secure Boot is not on: {booted}");
    ensure!(booted["problems"].as_array().is_some_and(Vec::is_empty), "there are problems: {booted}");
    let root = running.agent().check("grep ' / overlay ' /proc/mounts")?;
    ensure!(root.contains("verity=require"), "the root is mounted without verity=require: {root}");
    Ok(())
}
