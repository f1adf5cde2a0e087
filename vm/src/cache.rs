//! What is costly to build is built once: artifacts named by the SHA-256 of all that went into them.
//!
//! They lie below `~/.cache/cfs-host/vm` (or `$CFS_VM_CACHE`), outside the clone, and are shared by clones: the name
//! says what is inside. An artifact is a directory that appears by a rename, so a build that was cut off leaves none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{flock, FlockOperation};
use sha2::{Digest, Sha256};

/// How many artifacts of one name are kept: old ones belong to inputs that no longer exist.
const KEPT: usize = 8;

/// One thing that an artifact is made of.
pub enum Input<'a> {
    /// A file's whole content.
    File(&'a Path),
    /// Text, such as an option or a version.
    Text(&'a str),
}

/// The directory of all artifacts.
pub fn root() -> Result<PathBuf> {
    let root = match std::env::var_os("CFS_VM_CACHE") {
        Some(path) => PathBuf::from(path),
        None => home()?.join(".cache/cfs-host/vm"),
    };
    fs::create_dir_all(&root).with_context(|| format!("cannot make the cache directory {}", root.display()))?;
    Ok(root)
}

/// The caller's home directory.
pub fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set, so there is no place for the cache: set HOME")
}

/// The directory of the artifact `name` made of `inputs`, filled by `build` if it does not exist yet.
pub fn artifact(name: &str, inputs: &[Input], build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    artifact_in(&root()?, name, inputs, build)
}

fn artifact_in(root: &Path, name: &str, inputs: &[Input], build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let path = root.join(format!("{name}-{}", digest(inputs)?));
    let lock = root.join(format!("{name}.lock"));
    let lock = File::create(&lock).with_context(|| format!("cannot open the lock {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive).with_context(|| format!("cannot lock the cache for {name}"))?;
    if !path.exists() {
        let fresh = tempfile::Builder::new().prefix(".building-").tempdir_in(root)?;
        build(fresh.path()).with_context(|| format!("cannot build the test artifact {name}"))?;
        fs::rename(fresh.keep(), &path).with_context(|| format!("cannot put {} in place", path.display()))?;
        drop_old(root, name)?;
    }
    Ok(path)
}

fn digest(inputs: &[Input]) -> Result<String> {
    let mut all = Sha256::new();
    for input in inputs {
        let one = match input {
            Input::Text(text) => Sha256::digest(text),
            Input::File(path) => {
                let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                let mut hash = Sha256::new();
                std::io::copy(&mut file, &mut hash).with_context(|| format!("cannot read {}", path.display()))?;
                hash.finalize()
            }
        };
        all.update(one);
    }
    Ok(hex::encode(&all.finalize()[..8]))
}

/// Removes all but the newest artifacts of this name.
fn drop_old(root: &Path, name: &str) -> Result<()> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('-')).is_some();
        if is_ours && entry.file_type()?.is_dir() {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    let old = found.len().saturating_sub(KEPT);
    for (_, path) in &found[..old] {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove the old artifact {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_inputs_are_built_once_and_others_again() {
        let root = tempfile::tempdir().unwrap();
        let built = |text: &str| {
            let mut ran = false;
            let path = artifact_in(root.path(), "thing", &[Input::Text(text)], |dir| {
                ran = true;
                Ok(fs::write(dir.join("file"), text)?)
            });
            assert_eq!(fs::read_to_string(path.unwrap().join("file")).unwrap(), text);
            ran
        };
        assert!(built("a"));
        assert!(!built("a"));
        assert!(built("b"));
    }

    #[test]
    fn a_failed_build_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert!(artifact_in(root.path(), "thing", &[], |_| anyhow::bail!("no")).is_err());
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["thing.lock"]);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for n in 0..KEPT + 3 {
            artifact_in(root.path(), "thing", &[Input::Text(&n.to_string())], |_| Ok(())).unwrap();
        }
        let kept = fs::read_dir(root.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count();
        assert_eq!(kept, KEPT);
    }
}
