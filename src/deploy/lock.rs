//! One writer at a time: `cfs/lock`. Readers never wait.

use std::path::Path;
use std::time::{Duration, Instant};

use super::layout::LOCK;
use super::origin::now;
use super::{Error, Result};
use crate::sys::{Locked, Sys};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes the lock for this verb. While somebody else holds it, says so once through `say` and waits at most `patience`.
pub fn acquire(sys: &Sys, root: &Path, verb: &str, patience: Duration, say: &dyn Fn(&str)) -> Result<Locked> {
    let path = root.join(LOCK);
    let holder = serde_json::json!({"pid": std::process::id(), "verb": verb, "since": now()}).to_string();
    let begin = Instant::now();
    let mut said = false;
    loop {
        if let Some(locked) = sys.try_lock(&path, holder.as_bytes())? {
            return Ok(locked);
        }
        let who = holder_of(&path);
        if begin.elapsed() >= patience {
            return Err(Error::Locked(who));
        }
        if !said {
            say(&format!("Waiting for {who}"));
            said = true;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Who holds it, for people; the text is a hint.
fn holder_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else { return "an unknown process".to_owned() };
    let word = |key: &str| value[key].as_str().unwrap_or("?").to_owned();
    format!("`cfs-host {}`, process {}, since {}", word("verb"), value["pid"], word("since"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first_and_leaves_after_its_patience() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cfs")).unwrap();
        let (sys, none) = (Sys::real(), Duration::ZERO);
        let first = acquire(&sys, dir.path(), "upgrade", none, &|_| ()).unwrap();
        let error = acquire(&sys, dir.path(), "rollback", none, &|_| ()).unwrap_err();
        assert!(error.to_string().contains("cfs-host upgrade"), "{error}");
        drop(first);
        acquire(&sys, dir.path(), "rollback", none, &|_| ()).unwrap();
    }
}
