//! `cfs-vm boot`: start a machine, run commands in it, say how the boot ended.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use cfs_vm::agent::Answer;
use cfs_vm::machine::Machine;
use cfs_vm::run::Running;
use cfs_vm::verdict::Verdict;
use clap::ValueEnum;
use serde::Serialize;

/// Boot a disk image and say how that ended.
#[derive(clap::Args)]
pub struct Args {
    /// The disk to boot from; given again: further disks.
    #[arg(long, required = true)]
    disk: Vec<PathBuf>,
    /// The firmware's variables (`cfs-vm firmware`).
    #[arg(long)]
    vars: PathBuf,
    /// A SMBIOS type 11 string for the guest; given again: further ones.
    #[arg(long)]
    smbios: Vec<String>,
    /// Memory in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Give the guest a network.
    #[arg(long)]
    network: bool,
    /// Keep what the guest writes to the disks and to the variables.
    #[arg(long)]
    persistent: bool,
    /// Let it restart before it is up, as a boot loader does that enrols keys.
    #[arg(long)]
    may_restart: bool,
    /// A shell command to run in the guest; given again: further ones. Each has to succeed.
    #[arg(long)]
    exec: Vec<String>,
    /// How the boot has to end.
    #[arg(long, default_value = "booted")]
    expect: Expect,
    /// Text that the decisive line, or a command's output, has to contain; given again: each of them.
    #[arg(long)]
    contains: Vec<String>,
    /// The longest that a boot may take, in seconds.
    #[arg(long, default_value_t = 300)]
    limit: u64,
    /// Write the console to this file.
    #[arg(long)]
    console: Option<PathBuf>,
    /// Say it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expect {
    Booted,
    Refused,
    FirmwareRefused,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    verdict: Verdict,
    seconds: f64,
    retried: bool,
    commands: Vec<Ran>,
}

#[derive(Serialize)]
struct Ran {
    command: String,
    #[serde(flatten)]
    answer: Answer,
}

/// Starts the machine and fails if it did not end as expected.
pub fn run(args: &Args) -> Result<()> {
    let (mut running, verdict, retried) = machine(args)?.boot().context("cannot run the machine")?;
    let begin = Instant::now();
    let mut report = Report { verdict, seconds: 0.0, retried, commands: Vec::new() };
    let booted = matches!(report.verdict, Verdict::Booted { .. });
    let result = if booted { execute(&mut running, &args.exec, &mut report) } else { Ok(()) };
    report.seconds = begin.elapsed().as_secs_f64();
    let ended = running.cut_power()?;
    if let Some(path) = &args.console {
        fs::write(path, &ended.console).with_context(|| format!("cannot write the console to {}", path.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    result?;
    expected(args, &report)
}

fn machine(args: &Args) -> Result<Machine> {
    let first = args.disk.first().context("no disk was given")?;
    let mut machine = Machine::new(first, &args.vars);
    machine.disks.clone_from(&args.disk);
    // The stub takes the first string of a name only: one that is given replaces our own.
    let is_given = |text: &String| args.smbios.iter().any(|given| given.split('=').next() == text.split('=').next());
    machine.smbios.retain(|text| !is_given(text));
    machine.smbios.extend(args.smbios.iter().cloned());
    machine.memory = args.memory;
    machine.network = args.network;
    machine.persistent = args.persistent;
    machine.restarts = args.may_restart;
    machine.limit = Duration::from_secs(args.limit);
    Ok(machine)
}

fn execute(running: &mut Running, commands: &[String], report: &mut Report) -> Result<()> {
    for command in commands {
        let answer = running.agent().run(command, Duration::from_secs(180))?;
        let code = answer.code;
        report.commands.push(Ran { command: command.clone(), answer });
        ensure!(code == 0, "{command:?} failed in the machine with exit code {code}");
    }
    Ok(())
}

fn print(report: &Report) {
    match &report.verdict {
        Verdict::Booted { boot_id } => println!("booted ({boot_id})"),
        Verdict::Refused { line, .. } => println!("refused by cfs-init: {line}"),
        Verdict::FirmwareRefused { line } => println!("refused by the firmware: {line}"),
        Verdict::FirmwareCrashed { line } => println!("crashed before the kernel: {line}"),
        Verdict::Panicked { line } => println!("kernel panic: {line}"),
        Verdict::Stopped { tail } => println!("stopped without a word; the console's end:\n{tail}"),
        Verdict::Hung { tail } => println!("hung; the console's end:\n{tail}"),
    }
    for ran in &report.commands {
        println!("machine# {}\n{}", ran.command, ran.answer.output.trim_end());
    }
}

fn expected(args: &Args, report: &Report) -> Result<()> {
    let (as_expected, line) = match (&report.verdict, args.expect) {
        (Verdict::Booted { .. }, Expect::Booted) => (true, ""),
        (Verdict::Refused { line, .. }, Expect::Refused) => (true, line.as_str()),
        (Verdict::FirmwareRefused { line }, Expect::FirmwareRefused) => (true, line.as_str()),
        _ => (false, ""),
    };
    ensure!(as_expected, "the boot did not end as expected");
    for text in &args.contains {
        let said = line.contains(text) || report.commands.iter().any(|ran| ran.answer.output.contains(text));
        if !said {
            bail!("nothing said {text:?}");
        }
    }
    Ok(())
}
