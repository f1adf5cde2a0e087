//! Health checks of a booted deployment: programs of the image and of the machine, each with a time limit.
//!
//! Takes the root directory; gives what came of each. Decides nothing about booting, writes nothing. `docs/health.md`.

mod limits;
mod programs;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::update::{Check, Outcome};
use crate::sys::{Ended, Sys};
use limits::Limits;
use programs::Program;

/// How much of what a check prints is kept.
const MAX_OUTPUT: usize = 2048;

/// Runs every check below this root directory, in the order of their names; required ones first.
pub fn run(sys: &Sys, root: &Path) -> Vec<Check> {
    let limits = Limits::read(root);
    let mut checks = run_all(sys, root, &limits, programs::checks(root));
    // A limit that cannot be read does not make the system unhealthy, but somebody should hear of it.
    checks.extend(limits.problems.iter().map(|(file, problem)| Check {
        name: file.clone(),
        required: false,
        outcome: Outcome::Failed,
        seconds: 0.0,
        output: problem.clone(),
    }));
    checks
}

/// Whether all required checks passed.
pub fn healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| !check.required || check.outcome == Outcome::Passed)
}

/// Runs what greenboot runs after a verdict, `green.d` or `red.d`. What comes of it does not count.
pub fn afterwards(sys: &Sys, root: &Path, healthy: bool) -> Vec<Check> {
    run_all(sys, root, &Limits::read(root), programs::afterwards(root, healthy))
}

fn run_all(sys: &Sys, root: &Path, limits: &Limits, programs: Vec<Program>) -> Vec<Check> {
    let end = Instant::now() + limits.total;
    programs.iter().map(|program| run_one(sys, root, program, limits, end)).collect()
}

fn run_one(sys: &Sys, root: &Path, program: &Program, limits: &Limits, end: Instant) -> Check {
    let check = |outcome, seconds, output| Check {
        name: format!("/{}", program.path.strip_prefix(root).unwrap_or(&program.path).display()),
        required: program.required,
        outcome,
        seconds,
        output,
    };
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        let why = format!("not started: all checks together took longer than {} s", limits.total.as_secs());
        return check(Outcome::TimedOut, 0.0, why);
    }
    let mut command = match program.command() {
        Ok(command) => command,
        Err(why) => return check(Outcome::Failed, 0.0, why),
    };
    let limit = limits.of(&program.path).min(left);
    match sys.run_limited(&mut command, limit, MAX_OUTPUT) {
        Ok(ended) => {
            let (outcome, output) = judge(&ended, limit);
            check(outcome, (ended.took.as_secs_f64() * 1000.0).round() / 1000.0, output)
        }
        Err(error) => check(Outcome::Failed, 0.0, error.to_string()),
    }
}

/// The outcome, and what is kept: the end of the output, of a failure first how it ended.
fn judge(ended: &Ended, limit: Duration) -> (Outcome, String) {
    let printed = printable(&ended.output);
    let (outcome, how) = match ended.status {
        Some(status) if status.success() => return (Outcome::Passed, printed),
        Some(status) => (
            Outcome::Failed,
            match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or_default()),
            },
        ),
        None => (Outcome::TimedOut, format!("not done after {} s", limit.as_secs_f64().ceil())),
    };
    (outcome, if printed.is_empty() { how } else { format!("{how}: {printed}") })
}

/// Text that can be shown anywhere.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
