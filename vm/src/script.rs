//! A machine that goes through several boots by a script: one line, one step. What the demo drives a real host with.
//!
//! | line | what it does |
//! | --- | --- |
//! | `# text` | says what comes |
//! | `run COMMAND` | runs it inside; it has to succeed |
//! | `fails COMMAND` | the same; it has to fail |
//! | `waits COMMAND` | the same, again and again until it succeeds |
//! | `says TEXT` | the last output has to contain this |
//! | `restart` | `systemctl reboot`; the next boot has to come up |
//! | `goes-down` | the same, whatever comes after it |
//! | `comes-back COMMAND` | the machine restarts by itself, whatever fails on the way, until this succeeds inside |
//! | `cut-power` | the power goes and comes, whatever comes after it; what was written is kept |
//! | `cut-while-booting` | a restart, and the power goes when its kernel begins |

use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};

use crate::agent::Answer;
use crate::machine::Machine;
use crate::run::Running;
use crate::verdict::Verdict;

/// The longest that one command, or one wait, may take in an emulated machine.
const LIMIT: Duration = Duration::from_secs(420);
const PAUSE: Duration = Duration::from_secs(2);
/// A restart that leaves the agent time to answer.
const RESTART: &str = "(sleep 1; systemctl reboot) </dev/null >/dev/null 2>&1 & sleep 0";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Say(String),
    Run(String),
    Fails(String),
    Waits(String),
    Says(String),
    Restart,
    GoesDown,
    ComesBack(String),
    CutPower,
    CutWhileBooting,
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim().to_owned();
        Ok(match (word, rest.is_empty()) {
            ("#", false) => Self::Say(rest),
            ("run", false) => Self::Run(rest),
            ("fails", false) => Self::Fails(rest),
            ("waits", false) => Self::Waits(rest),
            ("says", false) => Self::Says(rest),
            ("comes-back", false) => Self::ComesBack(rest),
            ("restart", true) => Self::Restart,
            ("goes-down", true) => Self::GoesDown,
            ("cut-power", true) => Self::CutPower,
            ("cut-while-booting", true) => Self::CutWhileBooting,
            _ => bail!("{line:?} is no step of a script"),
        })
    }
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script(Vec<Step>);

impl FromStr for Script {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::parse).collect::<Result<_>>().map(Self)
    }
}

impl Script {
    /// Goes through it; `say` hears each step and what came of it, with the seconds since the start.
    pub fn play(&self, machine: &Machine, say: &mut dyn FnMut(&str)) -> Result<()> {
        let mut player = Player { machine, running: Some(machine.start()?), output: String::new(), say };
        player.up().context("the first boot")?;
        self.0.iter().try_for_each(|step| player.step(step).with_context(|| format!("{step:?}")))
    }
}

struct Player<'a> {
    machine: &'a Machine,
    running: Option<Running>,
    output: String,
    say: &'a mut dyn FnMut(&str),
}

impl Player<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Say(text) => (self.say)(&format!("# {text}")),
            Step::Run(command) => {
                let answer = self.run(command)?;
                ensure!(answer.code == 0, "exit code {}: {}", answer.code, answer.output.trim());
            }
            Step::Fails(command) => {
                let answer = self.run(command)?;
                ensure!(answer.code != 0, "it succeeded: {}", answer.output.trim());
            }
            Step::Waits(command) => self.waits(command)?,
            Step::Says(text) => ensure!(self.output.contains(text), "the last output does not say {text:?}"),
            Step::Restart => {
                self.restart()?;
                self.up()?;
            }
            Step::ComesBack(command) => self.comes_back(command)?,
            Step::GoesDown => self.restart()?,
            Step::CutPower => self.cut_power()?,
            Step::CutWhileBooting => {
                self.restart()?;
                let begun = self.running()?.wait_for("Linux version", LIMIT)?;
                ensure!(begun, "no kernel began to boot");
                self.cut_power()?;
            }
        }
        Ok(())
    }

    fn run(&mut self, command: &str) -> Result<Answer> {
        let answer = self.running()?.agent().run(command, LIMIT)?;
        self.output.clone_from(&answer.output);
        (self.say)(&format!("machine# {command}\n{}", answer.output.trim_end()));
        Ok(answer)
    }

    fn waits(&mut self, command: &str) -> Result<()> {
        let begin = Instant::now();
        while self.running()?.agent().run(command, LIMIT)?.code != 0 {
            ensure!(begin.elapsed() < LIMIT, "it did not succeed within {} s", LIMIT.as_secs());
            std::thread::sleep(PAUSE);
        }
        self.run(command).map(drop)
    }

    fn restart(&mut self) -> Result<()> {
        (self.say)("machine# systemctl reboot");
        self.running()?.agent().check(RESTART).map(drop)
    }

    fn cut_power(&mut self) -> Result<()> {
        (self.say)("the power is cut, and comes back");
        self.running.take().context("the machine is off")?.cut_power()?;
        self.running = Some(self.machine.start()?);
        Ok(())
    }

    /// The boot that is under way comes up.
    fn up(&mut self) -> Result<()> {
        let begin = Instant::now();
        let verdict = self.running()?.wait()?;
        ensure!(matches!(verdict, Verdict::Booted { .. }), "it did not come up: {verdict:#?}");
        (self.say)(&format!("the machine is up after {} s", begin.elapsed().as_secs()));
        Ok(())
    }

    fn comes_back(&mut self, command: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            // A machine that restarts while it is asked is not there yet.
            if let Ok(Answer { code: 0, .. }) = self.running()?.agent().run(command, Duration::from_secs(20)) {
                (self.say)(&format!("the machine came back by itself after {} s", begin.elapsed().as_secs()));
                return Ok(());
            }
            ensure!(begin.elapsed() < LIMIT, "it did not come back within {} s", LIMIT.as_secs());
            match self.running()?.wait()? {
                Verdict::Booted { .. } => {}
                failed @ (Verdict::Stopped { .. } | Verdict::Hung { .. }) => bail!("it did not come back: {failed:#?}"),
                failed => (self.say)(&format!("on the way: {failed:?}")),
            }
        }
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("the machine is off")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_a_list_of_known_steps() {
        let script: Script = "# hello\n\n  run true && false\nrestart\ncut-power\n".parse().unwrap();
        let steps = [Step::Say("hello".into()), Step::Run("true && false".into()), Step::Restart, Step::CutPower];
        assert_eq!(script.0, steps);
        for bad in ["run", "restart now", "hello", "says"] {
            assert!(bad.parse::<Script>().is_err(), "{bad}");
        }
    }
}
