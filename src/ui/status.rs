//! The state of a host, for people: alarms, what runs, what boots next, what failed; then why it may be trusted.

use super::table::{plain, Table};
use crate::model::status::{
    Because, Booted, Condition, Deployment, RollbackProtection, Severity, Status, Tier, Verdict,
};
use crate::model::update::{Phase, Staged, Trial};

/// The status as text, in blocks. `verbose` adds what `/init` took its time for.
pub fn status(status: &Status, verbose: bool) -> String {
    let mut blocks = vec![
        conditions(status, Severity::Alarm),
        summary(status).render(),
        conditions(status, Severity::Warning),
        trust(status, verbose).render(),
    ];
    blocks.extend(status.deployments.iter().map(deployment));
    blocks.push(conditions(status, Severity::Info));
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

/// What runs, what boots next, what is on its way there.
fn summary(status: &Status) -> Table {
    let mut table = Table::default();
    let image = |id: &str| {
        let known = status.deployments.iter().find(|deployment| deployment.id == id);
        known.map(|deployment| format!(": {}", named(deployment))).unwrap_or_default()
    };
    match &status.booted {
        Some(booted) => table.row("runs", format!("{}{}", booted.deployment, image(&booted.deployment))),
        None => table.row("runs", "unknown"),
    };
    table.row("next", next(status));
    if let Some(staged) = &status.staged {
        table.row("staged", staged_line(staged));
    }
    if let Some(trial) = &status.trial {
        table.row("trial", trial_line(trial));
    }
    if let Some(target) = status.deployments.iter().find(|deployment| deployment.rollback_target) {
        table.row("rollback to", format!("{}: {}", target.id, named(target)));
    }
    table
}

/// Reference and version.
fn named(deployment: &Deployment) -> String {
    let reference = deployment.reference.as_deref().unwrap_or("unknown");
    match &deployment.image_version {
        Some(version) => format!("{reference}, version {version}"),
        None => reference.to_owned(),
    }
}

/// What an orderly restart takes: the shutdown arms what is staged.
fn next(status: &Status) -> String {
    let taken = status.next.as_ref().map(|next| next.deployment.as_ref().unwrap_or(&next.entry));
    if let Some(staged) = status.staged.as_ref().filter(|staged| !staged.download_only) {
        let back = taken.map(|taken| format!("; if it fails, {taken} again")).unwrap_or_default();
        return format!("{} (staged: tried once{back})", staged.deployment);
    }
    let Some((next, taken)) = status.next.as_ref().zip(taken) else {
        return "unknown: no boot entry is known".to_owned();
    };
    let why = match next.because {
        Because::OneShot => "once only; if it fails, the default is back",
        Because::LoaderEntryDefault => "LoaderEntryDefault names it",
        Because::HighestOrder => "the default, the last good one",
    };
    format!("{taken} ({why})")
}

fn staged_line(staged: &Staged) -> String {
    let how = match staged.download_only {
        true => "downloaded only: `cfs-host upgrade --from-downloaded` takes it",
        false => "the shutdown arms it",
    };
    format!("{}: {} ({how})", staged.deployment, staged.reference)
}

fn trial_line(trial: &Trial) -> String {
    let how = match trial.phase {
        Phase::Arming => "the shutdown was preparing it",
        Phase::Armed => "the loader was told to try it",
        Phase::Running => "it was started, and is not promoted yet",
        Phase::Unhealthy => "its health checks failed",
        Phase::Healthy => "its health checks passed, and it is being promoted",
        Phase::Other => "in a phase that this program does not know",
    };
    format!("{}: {} ({how})", trial.deployment, trial.reference)
}

/// Why this boot may be trusted, and what may not.
fn trust(status: &Status, verbose: bool) -> Table {
    let mut table = Table::default();
    match &status.booted {
        Some(booted) => booted_rows(&mut table, booted, verbose),
        None => {
            table.row("booted", "unknown");
        }
    }
    table.row("tier", tier(status));
    table.row("old UKIs", old_ukis(status));
    table.row("/etc", writable(status.writable.etc)).row("/var", writable(status.writable.var));
    table.row("firmware", firmware(status));
    table
}

/// The chain from the firmware to the objects, each link on its own line.
fn booted_rows(table: &mut Table, booted: &Booted, verbose: bool) {
    let digest = |digest: Option<crate::model::Digest>| digest.map_or("unknown".to_owned(), |digest| digest.to_hex());
    table.row("booted", format!("{} ({})", booted.deployment, booted.mode));
    table.row("  chosen by", format!("{}: {}", booted.chosen_by, booted.entry));
    table.row(
        "  firmware",
        if booted.secure_boot { "Secure Boot on: the UKI is signed by a key in db" } else { "Secure Boot OFF" },
    );
    table.row("  UKI", format!("id {}, security version {}", digest(booted.uki_id), booted.security_version));
    match &booted.claims {
        Some(claims) => {
            table.row("  signed by", booted.signers.join(", "));
            let (role, product, version) = (&claims.role, &claims.product, claims.security_version);
            table.row("  as", format!("{role} of product {product}, security version {version}"));
        }
        None => {
            table.row("  signed by", "NOBODY: no signature held");
        }
    }
    table.row("  image", digest(booted.image));
    let objects = booted.objects;
    table.row(
        "  objects",
        match objects.total {
            0 => "not looked at before the hand-over; each page is verified as it is read".to_owned(),
            total => format!("{total} verified, fs-verity enabled on {} by this boot", objects.enabled),
        },
    );
    if verbose {
        let steps: Vec<String> =
            booted.timings.iter().map(|timing| format!("{} {} ms", timing.step, timing.ms)).collect();
        table.row("  took", steps.join(", "));
    }
}

fn tier(status: &Status) -> &'static str {
    match status.tier {
        Tier::Verified => "verified: code verified, configuration not",
        Tier::None => "none: this boot proves nothing",
    }
}

