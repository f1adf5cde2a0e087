//! `cfs-vm scenario`: run attacks, as many side by side as there are slots, and count.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{ensure, Context, Result};
use cfs_vm::bench::Bench;
use cfs_vm::scenarios::{self, Controls, Scenario, Start};
use cfs_vm::slot;
use serde::Serialize;

/// Run attacks against an installed host, each with its control run.
#[derive(clap::Args)]
pub struct Args {
    /// Which: names of `--list`.
    #[arg(required_unless_present_any = ["all", "list"])]
    names: Vec<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// List them with what each shows.
    #[arg(long)]
    list: bool,
    /// The program `cfs-host` under test.
    #[arg(long, env = "CFS_HOST", default_value = "target/release/cfs-host")]
    tool: PathBuf,
    /// The program `cfs-init` under test (`ci/build-init` prints where it is).
    #[arg(long, env = "CFS_INIT", default_value = "target/x86_64-unknown-linux-gnu/init/cfs-init")]
    init: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    title: String,
    ok: bool,
    seconds: f64,
    detail: String,
}

/// Runs them; fails if any did not hold.
pub fn run(args: &Args) -> Result<()> {
    let chosen = choose(args)?;
    if args.list {
        chosen.iter().for_each(|scenario| println!("{:24} {}", scenario.name, scenario.title()));
        return Ok(());
    }
    let bench = Bench { tool: args.tool.clone(), init: args.init.clone() };
    let (controls, next, failed) = (Controls::default(), AtomicUsize::new(0), AtomicUsize::new(0));
    let printing = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..slot::count() {
            scope.spawn(|| {
                while let Some(scenario) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = one(scenario, &bench, &controls);
                    failed.fetch_add(usize::from(!row.ok), Ordering::Relaxed);
                    let _guard = printing.lock();
                    print(&row, args.json);
                }
            });
        }
    });
    for (start, held) in controls.results() {
        print(&control(start, held), args.json);
    }
    let failed = failed.into_inner();
    if !args.json {
        println!("{} passed, {failed} failed", chosen.len() - failed);
    }
    ensure!(failed == 0, "{failed} of {} scenarios did not hold", chosen.len());
    Ok(())
}

fn choose(args: &Args) -> Result<Vec<&'static Scenario>> {
    if args.all || args.list {
        return Ok(scenarios::all().collect());
    }
    let find = |name: &String| scenarios::all().find(|one| one.name == name);
    let find = |name| find(name).with_context(|| format!("there is no scenario {name}: see cfs-vm scenario --list"));
    args.names.iter().map(find).collect()
}

fn one<'a>(scenario: &'a Scenario, bench: &Bench, controls: &Controls) -> Row<'a> {
    let begin = Instant::now();
    let result = scenario.run(bench, controls);
    let (ok, detail) = match result {
        Ok(shown) if shown.retried => (true, format!("{} (second try: the first machine hung)", shown.line)),
        Ok(shown) => (true, shown.line),
        Err(error) => (false, format!("{error:#}")),
    };
    Row { name: scenario.name, title: scenario.title(), ok, seconds: begin.elapsed().as_secs_f64(), detail }
}

/// The control run as a row of its own; one that failed has failed its scenarios already.
fn control(start: Start, held: Result<(), String>) -> Row<'static> {
    let (name, state) = match start {
        Start::Fresh => ("control-fresh", "as installed"),
        Start::Booted => ("control-booted", "booted before"),
    };
    let title = format!("control: the machine without any attack boots, its disk {state}");
    let detail = held.as_ref().err().cloned().unwrap_or_else(|| "booted, enforcing".to_owned());
    Row { name, title, ok: held.is_ok(), seconds: 0.0, detail }
}

fn print(row: &Row, json: bool) {
    if json {
        println!("{}", serde_json::json!(row));
    } else {
        println!("{} {} ({:.0} s): {}", if row.ok { "ok    " } else { "FAILED" }, row.name, row.seconds, row.detail);
    }
}
