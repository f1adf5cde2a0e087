//! What `switch` and `upgrade` share: arguments, the call of the flow, the print-out.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::print_json;
use super::transport::Transport;
use crate::fault::BadUsage;
use crate::fetch::Options;
use crate::flow::host::Host;
use crate::flow::import::Stats;
use crate::flow::reboot::reboot;
use crate::flow::stage::{look, refuse_denied, stage, unlock, unstage, Done, Found, Request};
use crate::model::bound::PlannedBound;
use crate::model::update::{DeniedImage, Staged, UpdatePlan};
use crate::sys::Sys;
use crate::ui;

/// How long a verb waits for another writer.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Arguments of both verbs.
#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// Restart into what was staged
    #[arg(long)]
    apply: bool,
    /// Take an image that failed on this host before, or that was rolled back from
    #[arg(long)]
    force: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Write progress as JSON lines to this file descriptor
    #[arg(long, value_name = "FD")]
    progress_fd: Option<i32>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    transport: Transport,
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What the verb adds to them.
pub(super) struct Wish {
    pub verb: &'static str,
    pub request: Request,
    /// Look only.
    pub check: bool,
    /// Use what `--download-only` left, fetch nothing.
    pub from_downloaded: bool,
}

/// What came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
enum Outcome {
    Unchanged,
    Available { plan: UpdatePlan },
    Denied { denied: Box<DeniedImage> },
    Staged { staged: Box<Staged>, plan: Option<UpdatePlan>, bound: Option<Vec<PlannedBound>>, stats: Option<Stats> },
}

impl UpdateArgs {
    /// Looks, shows the plan, stages, restarts if that was asked for.
    pub(super) fn run(self, mut wish: Wish) -> anyhow::Result<()> {
        let (json, apply) = (self.json, self.apply);
        let mode = ui::progress::Mode { quiet: self.quiet || json, fd: self.progress_fd };
        let open = ui::progress::Progress::open(mode);
        let progress = open.map_err(|error| BadUsage(format!("--progress-fd: {error}")))?;
        let sys = Sys::from_env()?;
        wish.request.force = self.force;
        wish.request.fetch = Options::from(self.transport);
        let host = Host::open(&self.root)?;
        let outcome = act(&host, &wish, &sys, &progress)?;
        progress.finish();
        match json {
            true => print_json("Update", &outcome)?,
            false if self.quiet => {}
            false => print(&outcome),
        }
        if apply && matches!(outcome, Outcome::Staged { .. }) {
            reboot(&sys)?;
        }
        Ok(())
    }
}

fn act(host: &Host, wish: &Wish, sys: &Sys, progress: &ui::progress::Progress) -> anyhow::Result<Outcome> {
    let _lock = host.lock(sys, wish.verb, PATIENCE, &|text| progress.step(text))?;
    if wish.from_downloaded {
        return Ok(staged_already(unlock(host, sys)?));
    }
    let esp = host.esp(sys)?;
    let explicit = wish.request.switch_to.is_some();
    match look(host, &wish.request, &esp)? {
        Found::Unchanged => {
            // The image went back to what runs: what was staged of it is not wanted any more.
            if !wish.check && unstage(host, &esp, sys)? {
                progress.step("Dropped what was staged");
            }
            Ok(Outcome::Unchanged)
        }
        Found::Denied(denied) if explicit => Err(refuse_denied(&denied)),
        Found::Denied(denied) => Ok(Outcome::Denied { denied }),
        Found::Staged(staged) if wish.check || staged.download_only == wish.request.download_only => {
            Ok(staged_already(*staged))
        }
        Found::Staged(_) => Ok(staged_already(unlock(host, sys)?)),
        Found::New(offer) if wish.check => Ok(Outcome::Available { plan: offer.plan }),
        Found::New(offer) => {
            let plan = offer.plan.clone();
            progress.suspend(|| eprint!("{}", ui::update::plan(&plan)));
            let watch = |event| progress.event(event);
            let Done { staged, bound, stats } = stage(host, &esp, *offer, &wish.request, sys, &watch)?;
            Ok(Outcome::Staged { staged: Box::new(staged), plan: Some(plan), bound: Some(bound), stats: Some(stats) })
        }
    }
}

fn staged_already(staged: Staged) -> Outcome {
    Outcome::Staged { staged: Box::new(staged), plan: None, bound: None, stats: None }
}

fn print(outcome: &Outcome) {
    match outcome {
        Outcome::Unchanged => println!("Nothing new: the image that runs is the newest"),
        Outcome::Available { plan } => println!("{}Available: `cfs-host upgrade` stages it", ui::update::plan(plan)),
        Outcome::Denied { denied } => println!(
            "Not taken: {} failed on this host on {}: {}; --force takes it all the same",
            denied.manifest_digest, denied.at, denied.why
        ),
        Outcome::Staged { staged, bound, stats, .. } => {
            let bound = bound.as_deref().unwrap_or_default();
            print!("{}", ui::update::staged(staged, bound, stats.map(summary).as_deref()))
        }
    }
}

fn summary(stats: Stats) -> String {
    let (fetched, written) = (ui::bytes(stats.bytes_fetched), ui::bytes(stats.bytes_written));
    let objects = format!("{} of {} objects new", stats.objects_new, stats.objects_total);
    let shared = stats.shared.text().map(|text| format!("; from podman's storage: {text}")).unwrap_or_default();
    format!("{fetched} fetched, {written} written, {objects}{shared}")
}
