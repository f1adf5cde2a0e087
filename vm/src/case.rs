//! What scenarios and roads have in common: a name, what is shown by it, and what came of it.

use std::sync::Mutex;

use anyhow::{anyhow, Result};
use serde::Serialize;

/// One thing to show.
pub trait Case: Sync {
    /// Its name on the command line.
    fn name(&self) -> &str;
    /// One line for reports.
    fn title(&self) -> String;
}

impl<C: Case> Case for &C {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn title(&self) -> String {
        (**self).title()
    }
}

/// What a case showed.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The decisive line, or what was seen inside.
    pub line: String,
    /// The machine hung once and was started again.
    pub retried: bool,
}

/// Something that is done once, by the first who needs it, for all.
#[derive(Debug)]
pub struct Once<T>(Mutex<Option<Result<T, String>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Once<T> {
    /// What was made, or what went wrong then.
    pub fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut done = self.0.lock().map_err(|_| anyhow!("whoever did this for all broke down"))?;
        done.get_or_insert_with(|| make().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
    }

    /// What was made so far.
    pub fn made(&self) -> Option<Result<T, String>> {
        self.0.lock().ok().and_then(|done| done.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_once_is_not_done_again_even_if_it_failed() {
        let once = Once::default();
        assert_eq!(once.made(), None);
        assert!(once.get(|| anyhow::bail!("no")).is_err());
        assert_eq!(once.get(|| Ok(1)).unwrap_err().to_string(), "no");
        assert_eq!(once.made(), Some(Err("no".to_owned())));
        let other = Once::default();
        assert_eq!(other.get(|| Ok(1)).unwrap(), 1);
        assert_eq!(other.get(|| Ok(2)).unwrap(), 1);
    }
}
