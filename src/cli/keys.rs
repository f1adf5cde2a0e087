//! `cfs-host keys`: the keys of a product.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use crate::sys::Sys;
use crate::trust::keys::{generate, KeyDir, Names};

/// Make signing keys
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key directory: Secure Boot keys and updates, the image signing key, a strict policy (docs/keys.md)
    Generate(Generate),
}

#[derive(Debug, clap::Args)]
struct Generate {
    /// The directory; it must not exist
    dir: PathBuf,
    /// Images of other products will be refused
    #[arg(long, default_value = "host")]
    product: String,
    /// The beginning of the certificates' common names; the product's name if absent
    #[arg(long, value_name = "NAME")]
    common_name: Option<String>,
}

/// Makes the keys, says where they are.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Verb::Generate(args) = args.verb;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs()).unwrap_or(0);
    let common_name = args.common_name.unwrap_or_else(|| args.product.clone());
    let dir = KeyDir::new(&args.dir);
    generate(&dir, &Names { product: args.product, common_name, now }, &Sys::from_env()?)?;
    println!("{}: keys and policy are made; docs/keys.md says where each should live", args.dir.display());
    Ok(())
}
