//! Updates, for people: the plan before, and what was staged.

use super::bytes;
use super::table::Table;
use crate::model::bound::PlannedBound;
use crate::model::update::{RolledBack, Staged, UpdatePlan};

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
        .row("binds", binds(plan))
        .row("remove", if plan.remove.is_empty() { "nothing".to_owned() } else { plan.remove.join(", ") });
    table.render()
}

fn binds(plan: &UpdatePlan) -> String {
    match plan.bound_images.as_deref() {
        None => "told once the image is fetched and verified".to_owned(),
        Some([]) => "no other image".to_owned(),
        Some(images) => images.join(", "),
    }
}

/// What was staged, and what happens next. `summary` says what it took.
pub fn staged(staged: &Staged, bound: &[PlannedBound], summary: Option<&str>) -> String {
    let mut table = Table::default();
    table
        .row("staged", staged.deployment.to_string())
        .row("  image", &staged.reference)
        .row("  digest", staged.image.to_hex());
    for PlannedBound { image, .. } in bound {
        table.row("  binds", image.to_string());
    }
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

/// A rollback: the default before and after, and when that counts.
pub fn rolled_back(done: &RolledBack) -> String {
    let mut table = Table::default();
    table.row("default before", done.before.as_deref().unwrap_or("none")).row("default now", &done.now);
    if let Some(trial) = &done.gave_up {
        table.row("given up", format!("{trial}: it was on trial; `upgrade --force` takes its image again"));
    }
    if done.discarded {
        table.row("dropped", "what was staged");
    }
    let same = done.before.as_ref() == Some(&done.now);
    table.row(
        "next",
        match (done.restart, same) {
            (true, _) => format!("the next restart boots {}, with its own /etc", done.now),
            (false, true) => "nothing changes: it is the default already, and runs".to_owned(),
            (false, false) => "it runs already: the next restart boots it again".to_owned(),
        },
    );
    table.render()
}
