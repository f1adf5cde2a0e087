//! One machine through several boots: its power comes and goes, its disk and its firmware's variables stay.

use std::path::Path;
use std::time::Duration;

use anyhow::{ensure, Context, Error, Result};
use serde_json::Value;

use crate::agent::Answer;
use crate::disk::Disk;
use crate::machine::Machine;
use crate::run::Running;
use crate::verdict::{self, Verdict};

/// The longest that a command may take in an emulated machine.
const LIMIT: Duration = Duration::from_secs(240);

/// The machine was silent for too long.
#[derive(Debug)]
pub struct Hung(pub String);

impl std::fmt::Display for Hung {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "the machine hung; the console's end:\n{}", self.0)
    }
}

impl std::error::Error for Hung {}

/// A machine that keeps what it writes, whether its power is on or off.
#[derive(Debug)]
pub struct Powered {
    /// The machine as it starts next.
    pub machine: Machine,
    running: Option<Running>,
}

impl Powered {
    /// A machine that is off, with this disk and these variables of its own; a restart does not end it.
    pub fn new(disk: &Disk, vars: &Path) -> Self {
        let mut machine = Machine::new(disk.path(), vars);
        (machine.persistent, machine.restarts) = (true, true);
        Self { machine, running: None }
    }

    /// Power on, without waiting for anything.
    pub fn switch_on(&mut self) -> Result<()> {
        self.running = Some(self.machine.start()?);
        Ok(())
    }

    /// The power goes. What the guest wrote is kept.
    pub fn power_off(&mut self) -> Result<()> {
        self.running.take().context("the machine is off")?.cut_power().map(drop)
    }

    /// How the boot that is under way ends.
    pub fn verdict(&mut self) -> Result<Verdict> {
        match self.running()?.wait()? {
            Verdict::Hung { tail } => Err(Hung(tail).into()),
            other => Ok(other),
        }
    }

    /// Lets the console come to a line with this text.
    pub fn watch_for(&mut self, text: &str) -> Result<()> {
        let found = self.running()?.wait_for(text, Duration::from_secs(120))?;
        if !found {
            return Err(Hung(format!("{text:?} did not come")).into());
        }
        Ok(())
    }

    /// Runs a command inside.
    pub fn run(&mut self, command: &str) -> Result<Answer> {
        self.running()?.agent().run(command, LIMIT)
    }

    /// Runs a command inside that has to succeed.
    pub fn check(&mut self, command: &str) -> Result<String> {
        let answer = self.run(command)?;
        ensure!(answer.code == 0, "{command:?} failed in the machine ({}): {}", answer.code, answer.output.trim());
        Ok(answer.output.trim_end_matches('\n').to_owned())
    }

    /// Runs a verb of `cfs-host` inside that prints JSON.
    pub fn ask(&mut self, verb: &str) -> Result<Value> {
        // Progress and messages go to standard error.
        let text = self.check(&format!("cfs-host {verb} --json 2>/tmp/stderr || {{ cat /tmp/stderr; exit 1; }}"))?;
        serde_json::from_str(&text).with_context(|| format!("{verb:?} gave no JSON: {text}"))
    }

    /// The machine that runs.
    pub fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("the machine is off")
    }

    /// The error with the end of the console, if the machine runs.
    pub fn explained(&self, error: Error) -> Error {
        match self.running.as_ref().map(Running::console) {
            Some(Ok(console)) => error.context(format!("the console's end:\n{}\nfailed", verdict::tail(&console))),
            _ => error,
        }
    }
}
