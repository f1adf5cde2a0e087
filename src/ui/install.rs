//! The plan of an installation, for people.

use super::bytes;
use super::table::Table;
use crate::model::bound::BoundImage;
use crate::model::disk::{InstallPlan, Span, TargetKind};

/// The plan as a table.
pub fn plan(plan: &InstallPlan) -> String {
    let disk = &plan.disk;
    let kind = match disk.kind {
        TargetKind::Raw => "new raw file",
        TargetKind::Qcow2 => "new qcow2 file",
        TargetKind::Device => "block device, all that is on it is lost",
    };
    let span = |span: Span| format!("{} at {}", bytes(span.size), bytes(span.offset));
    let mut table = Table::default();
    table
        .row("image", &plan.reference)
        .row("  follows", &plan.target_reference)
        .row("  system", format!("{}, kernel {}", plan.system, plan.kernel))
        .row("  digest", plan.image.to_hex())
        .row("  signed by", plan.signers.join(", "))
        .row("  mode", if plan.enforces { "enforce" } else { "PERMISSIVE: failed checks will not stop a boot" })
        .row("  binds", binds(plan))
        .row("target", format!("{} ({kind})", disk.target.display()))
        .row("  size", bytes(disk.size))
        .row("  esp", span(disk.esp))
        .row("  root", format!("{}, {} of it used", span(disk.root), bytes(plan.content_bytes)))
        .row("deployment", &plan.deployment)
        .row("  entry", &plan.entry);
    table.render()
}

/// Each bound image, and where it was read.
fn binds(plan: &InstallPlan) -> String {
    let one = |image: &BoundImage| match &image.read_from {
        Some(from) => format!("{image}, read from {from}"),
        None => format!("{image}, read from there"),
    };
    match plan.bound_images.is_empty() {
        true => "no other image".to_owned(),
        false => plan.bound_images.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}