fn old_ukis(status: &Status) -> &'static str {
    match status.rollback_protection {
        RollbackProtection::None => "one with a valid signature still boots: no dbx update or TPM floor is managed",
    }
}

fn writable(state: Option<bool>) -> &'static str {
    match state {
        Some(true) => "writable, not verified",
        Some(false) => "read-only",
        None => "no mount of its own",
    }
}

fn firmware(status: &Status) -> String {
    let secure_boot = match status.firmware.secure_boot {
        Some(true) => "Secure Boot on",
        Some(false) => "Secure Boot off",
        None => "no EFI variables",
    };
    match &status.firmware.loader {
        Some(loader) => format!("{secure_boot}, {loader}"),
        None => secure_boot.to_owned(),
    }
}

fn deployment(deployment: &Deployment) -> String {
    let marks = [
        (deployment.booted, "booted"),
        (deployment.default, "default"),
        (deployment.staged, "staged"),
        (deployment.on_trial, "on trial"),
        (deployment.rollback_target, "rollback"),
        (deployment.pinned, "pinned"),
        (deployment.denied, "denied"),
    ];
    let marks: Vec<&str> = marks.into_iter().filter_map(|(is, mark)| is.then_some(mark)).collect();
    let unknown = || "unknown".to_owned();
    let mut table = Table::default();
    table
        .row("  image", named(deployment))
        .row("  digest", deployment.image.map_or_else(unknown, |image| image.to_hex()))
        .row("  since", deployment.deployed_at.clone().unwrap_or_else(unknown));
    for bound in &deployment.bound_images {
        table.row("  binds", bound.to_string());
    }
    if let Some(health) = &deployment.health {
        table.row("  health", verdict(health));
    }
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    format!("deployment {}{marks}\n{}", deployment.id, table.render())
}

fn verdict(health: &Verdict) -> String {
    let word = if health.healthy { "healthy" } else { "NOT healthy" };
    match health.failed.is_empty() {
        true => format!("{word} on {}", health.at),
        false => format!("{word} on {}, failed: {}", health.at, health.failed.join(", ")),
    }
}

/// The conditions of one severity, a line each.
fn conditions(status: &Status, severity: Severity) -> String {
    let word = match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Alarm => "ALARM",
    };
    let chosen = status.conditions.iter().filter(|condition| condition.severity == severity);
    chosen.map(|condition: &Condition| format!("{word}: {}\n", plain(&condition.message))).collect()
}
