//! What is odd, collected on the way: nothing that `status` meets is an error.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::deploy::records::{self, Record};
use crate::model::status::{Condition, Severity};

/// Conditions so far, and what only root may see.
#[derive(Debug, Default)]
pub struct Seen {
    conditions: Vec<Condition>,
    hidden: Vec<PathBuf>,
}

impl Seen {
    /// Something is odd.
    pub fn odd(&mut self, kind: &'static str, severity: Severity, message: impl Into<String>) {
        self.conditions.push(Condition { kind, severity, message: message.into() });
    }

    /// A file or directory cannot be used: that this user may not look is no fault of the host.
    pub fn unreadable(&mut self, kind: &'static str, severity: Severity, path: &Path, message: String) {
        let refused = |path: &Path| std::fs::metadata(path).is_err_and(is_denied) || opening_is_denied(path);
        match refused(path) {
            true => self.hidden.push(path.to_owned()),
            false => self.odd(kind, severity, message),
        }
    }

    /// A record; absent if there is none or it cannot be read.
    pub fn record<T: Record>(&mut self, path: &Path) -> Option<T> {
        records::read(path).unwrap_or_else(|error| {
            self.unreadable("RecordUnreadable", Severity::Warning, path, error.to_string());
            None
        })
    }

    /// All of it; what was hidden is one condition.
    pub fn finish(mut self) -> Vec<Condition> {
        self.hidden.sort();
        self.hidden.dedup();
        if !self.hidden.is_empty() {
            let paths: Vec<String> = self.hidden.iter().map(|path| path.display().to_string()).collect();
            self.odd("RunAsRoot", Severity::Info, format!("run as root to see {}", paths.join(", ")));
        }
        self.conditions
    }
}

fn is_denied(error: std::io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Asked of the kernel without opening: a FIFO would hold us.
fn opening_is_denied(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK) == Err(rustix::io::Errno::ACCESS)
}
