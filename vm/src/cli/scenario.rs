//! `cfs-vm scenario`: attacks, each with its control run.

use anyhow::Result;
use cfs_vm::scenarios::{self, Controls, Start};

use super::suite::{Row, Suite};

/// Run attacks against an installed host, each with its control run.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    suite: Suite,
}

/// Runs them; fails if any did not hold.
pub fn run(args: &Args) -> Result<()> {
    let all: Vec<_> = scenarios::all().collect();
    if args.suite.list(&all) {
        return Ok(());
    }
    let (bench, controls) = (args.suite.bench(), Controls::default());
    args.suite.run(
        &all,
        |scenario| scenario.run(&bench, &controls),
        || controls.results().iter().map(control).collect(),
    )
}

fn control((start, held): &(Start, Result<(), String>)) -> Row {
    let (name, state) = match start {
        Start::Fresh => ("control-fresh", "as installed"),
        Start::Booted => ("control-booted", "booted before"),
    };
    let title = format!("control: the machine without any attack boots, its disk {state}");
    Row::control(name, &title, held, "booted, enforcing")
}
