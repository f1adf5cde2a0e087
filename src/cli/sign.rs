//! `cfs-host sign`: one more signature on a sealed image.

use std::path::PathBuf;

use super::signers::{ImageSigner, TrustArgs};
use super::transport::Transport;
use crate::fetch::{self, Options};
use crate::flow::sign;
use crate::model::reference::Reference;
use crate::sys::Sys;
use crate::trust::keys::KeyDir;

/// Sign a sealed image too, for policies that want several signatures
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sealed image, in a registry or an OCI layout; its digests are computed and its seal is verified first
    image: Reference,
    /// Where the image goes; back where it came from if absent
    destination: Option<Reference>,
    /// Add a signature to those that are there
    #[arg(long, required = true)]
    append: bool,
    /// Key directory with image/image.key and image/image.crt of the new signer
    #[arg(long, value_name = "DIR")]
    signer: PathBuf,
    #[command(flatten)]
    image_signer: ImageSigner,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    transport: Transport,
}

/// Verifies, signs, publishes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::real();
    let signer = args.image_signer.open(&KeyDir::new(&args.signer), &sys)?;
    let trust = args.trust.load()?;
    let options = Options::from(args.transport);
    let destination = args.destination.unwrap_or_else(|| args.image.clone());
    let mut source = fetch::open(&args.image, &options)?;
    let manifest = sign::append(source.as_mut(), &destination, &options, &trust, signer.as_ref(), &sys)?;
    println!("{destination} is signed by {:?} too", signer.certificate().name());
    println!("  manifest  {manifest}");
    Ok(())
}
