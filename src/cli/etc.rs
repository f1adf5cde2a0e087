//! `cfs-host etc`: what this machine made of its image's `/etc`.

use std::path::PathBuf;

use clap::Subcommand;

use super::print_json;
use crate::flow;
use crate::flow::host::Host;
use crate::ui;

/// What this machine changed in /etc
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Diff(DiffArgs),
}

/// Show what is changed against the image that runs, and the image's versions that wait beside it. Needs no root
#[derive(Debug, clap::Args)]
struct DiffArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Look at another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Prints it; a difference is no failure.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Verb::Diff(args) = args.verb;
    let diff = flow::etc::diff(&Host::read(&args.root)?)?;
    match args.json {
        true => print_json("EtcDiff", &diff),
        false => {
            print!("{}", ui::etc::diff(&diff));
            Ok(())
        }
    }
}
