//! Staged, on trial, denied, noted: the records of updates.

use std::path::Path;

use super::next::Entries;
use super::seen::Seen;
use crate::deploy::records::{DENIED, NOTES, STAGED, TRIAL};
use crate::model::status::{Because, Severity};
use crate::model::update::{Denied, DeniedImage, Note, Notes, Phase, Staged, Trial};

/// What the records say.
#[derive(Debug, Default)]
pub struct Waiting {
    /// For the shutdown.
    pub staged: Option<Staged>,
    /// For its promotion.
    pub trial: Option<Trial>,
    /// What failed.
    pub denied: Vec<DeniedImage>,
    /// What was noted.
    pub notes: Vec<Note>,
}

/// Reads them.
pub fn waiting(root: &Path, sysroot: &Path, seen: &mut Seen) -> Waiting {
    Waiting {
        staged: seen.record(&root.join(STAGED)),
        trial: seen.record(&sysroot.join(TRIAL)),
        denied: seen.record::<Denied>(&sysroot.join(DENIED)).map(|denied| denied.images).unwrap_or_default(),
        notes: seen.record::<Notes>(&sysroot.join(NOTES)).map(|notes| notes.notes).unwrap_or_default(),
    }
}

/// What of it people should know. `since` is when the running deployment was made: older failures are history.
pub fn judge(waiting: &Waiting, booted: Option<&str>, since: Option<&str>, entries: &Entries, seen: &mut Seen) {
    if let Some(trial) = &waiting.trial {
        judge_trial(trial, booted, entries, seen);
    }
    let severity = |at: &str| match since {
        Some(since) if at < since => Severity::Info,
        _ => Severity::Warning,
    };
    if let Some(last) = waiting.denied.last() {
        let earlier = match waiting.denied.len() {
            1 => String::new(),
            count => format!(" ({} more failed before)", count - 1),
        };
        let message = format!(
            "{} ({}) failed on this host on {}: {}; it is not taken again without --force{earlier}",
            last.reference, last.deployment, last.at, last.why
        );
        seen.odd("ImageDenied", severity(&last.at), message);
    }
    // The newest of each kind: the rest is in the list.
    for (index, note) in waiting.notes.iter().enumerate() {
        if !waiting.notes[index + 1..].iter().any(|later| later.what == note.what) {
            seen.odd("Note", severity(&note.at), format!("{} on {}: {}", note.what, note.at, note.why));
        }
    }
}

fn judge_trial(trial: &Trial, booted: Option<&str>, entries: &Entries, seen: &mut Seen) {
    let id = trial.deployment.to_string();
    let why = trial.why.as_deref().unwrap_or("no reason was left");
    let wished = entries
        .next
        .as_ref()
        .is_some_and(|next| next.because == Because::OneShot && next.deployment.as_ref() == Some(&id));
    let (kind, severity, message) = match (booted == Some(&id), trial.phase) {
        (true, Phase::Unhealthy) => {
            ("TrialUnhealthy", Severity::Warning, format!("{id} is on trial and not healthy: {why}"))
        }
        (true, _) => {
            let message = format!("{id} is on trial: it becomes the default when its health checks pass");
            ("OnTrial", Severity::Info, message)
        }
        (false, Phase::Arming) => {
            let message = format!("the shutdown that should arm {id} was interrupted: upgrade again");
            ("ShutdownInterrupted", Severity::Warning, message)
        }
        (false, _) if wished => return,
        (false, _) => {
            let message = format!("the trial of {id} ended without a promotion, and nobody noted why yet");
            ("TrialUnsettled", Severity::Warning, message)
        }
    };
    seen.odd(kind, severity, message);
}
