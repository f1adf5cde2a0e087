//! What a machine changed in `/etc`, for people: a line a path.

use super::table::plain;
use crate::model::etc::{Change, EtcDiff};

/// The changes, then what waits for a person, then what could not be looked at.
pub fn diff(diff: &EtcDiff) -> String {
    let mut text = match diff.changes.is_empty() {
        true => format!("nothing is changed against {}\n", plain(&diff.reference)),
        false => format!("changed against {}:\n", plain(&diff.reference)),
    };
    for changed in &diff.changes {
        text += &format!("  {:8}  {}\n", word(changed.change), plain(&changed.path));
    }
    if !diff.waiting.is_empty() {
        text += "the image's version waits beside this machine's; take from it what is needed, then remove it:\n";
    }
    for waiting in &diff.waiting {
        text += &format!("  {}  of {}\n", plain(&waiting.path), plain(&waiting.of));
    }
    if !diff.staged_conflicts.is_empty() {
        text += "changed here and by the image that is staged, differently; this machine's version stays:\n";
    }
    for path in &diff.staged_conflicts {
        text += &format!("  {}\n", plain(path));
    }
    if !diff.unreadable.is_empty() {
        text += "not readable for this user, so nothing is said about:\n";
    }
    for path in &diff.unreadable {
        text += &format!("  {}\n", plain(path));
    }
    text
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Content => "content",
        Change::Metadata => "metadata",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::etc::{Changed, Waiting};

    #[test]
    fn every_part_is_shown_and_names_cannot_drive_the_terminal() {
        let changed = |path: &str, change| Changed { path: path.into(), change };
        let found = EtcDiff {
            deployment: "0123456789abcdef.0".into(),
            reference: "docker://example.org/host:v1".into(),
            changes: vec![changed("/etc/a", Change::Added), changed("/etc/b\x1b[2J", Change::Metadata)],
            waiting: vec![Waiting { path: "/etc/c.cfs-new".into(), of: "/etc/c".into() }],
            unreadable: vec!["/etc/shadow".into()],
            staged_conflicts: vec!["/etc/d".into()],
        };
        let wanted = "changed against docker://example.org/host:v1:
  added     /etc/a
  metadata  /etc/b [2J
the image's version waits beside this machine's; take from it what is needed, then remove it:
  /etc/c.cfs-new  of /etc/c
changed here and by the image that is staged, differently; this machine's version stays:
  /etc/d
not readable for this user, so nothing is said about:
  /etc/shadow
";
        assert_eq!(diff(&found), wanted);
    }
}
