//! `cfs-vm firmware`: the variables of a firmware that trusts our keys only.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cfs_vm::firmware::{self, Variable};

/// Make the variables of a firmware that trusts these keys and enforces Secure Boot.
#[derive(clap::Args)]
pub struct Args {
    /// The directory that `cfs-host keys generate` made.
    #[arg(long)]
    keys: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// A non-volatile loader variable to plant, as an attacker would; given again: further ones.
    #[arg(long, value_name = "NAME=TEXT")]
    plant: Vec<String>,
}

/// Makes the file.
pub fn run(args: &Args) -> Result<()> {
    let vars = firmware::enrolled(&args.keys)?;
    fs::copy(&vars, &args.out).with_context(|| format!("cannot write {}", args.out.display()))?;
    let planted = args.plant.iter().map(|plant| {
        let (name, text) = plant.split_once('=').with_context(|| format!("{plant:?} is not NAME=TEXT"))?;
        Ok(Variable::planted(name, text))
    });
    let planted = planted.collect::<Result<Vec<_>>>()?;
    if planted.is_empty() {
        return Ok(());
    }
    firmware::plant(&args.out, &planted)
}
