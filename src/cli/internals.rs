//! `cfs-host internals`: the steps that the units of cfs-host run, one each. What they print goes to the journal.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::flow::finalize::finalize;
use crate::flow::host::Host;
use crate::flow::journal::{tell, Priority};
use crate::flow::reboot::reboot_whatever_it_takes;
use crate::flow::share::{self, Place, User};
use crate::flow::trial::{check_health, give_up, promote, settle, Settled};
use crate::flow::Refused;
use crate::model::update::{Check, Outcome};
use crate::store::Store;
use crate::sys::Sys;

/// Steps that the units of cfs-host run
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    step: Step,
    /// Work on another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true, global = true)]
    root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Early in a boot: what became of the trial
    Settle,
    /// Run the health checks; restart if this boot is a trial and they fail
    Health,
    /// The trial that runs becomes the default
    Promote,
    /// Restart if this boot is a trial that is not promoted
    GiveUp {
        /// What people are told
        why: String,
    },
    /// At shutdown: the next start tries what is staged
    Finalize,
    /// Show podman what the host runs, what is staged, and what was published
    Share,
}

/// Runs one step.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let host = Host::open(&args.root)?;
    let say = |priority, text: String| {
        // The journal has it once: from its socket, or from standard error.
        if !tell(host.root(), priority, &text) {
            eprintln!("{text}");
        }
    };
    match args.step {
        Step::Settle => {
            if let Some((priority, text)) = told(&host, &settle(&host, &sys)?) {
                say(priority, text);
            }
        }
        Step::Health => health(&host, &sys, &say)?,
        Step::Promote => {
            if let Some(id) = promote(&host, &sys)? {
                say(Priority::Notice, format!("Deployment {id} is healthy: it is the default from now on"));
            }
        }
        Step::GiveUp { why } => {
            if give_up(&host, &sys, &why)? {
                restart(&host, &sys, &say)?;
            }
        }
        Step::Finalize => {
            if let Some(id) = finalize(&host, &sys)? {
                eprintln!("The next start tries deployment {id}");
            }
        }
        Step::Share => show_images(&host, &sys)?,
    }
    Ok(())
}

fn told(host: &Host, settled: &Settled) -> Option<(Priority, String)> {
    Some(match settled {
        Settled::Nothing | Settled::Good => return None,
        Settled::OnTrial => {
            (Priority::Notice, format!("Deployment {} is on trial until its health checks pass", host.deployment))
        }
        Settled::Failed(denied) => (
            Priority::Warning,
            format!(
                "Fell back to deployment {}: {} failed and is not taken again ({}): {}",
                host.deployment, denied.deployment, denied.reference, denied.why
            ),
        ),
        Settled::Interrupted(why) => (Priority::Warning, format!("An update did not come to its end: {why}")),
    })
}

fn show_images(host: &Host, sys: &Sys) -> anyhow::Result<()> {
    let store = host.store()?;
    let shared = share::sync(&Place::new(&store, &host.root().join(share::DIRECTORY), Some(host)), sys)?;
    eprintln!("podman sees {} images of the store", shared.images.len());
    shared.broken.iter().for_each(|(manifest, why)| eprintln!("not shown: {manifest}: {why}"));
    // One user whose home or settings are odd stands in nobody's way.
    for name in share::users(&store)? {
        match show_to(&name, &store, host, sys) {
            Ok(count) => eprintln!("podman of {name} sees {count} images of the store"),
            Err(error) => eprintln!("podman of {name} sees no images of the store: {error:#}"),
        }
    }
    Ok(())
}

fn show_to(name: &str, store: &Store, host: &Host, sys: &Sys) -> anyhow::Result<usize> {
    let user = User::find(sys, name)?;
    let directory = user.below(&host.root().join(share::USERS));
    Ok(share::sync(&Place::of_user(store, &directory, user), sys)?.images.len())
}

fn health(host: &Host, sys: &Sys, say: &dyn Fn(Priority, String)) -> anyhow::Result<()> {
    let verdict = check_health(host, sys)?;
    verdict.health.checks.iter().for_each(print);
    if verdict.ends_trial {
        restart(host, sys, say)?;
    }
    match verdict.health.healthy {
        true => Ok(()),
        false => Err(Refused("required health checks failed: the lines above name them".into()).into()),
    }
}

fn print(check: &Check) {
    let kind = if check.required { "required" } else { "wanted" };
    let outcome = match check.outcome {
        Outcome::Passed => "passed",
        Outcome::TimedOut => "timed out",
        Outcome::Failed | Outcome::Other => "FAILED",
    };
    let output = if check.output.is_empty() { String::new() } else { format!(": {}", check.output) };
    eprintln!("{outcome} ({kind}, {:.1} s) {}{output}", check.seconds, check.name);
}

fn restart(host: &Host, sys: &Sys, say: &dyn Fn(Priority, String)) -> anyhow::Result<()> {
    let text = format!("Deployment {} failed its trial: restarting into the last good one", host.deployment);
    say(Priority::Warning, text);
    match host.root() == Path::new("/") {
        true => reboot_whatever_it_takes(sys),
        // What lies below another directory is not the machine that runs.
        false => Ok(()),
    }
}
