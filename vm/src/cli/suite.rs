//! Cases run as many side by side as there are slots, shown one a line, and counted.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{ensure, Context, Result};
use cfs_vm::bench::Bench;
use cfs_vm::case::{Case, Shown};
use cfs_vm::sharing::{Day, Seen};
use cfs_vm::slot;
use serde::Serialize;

/// Arguments of every verb that runs cases.
#[derive(clap::Args)]
pub struct Suite {
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

/// What is said of a case.
#[derive(Serialize)]
pub struct Row {
    name: String,
    title: String,
    ok: bool,
    seconds: f64,
    detail: String,
}

impl Row {
    fn new(name: &str, title: String, seconds: f64, result: Result<Shown>) -> Self {
        let (ok, detail) = match result {
            Ok(shown) if shown.retried => (true, format!("{} (second try: the first machine hung)", shown.line)),
            Ok(shown) => (true, shown.line),
            Err(error) => (false, format!("{error:#}")),
        };
        Self { name: name.to_owned(), title, ok, seconds, detail }
    }

    /// A control run; one that failed has failed its cases already, so it is shown and not counted.
    pub fn control(name: &str, title: &str, held: &Result<(), String>, seen: &str) -> Self {
        let detail = held.as_ref().err().map_or(seen, String::as_str).to_owned();
        Self { name: name.to_owned(), title: title.to_owned(), ok: held.is_ok(), seconds: 0.0, detail }
    }
}

impl Suite {
    /// What hosts are made with.
    pub fn bench(&self) -> Bench {
        Bench { tool: self.tool.clone(), init: self.init.clone() }
    }

    /// Lists the cases if that was asked for.
    pub fn list(&self, cases: &[impl Case]) -> bool {
        if self.list {
            cases.iter().for_each(|case| println!("{:24} {}", case.name(), case.title()));
        }
        self.list
    }

    /// Runs those that were asked for, then shows the control runs; fails if any did not hold.
    pub fn run<C: Case>(
        &self,
        cases: &[C],
        run: impl Fn(&C) -> Result<Shown> + Sync,
        controls: impl FnOnce() -> Vec<Row>,
    ) -> Result<()> {
        let chosen = self.choose(cases)?;
        let (passed, failed) = self.side_by_side(&chosen, |case, show| show(one(*case, &run)));
        controls().iter().for_each(|row| self.print(row));
        self.count(passed, failed)
    }

    /// Runs those that were asked for, each of which shows as many things as it likes; fails if any did not hold.
    pub fn run_days(&self, days: &[&'static Day], bench: &Bench) -> Result<()> {
        let chosen = self.choose(days)?;
        let (passed, failed) = self.side_by_side(&chosen, |day, show| day.go(bench, &mut |seen| show(seen.into())));
        if !self.json {
            println!("sharing cases: {} held: {passed}", passed + failed);
        }
        self.count(passed, failed)
    }

    /// As many as there are slots; a line for each row that they show. How many held, and how many did not.
    fn side_by_side<C: Sync>(&self, chosen: &[C], go: impl Fn(&C, &mut dyn FnMut(Row)) + Sync) -> (usize, usize) {
        let (next, counts) = (AtomicUsize::new(0), Mutex::new((0, 0)));
        let show = |row: Row| {
            // Whoever panicked while it printed has said so.
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            *if row.ok { &mut counts.0 } else { &mut counts.1 } += 1;
            self.print(&row);
        };
        std::thread::scope(|scope| {
            for _ in 0..slot::count() {
                scope.spawn(|| {
                    while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                        go(case, &mut |row| show(row));
                    }
                });
            }
        });
        counts.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, passed: usize, failed: usize) -> Result<()> {
        if !self.json {
            println!("{passed} passed, {failed} failed");
        }
        ensure!(failed == 0, "{failed} of {} did not hold", passed + failed);
        Ok(())
    }

    fn choose<'a, C: Case>(&self, cases: &'a [C]) -> Result<Vec<&'a C>> {
        if self.all {
            return Ok(cases.iter().collect());
        }
        let find = |name: &String| cases.iter().find(|case| case.name() == name);
        let names = self.names.iter();
        names.map(|name| find(name).with_context(|| format!("there is no {name}: see --list"))).collect()
    }

    fn print(&self, row: &Row) {
        if self.json {
            println!("{}", serde_json::json!(row));
        } else {
            let verdict = if row.ok { "ok    " } else { "FAILED" };
            println!("{verdict} {} ({:.0} s): {}", row.name, row.seconds, row.detail);
        }
    }
}

fn one<C: Case>(case: &C, run: &impl Fn(&C) -> Result<Shown>) -> Row {
    let begin = Instant::now();
    let result = run(case);
    Row::new(case.name(), case.title(), begin.elapsed().as_secs_f64(), result)
}

impl From<Seen> for Row {
    fn from(Seen { act, seconds, result }: Seen) -> Self {
        Self::new(act.name, act.promise.to_owned(), seconds, result)
    }
}
