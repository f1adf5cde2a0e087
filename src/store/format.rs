//! `meta.json` and the folders of a repository: what we create, and what we refuse to touch.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lock::{share, Alone};
use super::refs::list;
use super::{Error, Result, Store};
use crate::sys::Sys;

/// How temporary names begin.
pub(super) const TEMPORARY: &str = ".tmp-";
const META: &str = "meta.json";
const ALGORITHM: &str = "fsverity-sha256-12";
const VERSION: u32 = 1;
/// Images are EROFS in format 1; tools that do not know the flag open the repository read-only.
const V1_EROFS: &str = "v1_erofs";
const FOLDERS: [&str; 6] = ["objects", "images", "images/refs", "streams", "streams/refs", "streams/refs/oci"];

/// The file `meta.json`, as composefs-rs 0.9 writes it.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    version: u32,
    algorithm: String,
    #[serde(default)]
    features: Features,
    #[serde(default)]
    erofs_formats: ErofsFormats,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Features {
    compatible: Vec<String>,
    read_only_compatible: Vec<String>,
    incompatible: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ErofsFormats {
    default: u32,
}

impl Default for ErofsFormats {
    fn default() -> Self {
        Self { default: 1 }
    }
}

impl Store {
    /// Opens an existing repository.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(META);
        let bytes = fs::read(&file).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotAStore { path: path.to_owned() },
            _ => Error::Read { path: file.clone(), source },
        })?;
        check(&file, &bytes)?;
        let lock = share(path)?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Opens a repository, or creates an empty one in an existing or new directory.
    /// Temporary files that a killed import left are removed, if nobody else has the repository open.
    pub fn open_or_create(path: &Path, sys: &Sys) -> Result<Self> {
        if !path.join(META).exists() {
            create(path, sys)?;
        }
        let store = Self::open(path)?;
        for folder in FOLDERS {
            sys.create_dir(&path.join(folder), 0o755)?;
        }
        if let Ok(alone) = store.alone() {
            alone.remove_temporary(sys)?;
        }
        Ok(store)
    }
}

impl Alone<'_> {
    /// Removes what ended processes left under temporary names: nobody else is at work here.
    pub(super) fn remove_temporary(&self, sys: &Sys) -> Result<()> {
        let path = &self.0.path;
        for folder in FOLDERS.map(|name| path.join(name)).iter().chain([path]) {
            for (path, ..) in list(folder)?.iter().filter(|(_, name, _)| name.starts_with(TEMPORARY)) {
                sys.remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn create(path: &Path, sys: &Sys) -> Result<()> {
    if path.join("objects").exists() && !path.join(META).exists() {
        return Err(Error::NotAStore { path: path.to_owned() });
    }
    sys.create_dir(path, 0o700)?;
    // Shared while it is made: another process that makes it too must not take our temporary file for a leftover.
    let _shared = share(path)?;
    let meta = Meta {
        version: VERSION,
        algorithm: ALGORITHM.to_owned(),
        features: Features { read_only_compatible: vec![V1_EROFS.to_owned()], ..Features::default() },
        erofs_formats: ErofsFormats::default(),
    };
    let mut bytes = serde_json::to_vec_pretty(&meta)
        .map_err(|error| Error::Read { path: path.join(META), source: io::Error::other(error) })?;
    bytes.push(b'\n');
    Ok(sys.write_file(&path.join(META), &bytes, 0o644)?)
}

fn check(file: &Path, bytes: &[u8]) -> Result<()> {
    let refuse = |why: String| Error::Format { path: file.to_owned(), why };
    let meta: Meta = serde_json::from_slice(bytes).map_err(|error| refuse(format!("it cannot be parsed ({error})")))?;
    if meta.version > VERSION {
        return Err(refuse(format!("its version is {}, this program knows {VERSION}", meta.version)));
    }
    if meta.algorithm != ALGORITHM {
        return Err(refuse(format!(
            "its algorithm is {}, and only {ALGORITHM} can be booted (make a new one with \
             `cfsctl init --algorithm {ALGORITHM}`, or give another directory)",
            meta.algorithm
        )));
    }
    let unknown = meta
        .features
        .incompatible
        .iter()
        .chain(meta.features.read_only_compatible.iter().filter(|flag| *flag != V1_EROFS));
    match unknown.into_iter().next() {
        Some(flag) => Err(refuse(format!("it uses the feature {flag:?}, which this program does not know"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(meta: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(META), meta).unwrap();
        Store::open_or_create(dir.path(), &Sys::real()).unwrap_err().to_string()
    }

    #[test]
    fn a_new_store_has_the_meta_json_of_cfsctl_init() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        Store::open_or_create(&path, &Sys::real()).unwrap();
        let expected = r#"{
  "version": 1,
  "algorithm": "fsverity-sha256-12",
  "features": {
    "compatible": [],
    "read-only-compatible": [
      "v1_erofs"
    ],
    "incompatible": []
  },
  "erofs_formats": {
    "default": 1
  }
}
"#;
        assert_eq!(fs::read_to_string(path.join(META)).unwrap(), expected);
        Store::open_or_create(&path, &Sys::real()).unwrap();
    }

    #[test]
    fn a_store_of_another_algorithm_version_or_feature_is_refused_by_name() {
        assert!(refusal(r#"{"version":1,"algorithm":"fsverity-sha512-12"}"#).contains("fsverity-sha512-12"));
        assert!(refusal(r#"{"version":2,"algorithm":"fsverity-sha256-12"}"#).contains("version is 2"));
        let feature = r#"{"version":1,"algorithm":"fsverity-sha256-12","features":{"incompatible":["shards"]}}"#;
        assert!(refusal(feature).contains("shards"));
        assert!(refusal("{").contains("cannot be parsed"));
    }

    #[test]
    fn objects_without_meta_json_are_not_taken_for_an_empty_store() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("objects")).unwrap();
        assert!(matches!(Store::open_or_create(dir.path(), &Sys::real()), Err(Error::NotAStore { .. })));
        assert!(matches!(Store::open(dir.path()), Err(Error::NotAStore { .. })));
    }

    #[test]
    fn leftovers_of_a_killed_import_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        let leftover = dir.path().join("objects/.tmp-incoming-1-99");
        fs::write(&leftover, "half").unwrap();
        let other = Store::open(dir.path()).unwrap();
        drop(Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        assert!(leftover.exists(), "another user may be writing it");
        drop(other);
        Store::open_or_create(dir.path(), &Sys::real()).unwrap();
        assert!(!leftover.exists());
    }
}
