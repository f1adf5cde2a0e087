//! `cfs-host image inspect` and `verify`: an image's chain of trust, to look at or to insist on.

use crate::cli::print_json;
use crate::cli::signers::TrustArgs;
use crate::cli::sysroot::Sysroot;
use crate::cli::transport::Transport;
use crate::fetch::{self, Options};
use crate::flow::images::{require, whole, Found};
use crate::flow::report::{Report, Verdict};
use crate::flow::verify::{self, Trust};
use crate::flow::Refused;
use crate::sys::Sys;

/// Show what an image claims to be and how far that holds; always exits with 0 if the image can be read
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME;
    /// with --stored one of the store, by reference or digest
    image: String,
    /// Look at the image that the store has, fetch nothing
    #[arg(long)]
    stored: bool,
    #[command(flatten)]
    sysroot: Sysroot,
    #[command(flatten)]
    transport: Transport,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Follow the chain of trust, with the code that /init runs; exits with 5 if a link does not hold
#[derive(Debug, clap::Args)]
pub struct Verify {
    #[command(flatten)]
    image: Inspect,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Examines the image, shows the links.
pub fn inspect(args: Inspect) -> anyhow::Result<()> {
    args.show(&Trust::default()).map(drop)
}

/// The same, and fails if one does not hold.
pub fn verify(args: Verify) -> anyhow::Result<()> {
    let report = args.image.show(&args.trust.load()?)?;
    report.require()?;
    Ok(())
}

impl Inspect {
    fn show(self, trust: &Trust) -> anyhow::Result<Report> {
        let json = self.json;
        let report = match self.stored || self.sysroot.is_given() {
            true => self.examine_stored(trust)?,
            false => {
                let source = fetch::open(&self.image.parse()?, &Options::from(self.transport))?;
                verify::image(source.as_ref(), trust, &Sys::from_env()?)?
            }
        };
        match json {
            true => print_json("ImageReport", &report)?,
            false => print(&report),
        }
        Ok(report)
    }

    fn examine_stored(&self, trust: &Trust) -> anyhow::Result<Report> {
        let store = self.sysroot.store()?;
        match require(&store, &self.image)? {
            Found::Manifest(digest) => Ok(verify::examine(&whole(&store, &digest)?, &store, trust)),
            Found::Image(digest) => {
                Err(Refused(format!("{digest} is an EROFS image alone: give the OCI image")).into())
            }
        }
    }
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
