//! Updates, for people: the plan before, and what was staged.

use super::bytes;
use super::table::Table;
use crate::model::update::{Staged, UpdatePlan};

/// The plan, a line each: what is fetched, how store and ESP grow, what goes.
pub fn plan(plan: &UpdatePlan) -> String {
    let of = |need: u64, free: u64| format!("{} of {} free", bytes(need), bytes(free));
    let mut table = Table::default();
    table
        .row("image", &plan.reference)
        .row("  manifest", &plan.manifest_digest)
        .row("  version", plan.image_version.as_deref().unwrap_or("not said"))
        .row("fetch", format!("{}, {} of {} layers are new", bytes(plan.bytes_to_fetch), plan.new_layers, plan.layers))
        .row("store", format!("grows by at most {}", of(plan.store_growth, plan.store_free)))
        .row("esp", format!("needs {}", of(plan.esp_peak, plan.esp_free)))
        .row("remove", if plan.remove.is_empty() { "nothing".to_owned() } else { plan.remove.join(", ") });
    table.render()
}

/// What was staged, and what happens next. `summary` says what it took.
pub fn staged(staged: &Staged, summary: Option<&str>) -> String {
    let mut table = Table::default();
    table
        .row("staged", staged.deployment.to_string())
        .row("  image", &staged.reference)
        .row("  digest", staged.image.to_hex());
    if let Some(summary) = summary {
        table.row("  took", summary);
    }
    if !staged.etc_conflicts.is_empty() {
        let names = staged.etc_conflicts.join(", ");
        table.row("  /etc", format!("conflicts, the machine's version stays: {names}; see `cfs-host etc diff`"));
    }
    table.row(
        "next",
        match staged.download_only {
            true => "downloaded only: `cfs-host upgrade --from-downloaded` takes it",
            false => "the next restart tries it once; it stays if its health checks pass",
        },
    );
    table.render()
}
