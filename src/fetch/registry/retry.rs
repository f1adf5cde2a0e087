//! Another attempt, after a while: what fails for a moment does not fail an update.

use std::hash::{BuildHasher, RandomState};
use std::thread::sleep;
use std::time::Duration;

use super::failure::{Cause, Failure};
use crate::fetch::Patience;

/// The longest pause of our own choice, and the longest that a registry may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(60);
const ASKED_MAX: Duration = Duration::from_secs(300);

/// Counts the attempts of one piece of work.
pub(super) struct Attempts<'a> {
    patience: &'a Patience,
    failed: u32,
}

impl<'a> Attempts<'a> {
    /// None failed yet.
    pub(super) fn new(patience: &'a Patience) -> Self {
        Self { patience, failed: 0 }
    }

    /// There was progress: failures before it do not count.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits until the next attempt is due; gives the failure back if there is none.
    pub(super) fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.cause != Cause::Passing {
            return Err(failure);
        }
        if self.failed >= self.patience.retries {
            let tries = self.failed + 1;
            let why = if tries > 1 { format!("{} ({tries} attempts)", failure.why) } else { failure.why };
            return Err(Failure { why, ..failure });
        }
        // Any number will do, as long as a fleet's machines have different ones.
        let random = RandomState::new().hash_one(0);
        sleep(pause(self.patience.delay, self.failed, random).max(failure.after.unwrap_or_default().min(ASKED_MAX)));
        self.failed += 1;
        Ok(())
    }
}

/// Tries until it works, or stays broken.
pub(super) fn retrying<T>(patience: &Patience, work: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut attempts = Attempts::new(patience);
    loop {
        match work() {
            Ok(done) => return Ok(done),
            Err(failure) => attempts.wait(failure)?,
        }
    }
}

/// As long as was asked for; else 1 s, 2 s, 4 s and so on, each up to a quarter more or less.
fn pause(asked: Option<Duration>, failed: u32, random: u64) -> Duration {
    if let Some(asked) = asked {
        return asked;
    }
    let seconds = Duration::from_secs(1 << failed.min(6)).min(PAUSE_MAX);
    seconds * 3 / 4 + seconds.mul_f64(0.5 * random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ_and_end() {
        assert_eq!(pause(Some(Duration::from_millis(7)), 5, 1), Duration::from_millis(7));
        assert_eq!(pause(None, 0, 0), Duration::from_millis(750));
        assert_eq!(pause(None, 0, u64::MAX), Duration::from_millis(1250));
        assert_eq!(pause(None, 2, 0), Duration::from_secs(3));
        assert_eq!(pause(None, u32::MAX, 0), Duration::from_secs(45));
    }

    #[test]
    fn only_what_passes_is_tried_again_and_not_forever() {
        let patience = Patience { retries: 2, delay: Some(Duration::ZERO), ..Patience::default() };
        let count = |cause| {
            let tries = std::cell::Cell::new(0);
            let failure = retrying(&patience, || {
                tries.set(tries.get() + 1);
                Err::<(), _>(Failure::new(cause, "x"))
            });
            (tries.get(), failure.unwrap_err().why)
        };
        assert_eq!(count(Cause::Passing), (3, "x (3 attempts)".to_owned()));
        assert_eq!(count(Cause::Missing), (1, "x".to_owned()));
    }
}
