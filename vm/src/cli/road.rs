//! `cfs-vm road`: updates, failures and power cuts, each with its control run.

use anyhow::Result;
use cfs_vm::roads::{self, Ground};

use super::suite::{Row, Suite};

/// Send installed hosts through updates, failures and power cuts.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    suite: Suite,
    /// Where and how the power is cut follows from this number; another one each time if absent.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs them; fails if any did not hold.
pub fn run(args: &Args) -> Result<()> {
    let all = roads::all();
    if args.suite.list(&all) {
        return Ok(());
    }
    let bench = args.suite.bench();
    let ground = Ground::new(&bench, args.seed)?;
    eprintln!("cfs-vm: the seed is {}", ground.seed());
    args.suite.run(&all, |road| road.run(&ground), || control(&ground).into_iter().collect())
}

fn control(ground: &Ground) -> Option<Row> {
    let title = "control: an image without a fault is taken, tried and promoted";
    Some(Row::control("control", title, &ground.control_result()?, "promoted"))
}
