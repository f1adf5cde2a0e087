//! `cfs-host sign`: signatures on an image that holds its UKI.

use std::path::PathBuf;

use super::print_json;
use super::signers::{ImageSigner, TrustArgs};
use super::transport::Transport;
use crate::fault::BadUsage;
use crate::fetch::{self, Options};
use crate::flow::sign::{self, Request};
use crate::model::reference::Reference;
use crate::sys::Sys;
use crate::trust::keys::KeyDir;

/// Sign an image that holds its UKI: anew, or with one more signature for policies that want several
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image; its digests are computed. Its UKI and loader are there and signed, by `seal` or `uki build`
    image: Reference,
    /// Where the image goes; back where it came from if absent
    destination: Option<Reference>,
    /// Add a signature to those that are there, once they are verified; without it they are replaced
    #[arg(long)]
    append: bool,
    /// Key directory with image/image.key and image/image.crt of the signer, if it is not that of --keys
    #[arg(long, value_name = "DIR")]
    signer: Option<PathBuf>,
    #[command(flatten)]
    image_signer: ImageSigner,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    transport: Transport,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Signs, verifies, publishes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let keys = args.signer.as_deref().or(args.trust.keys.as_deref());
    let keys = keys.ok_or_else(|| BadUsage("whose signature? give --signer DIR, or --keys DIR".into()))?;
    let trust = args.trust.load()?;
    if !args.append && trust.policy.is_none() {
        return Err(
            BadUsage("a new signature is for an image that satisfies you: give --keys or --policy".into()).into()
        );
    }
    let signer = args.image_signer.open(&KeyDir::new(keys), &sys)?;
    let options = Options::from(args.transport);
    let request = Request {
        destination: args.destination.as_ref().unwrap_or(&args.image),
        options: &options,
        signer: signer.as_ref(),
        trust,
    };
    let source = fetch::open(&args.image, &options)?;
    let signed = match args.append {
        true => sign::append(source.as_ref(), &request, &sys)?,
        false => sign::anew(source.as_ref(), &request, &sys)?,
    };
    if args.json {
        return print_json("Signed", &signed);
    }
    let too = if args.append { " too" } else { "" };
    println!("{} is signed by {:?}{too}", signed.reference, signer.certificate().name());
    println!("  manifest  {}", signed.manifest_digest);
    Ok(())
}
