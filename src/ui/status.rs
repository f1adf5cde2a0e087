//! The state of a host, for people: what runs, why it may be trusted, what is odd.

use super::table::{plain, Table};
use crate::model::status::{Booted, Condition, Deployment, RollbackProtection, Severity, Status, Tier};

/// The status as text; alarms come first.
pub fn status(status: &Status) -> String {
    let mut text = conditions(status, |severity| severity == Severity::Alarm);
    let mut table = Table::default();
    match &status.booted {
        Some(booted) => booted_rows(&mut table, booted),
        None => {
            table.row("booted", "unknown");
        }
    }
    table.row("tier", tier(status));
    table.row("rollback", rollback(status));
    table.row("/etc", writable(status.writable.etc)).row("/var", writable(status.writable.var));
    table.row("firmware", firmware(status));
    text += &table.render();
    for deployment in &status.deployments {
        text += &deployment_lines(deployment);
    }
    text + &conditions(status, |severity| severity != Severity::Alarm)
}

/// The chain from the firmware to the objects, each link on its own line.
fn booted_rows(table: &mut Table, booted: &Booted) {
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
}

fn tier(status: &Status) -> &'static str {
    match status.tier {
        Tier::Verified => "verified: code verified, configuration not",
        Tier::None => "none: this boot proves nothing",
    }
}

fn rollback(status: &Status) -> &'static str {
    match status.rollback_protection {
        RollbackProtection::None => {
            "an older UKI with a valid signature still boots: no dbx update or TPM floor is managed"
        }
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

fn deployment_lines(deployment: &Deployment) -> String {
    let marks = [(deployment.booted, "booted"), (deployment.default, "default")];
    let marks: Vec<&str> = marks.into_iter().filter_map(|(is, mark)| is.then_some(mark)).collect();
    let unknown = || "unknown".to_owned();
    let mut table = Table::default();
    table
        .row("  image", deployment.reference.clone().unwrap_or_else(unknown))
        .row("  digest", deployment.image.map_or_else(unknown, |image| image.to_hex()))
        .row("  since", deployment.deployed_at.clone().unwrap_or_else(unknown));
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    format!("\ndeployment {}{marks}\n{}", deployment.id, table.render())
}

fn conditions(status: &Status, which: impl Fn(Severity) -> bool) -> String {
    let chosen: Vec<&Condition> = status.conditions.iter().filter(|condition| which(condition.severity)).collect();
    let word = |severity| match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Alarm => "ALARM",
    };
    let line = |condition: &&Condition| format!("{}: {}\n", word(condition.severity), plain(&condition.message));
    match chosen.is_empty() {
        true => String::new(),
        false => format!("\n{}\n", chosen.iter().map(line).collect::<String>()).trim_start_matches('\n').to_owned(),
    }
}
