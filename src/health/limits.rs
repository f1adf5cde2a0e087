//! `health.conf`: how long checks may take. Lines `NAME=SECONDS`: `each`, `total`, or the file name of a check.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// The image's file, and the machine's, whose lines come before those of the image.
const FILES: [&str; 2] = ["usr/lib/cfs-host/health.conf", "etc/cfs-host/health.conf"];
/// The largest of them.
const MAX_BYTES: u64 = 64 << 10;
/// A check, if nothing else is said.
const EACH: Duration = Duration::from_secs(60);
/// All checks together, if nothing else is said.
const TOTAL: Duration = Duration::from_secs(600);
/// The longest limit that can be set.
const MAX_SECONDS: u64 = 24 * 3600;

/// How long checks may take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limits {
    each: Duration,
    /// All of them together.
    pub total: Duration,
    special: BTreeMap<String, Duration>,
    /// Files and what is wrong with them.
    pub problems: Vec<(String, String)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { each: EACH, total: TOTAL, special: BTreeMap::new(), problems: Vec::new() }
    }
}

impl Limits {
    /// Reads both files. What cannot be understood is a problem, and the defaults count.
    pub(super) fn read(root: &Path) -> Self {
        let mut limits = Self::default();
        for file in FILES {
            match text(&root.join(file)) {
                Ok(Some(text)) => limits.add(file, &text),
                Ok(None) => {}
                Err(error) => limits.problems.push((format!("/{file}"), format!("cannot be read: {error}"))),
            }
        }
        limits
    }

    /// The limit of this check.
    pub(super) fn of(&self, program: &Path) -> Duration {
        let name = program.file_name().and_then(|name| name.to_str());
        name.and_then(|name| self.special.get(name)).copied().unwrap_or(self.each)
    }

    fn add(&mut self, file: &str, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once('=').and_then(|(name, value)| Some((name.trim(), seconds(value.trim())?))) {
                Some(("each", limit)) => self.each = limit,
                Some(("total", limit)) => self.total = limit,
                Some((name, limit)) if !name.is_empty() => drop(self.special.insert(name.to_owned(), limit)),
                _ => {
                    let line: String = line.chars().take(80).collect();
                    let why = format!("not NAME=SECONDS with 1 to {MAX_SECONDS} seconds: {line:?}");
                    self.problems.push((format!("/{file}"), why));
                }
            }
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: u64 = text.parse().ok()?;
    (1..=MAX_SECONDS).contains(&seconds).then(|| Duration::from_secs(seconds))
}

fn text(path: &Path) -> io::Result<Option<String>> {
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_check_has_its_own_limit_or_that_of_all() {
        let mut limits = Limits::default();
        limits.add("usr", "# longer\neach=5\n 20-database = 180\n");
        limits.add("etc", "20-database=90\ntotal=1000\n");
        assert_eq!(limits.of(Path::new("/x/20-database")).as_secs(), 90);
        assert_eq!(limits.of(Path::new("/x/other")).as_secs(), 5);
        assert_eq!((limits.total.as_secs(), limits.problems.len()), (1000, 0));
    }

    #[test]
    fn lines_that_say_nothing_are_problems_and_change_nothing() {
        for bad in ["each", "each=", "each=0", "each=-1", "each=5s", "=5", "each=86401", "total=1.5"] {
            let mut limits = Limits::default();
            limits.add("etc", bad);
            assert_eq!(limits.problems.len(), 1, "{bad}");
            assert_eq!(Limits { problems: Vec::new(), ..limits }, Limits::default(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            Limits::default().add("etc", &text);
        }
    }
}
