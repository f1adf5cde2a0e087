//! The small JSON files of `docs/update.md`: read whole, written whole, one version, unknown fields kept.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::{Error, Result};
use crate::model::update::{Denied, DeniedImage, EntriesNow, Health, Note, Notes, Staged, Trial};
use crate::sys::Sys;

/// The trial, below the root file system.
pub const TRIAL: &str = "cfs/trial.json";
/// Images that failed here.
pub const DENIED: &str = "cfs/denied.json";
/// What people should hear of later.
pub const NOTES: &str = "cfs/notes.json";
/// Inside a deployment: the last verdict.
pub const HEALTH: &str = "health.json";
/// Inside a deployment: `prune` leaves it alone.
pub const PINNED: &str = "pinned";
/// What is staged, below the running system's root.
pub const STAGED: &str = "run/cfs-host/staged.json";
/// The largest of these files.
const MAX_BYTES: u64 = 1 << 20;
/// How many failed images are remembered.
const MAX_DENIED: usize = 64;
/// How many notes are kept.
const MAX_NOTES: usize = 16;

/// A file with a version.
pub trait Record: Serialize + DeserializeOwned {
    /// What it says of itself; 1.
    fn version(&self) -> u32;
}

macro_rules! records {
    ($($kind:ty),*) => {
        $(impl Record for $kind {
            fn version(&self) -> u32 {
                self.version
            }
        })*
    };
}

records!(Staged, Trial, Denied, Notes, Health, EntriesNow);

/// Reads a record; `None` if there is none.
pub fn read<T: Record>(path: &Path) -> Result<Option<T>> {
    let fail = |why: String| Error::Record { path: path.to_owned(), why };
    match read_small(path).map_err(|error| fail(error.to_string()))? {
        None => Ok(None),
        Some(bytes) => parse(&bytes).map(Some).map_err(fail),
    }
}

/// The bytes of a small regular file; `None` if there is none. Nothing else is opened: a FIFO would hold the reader.
pub fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::other(format!("not a regular file of at most {MAX_BYTES} bytes")));
    }
    std::fs::read(path).map(Some)
}

/// Parses untrusted bytes.
pub fn parse<T: Record>(bytes: &[u8]) -> std::result::Result<T, String> {
    let record: T = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match record.version() {
        1 => Ok(record),
        other => Err(format!("it has version {other}, this program reads version 1: update cfs-host")),
    }
}

/// Writes a record, durable on return.
pub fn write<T: Record>(sys: &Sys, path: &Path, record: &T) -> Result<()> {
    // A struct with text keys and plain values always has a JSON form.
    let mut bytes = serde_json::to_vec_pretty(record).unwrap_or_default();
    bytes.push(b'\n');
    Ok(sys.write_file(path, &bytes, 0o644)?)
}

/// Whether this manifest failed here before.
pub fn denial(root: &Path, manifest_digest: &str) -> Result<Option<DeniedImage>> {
    let known = read::<Denied>(&root.join(DENIED))?;
    Ok(known.and_then(|known| known.images.into_iter().rev().find(|image| image.manifest_digest == manifest_digest)))
}

/// Remembers an image that failed; the newest replaces an older one of the same manifest.
pub fn deny(sys: &Sys, root: &Path, image: DeniedImage) -> Result<()> {
    let path = root.join(DENIED);
    let mut known = read::<Denied>(&path)?.unwrap_or_else(empty_denied);
    known.images.retain(|old| old.manifest_digest != image.manifest_digest);
    known.images.push(image);
    let surplus = known.images.len().saturating_sub(MAX_DENIED);
    known.images.drain(..surplus);
    write(sys, &path, &known)
}

/// Forgets that this manifest failed.
pub fn allow(sys: &Sys, root: &Path, manifest_digest: &str) -> Result<()> {
    let path = root.join(DENIED);
    let Some(mut known) = read::<Denied>(&path)? else { return Ok(()) };
    let before = known.images.len();
    known.images.retain(|image| image.manifest_digest != manifest_digest);
    match known.images.len() == before {
        true => Ok(()),
        false => write(sys, &path, &known),
    }
}

/// Leaves word for people. A file of notes that cannot be read is begun anew: nothing depends on it.
pub fn note(sys: &Sys, root: &Path, note: Note) -> Result<()> {
    let path = root.join(NOTES);
    let known = read::<Notes>(&path).ok().flatten();
    let mut notes = known.unwrap_or(Notes { version: 1, notes: Vec::new(), unknown: Default::default() });
    // Said again, it is one note: a step that is interrupted is done again.
    notes.notes.retain(|old| (&old.what, &old.why) != (&note.what, &note.why));
    notes.notes.push(note);
    let surplus = notes.notes.len().saturating_sub(MAX_NOTES);
    notes.notes.drain(..surplus);
    write(sys, &path, &notes)
}

fn empty_denied() -> Denied {
    Denied { version: 1, images: Vec::new(), unknown: Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::update::FailureKind;
    use crate::model::{DeploymentId, Digest};

    fn failed(manifest: &str) -> DeniedImage {
        DeniedImage {
            manifest_digest: manifest.into(),
            image: Digest::new([1; 32]),
            reference: "docker://example.org/host:v1".into(),
            deployment: DeploymentId::new(&Digest::new([1; 32]), 0),
            kind: FailureKind::Panic,
            why: "it fell over".into(),
            at: "2026-01-01T00:00:00Z".into(),
            unknown: Default::default(),
        }
    }

    fn host() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cfs")).unwrap();
        dir
    }

    #[test]
    fn an_image_is_denied_until_it_is_allowed() {
        let (dir, sys) = (host(), Sys::real());
        assert_eq!(denial(dir.path(), "sha256:1").unwrap(), None);
        deny(&sys, dir.path(), failed("sha256:1")).unwrap();
        deny(&sys, dir.path(), failed("sha256:2")).unwrap();
        assert_eq!(denial(dir.path(), "sha256:1").unwrap(), Some(failed("sha256:1")));
        allow(&sys, dir.path(), "sha256:1").unwrap();
        assert_eq!(denial(dir.path(), "sha256:1").unwrap(), None);
        assert!(denial(dir.path(), "sha256:2").unwrap().is_some());
    }

    #[test]
    fn the_list_is_bounded_and_the_oldest_go_first() {
        let (dir, sys) = (host(), Sys::real());
        for number in 0..=MAX_DENIED {
            deny(&sys, dir.path(), failed(&number.to_string())).unwrap();
        }
        assert_eq!(denial(dir.path(), "0").unwrap(), None);
        assert!(denial(dir.path(), "1").unwrap().is_some());
    }

    #[test]
    fn what_a_newer_program_wrote_is_kept_and_a_newer_version_is_refused() {
        let mut value = serde_json::to_value(failed("x")).unwrap();
        value["colour"] = "red".into();
        let text = serde_json::json!({"version": 1, "images": [value], "more": 2});
        let denied: Denied = parse(text.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&denied).unwrap(), text);
        assert!(parse::<Denied>(br#"{"version":2,"images":[]}"#).unwrap_err().contains("update cfs-host"));
    }

    #[test]
    fn an_unknown_way_to_fail_is_read() {
        let mut value = serde_json::to_value(failed("x")).unwrap();
        value["kind"] = "melted".into();
        let text = serde_json::json!({"version": 1, "images": [value]});
        assert_eq!(parse::<Denied>(text.to_string().as_bytes()).unwrap().images[0].kind, FailureKind::Other);
    }
}
