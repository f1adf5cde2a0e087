//! `cfs-vm play`: a machine through several boots, by a script. The steps: `cfs_vm::script`.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cfs_vm::machine::Machine;
use cfs_vm::script::Script;

/// Go through a script of several boots with one machine; what it writes is kept.
#[derive(clap::Args)]
pub struct Args {
    /// The disk to boot from; given again: further disks.
    #[arg(long, required = true)]
    disk: Vec<PathBuf>,
    /// The firmware's variables (`cfs-vm firmware`).
    #[arg(long)]
    vars: PathBuf,
    /// Memory in MiB.
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// The longest that a boot may take, in seconds.
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// The script; standard input if absent.
    script: Option<PathBuf>,
}

/// Fails at the first step that does not hold.
pub fn run(args: &Args) -> Result<()> {
    let script: Script = read(args)?.parse()?;
    let first = args.disk.first().context("no disk was given")?;
    let mut machine = Machine::new(first, &args.vars);
    machine.disks.clone_from(&args.disk);
    (machine.memory, machine.limit) = (args.memory, Duration::from_secs(args.limit));
    (machine.persistent, machine.restarts, machine.network) = (true, true, true);
    let begin = Instant::now();
    script.play(&machine, &mut |text| println!("[{:4} s] {text}", begin.elapsed().as_secs()))
}

fn read(args: &Args) -> Result<String> {
    let mut text = String::new();
    match &args.script {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display())),
        None => std::io::stdin().read_to_string(&mut text).map(|_| text).context("cannot read the script"),
    }
}
