//! The only door to what lasts: every durable operation of the tool goes through [`Sys`].
//!
//! Takes paths and bytes; gives typed errors that name the operation and the path. Each operation is
//! one step, counted; a fault plan can stop the program before step k or make it fail with an errno,
//! so a test can try every k. Reading needs no door. `tests/architecture.rs` refuses `std::fs` writes elsewhere.

mod bridge;
mod command;
mod composefs;
mod extents;
mod fault;
mod files;
mod kernel;
mod limited;
mod original;
mod owners;
mod syscalls;
mod tree;
mod unnamed;

pub use bridge::Bridge;
pub use command::Output;
pub use composefs::{Composefs, Verity};
pub use extents::may_share;
pub use fault::{Fault, FaultPlan};
pub use files::{parent, NewFile};
pub use kernel::{Detached, Listing, Locked};
pub use limited::Ended;
pub use original::Original;
pub use owners::{Extent, Owners, UserNamespace};
pub use tree::ScratchDir;
pub use unnamed::Unnamed;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Plans a fault, in builds for tests alone.
const FAULT_VARIABLE: &str = "CFS_HOST_FAULT";

/// A durable operation that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another program could not be started.
    #[error("cannot run {program}: {source} (is the package that holds it installed?)")]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Another program failed.
    #[error("{program} failed ({status}): {stderr}")]
    Program {
        /// Its name.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it said.
        stderr: String,
    },
    /// A test asks for a fault that does not exist.
    #[error("{FAULT_VARIABLE}={0} is neither stop:STEP nor errno:NUMBER:STEP")]
    FaultPlan(String),
}

/// What the operations of this folder return.
pub type Result<T> = std::result::Result<T, Error>;

/// The door. Shared by reference; cheap to make.
#[derive(Debug, Default)]
pub struct Sys {
    steps: AtomicU64,
    plan: Option<FaultPlan>,
}

impl Sys {
    /// The real system, nothing injected.
    pub fn real() -> Self {
        Self::default()
    }

    /// The real system; in builds with debug assertions with the fault that the environment plans (`CFS_HOST_FAULT`).
    pub fn from_env() -> Result<Self> {
        match std::env::var(FAULT_VARIABLE) {
            Ok(text) if cfg!(debug_assertions) => {
                FaultPlan::parse(&text).map(Self::with_fault).ok_or(Error::FaultPlan(text))
            }
            _ => Ok(Self::real()),
        }
    }

    /// The real system with one planned fault.
    pub fn with_fault(plan: FaultPlan) -> Self {
        Self { steps: AtomicU64::new(0), plan: Some(plan) }
    }

    /// How many durable operations were asked for so far.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Counts one operation, lets the planned fault happen, then does it.
    fn step<T>(&self, operation: &'static str, path: &Path, act: impl FnOnce() -> std::io::Result<T>) -> Result<T> {
        let number = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let outcome = match self.plan.as_ref().and_then(|plan| plan.strike(number)) {
            Some(error) => Err(error),
            None => act(),
        };
        outcome.map_err(|source| Error::Io { operation, path: path.to_owned(), source })
    }
}
