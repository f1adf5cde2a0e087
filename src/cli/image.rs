//! `cfs-host image`: an image's chain of trust, to look at or to insist on.

use clap::Subcommand;

use super::print_json;
use super::signers::TrustArgs;
use super::transport::Transport;
use crate::fetch::{self, Options};
use crate::flow::report::{Report, Verdict};
use crate::flow::verify;
use crate::model::reference::Reference;
use crate::sys::Sys;

/// Look at images
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what an image claims to be and how far that holds; always exits with 0 if the image can be read
    Inspect(Inspect),
    /// Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Inspect {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    image: Reference,
    #[command(flatten)]
    transport: Transport,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    image: Inspect,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Examines the image, shows the links, fails if one does not hold.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (image, trust, insist) = match args.verb {
        Verb::Inspect(image) => (image, verify::Trust::default(), false),
        Verb::Verify(args) => (args.image, args.trust.load()?, true),
    };
    let mut source = fetch::open(&image.image, &Options::from(image.transport))?;
    let report = verify::image(source.as_mut(), &trust, &Sys::from_env()?)?;
    match image.json {
        true => print_json("ImageReport", &report)?,
        false => print(&report),
    }
    if insist {
        report.require()?;
    }
    Ok(())
}

fn print(report: &Report) {
    println!("{}", report.reference);
    println!("  manifest      {}", report.manifest_digest);
    println!("  config        {}", report.config_digest);
    println!("  architecture  {}", report.architecture);
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in &report.checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Unchecked => "-",
        };
        println!("  {verdict:6}  {:width$}  {}", check.name, crate::ui::plain(&check.detail));
    }
    if let Some(policy) = &report.policy {
        println!("  policy: {:?} for product {:?}, uki-id {}", policy.mode, policy.product, policy.uki_id);
    }
}
