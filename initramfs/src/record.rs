//! What `/init` did, for people and for `status`: timed steps, overlooked problems, `/run/cfs-host/booted.json`.
//!
//! The format is in `docs/formats.md`.

use std::fmt;
use std::path::Path;

use rustix::time::{clock_gettime, ClockId};
use serde::Serialize;

use crate::claims::{Claims, UkiId};
use crate::digest::Digest;
use crate::fallback::RefusalRecord;
use crate::loader::{ChosenBy, Claim};
use crate::pass::Counts;
use crate::policy::{Mode, Policy};
use crate::refusal::Refusal;
use crate::verity::Proven;

const DIRECTORY: &str = "/run/cfs-host";
const FILE: &str = "booted.json";

/// A step and how long it took.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    step: &'static str,
    ms: u64,
}

/// The boot so far.
#[derive(Debug)]
pub struct Progress {
    /// The loader's entry, once it is known.
    pub entry: Option<String>,
    /// Why the boot before this one was refused, once it is known.
    pub earlier: Option<RefusalRecord>,
    problems: Vec<String>,
    steps: Vec<Step>,
    last: u64,
}

impl Progress {
    /// Starts the clock; the first step is the kernel's, from its start to ours.
    pub fn start() -> Self {
        let now = milliseconds();
        Self { entry: None, earlier: None, problems: vec![], steps: vec![Step { step: "kernel", ms: now }], last: now }
    }

    /// Ends a step.
    pub fn done(&mut self, step: &'static str) {
        let now = milliseconds();
        self.steps.push(Step { step, ms: now - self.last });
        self.last = now;
    }

    /// A failed check ends the boot; in permissive mode it is said, written down, and the boot goes on.
    pub fn judge(&mut self, policy: &Policy, checked: Result<(), Refusal>) -> Result<(), Refusal> {
        match checked {
            Err(refusal) if !policy.enforces() => {
                crate::console::say(&format!("PERMISSIVE, overlooked: {refusal}"));
                self.problems.push(refusal.to_string());
                Ok(())
            }
            checked => checked,
        }
    }
}

impl fmt::Display for Progress {
    /// `kernel 2500, modules 80, …: 2900 ms`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|step| format!("{} {}", step.step, step.ms)).collect();
        write!(f, "{}: {} ms", steps.join(", "), self.steps.iter().map(|step| step.ms).sum::<u64>())
    }
}

fn milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// What the checks found.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The policy that decided.
    pub policy: &'a Policy,
    /// What the loader chose.
    pub claim: &'a Claim,
    /// The image.
    pub proven: &'a Proven,
    /// Whether the firmware verified what it started.
    pub secure_boot: bool,
    /// The objects' pass; zeros where the policy turns it off.
    pub objects: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Booted<'a> {
    version: u32,
    mode: Mode,
    deployment: String,
    image: &'a Digest,
    uki_id: &'a UkiId,
    security_version: u32,
    claims: Option<&'a Claims>,
    signers: &'a [String],
    secure_boot: bool,
    chosen_by: ChosenBy,
    entry: &'a str,
    objects: Counts,
    ignored: &'a [String],
    refusal: Option<Refused<'a>>,
    problems: &'a [String],
    timings: &'a [Step],
}

/// A [`RefusalRecord`] without the variable's own version.
#[derive(Serialize)]
struct Refused<'a> {
    n: u32,
    entry: &'a str,
    uki: &'a str,
    rule: u8,
    why: &'a str,
}

impl<'a> From<&'a RefusalRecord> for Refused<'a> {
    fn from(record: &'a RefusalRecord) -> Self {
        Self { n: record.n, entry: &record.entry, uki: &record.uki, rule: record.rule, why: &record.why }
    }
}

/// Writes `/run/cfs-host/booted.json`.
pub fn write(facts: &Facts<'_>, progress: &Progress) -> Result<(), Refusal> {
    write_in(Path::new(DIRECTORY), facts, progress)
        .map_err(|error| Refusal::new(16, format!("{DIRECTORY}/{FILE} could not be written: {error}")))
}

fn write_in(directory: &Path, facts: &Facts<'_>, progress: &Progress) -> std::io::Result<()> {
    let signed = facts.proven.signed().ok();
    let booted = Booted {
        version: 1,
        mode: facts.policy.mode,
        deployment: facts.claim.entry().deployment.to_string(),
        image: facts.proven.digest(),
        uki_id: &facts.policy.uki_id,
        security_version: facts.policy.security_version,
        claims: signed.map(|verified| verified.claims()),
        signers: signed.map_or(&[], |verified| verified.signers()),
        secure_boot: facts.secure_boot,
        chosen_by: facts.claim.chosen_by(),
        entry: facts.claim.entry_file(),
        objects: facts.objects,
        ignored: facts.claim.ignored(),
        refusal: progress.earlier.as_ref().map(Refused::from),
        problems: &progress.problems,
        timings: &progress.steps,
    };
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join(FILE), serde_json::to_vec(&booted)?)
}
