//! SELinux labels by the image's own policy.
//!
//! composefs-boot reads a policy from a directory, so the few files that it needs are laid out in a
//! temporary one: regular files of the tree only, so nothing of the running system is ever looked at.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use composefs::fsverity::Sha256HashValue;
use composefs::tree::{FileSystem, RegularFile};

use super::{Error, Result};
use crate::model::Digest;

const FOLDER: &str = "etc/selinux";
const FILES: [&str; 5] =
    ["file_contexts", "file_contexts.local", "file_contexts.homedirs", "file_contexts.subs", "file_contexts.subs_dist"];

/// Lays out the policy; `None` if the image has none.
pub(super) fn policy(
    tree: &FileSystem<Sha256HashValue>,
    contents: &dyn Fn(&Digest) -> io::Result<Vec<u8>>,
) -> Result<Option<tempfile::TempDir>> {
    let policy = Policy { tree, contents };
    let Some(config) = policy.file(FOLDER, "config")? else { return Ok(None) };
    let Some(name) = policy_type(&config) else { return Ok(None) };
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        let source = io::Error::new(io::ErrorKind::InvalidData, format!("SELINUXTYPE is {name:?}, which is no name"));
        return Err(Error::Policy { file: format!("{FOLDER}/config"), source });
    }
    let root = tempfile::tempdir().map_err(|source| Error::Policy { file: "a temporary copy".into(), source })?;
    let folder = root.path().join(FOLDER);
    write(&folder, "config", &format!("SELINUXTYPE={name}\n").into_bytes())?;
    let contexts = format!("{name}/contexts/files");
    for file in FILES {
        if let Some(bytes) = policy.file(&format!("{FOLDER}/{contexts}"), file)? {
            write(&folder.join(&contexts), file, &bytes)?;
        }
    }
    Ok(Some(root))
}

/// The type that composefs-boot would read: the first `SELINUXTYPE`.
fn policy_type(config: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(config);
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case("SELINUXTYPE")).map(|(_, value)| value.trim().to_owned())
}

struct Policy<'a> {
    tree: &'a FileSystem<Sha256HashValue>,
    contents: &'a dyn Fn(&Digest) -> io::Result<Vec<u8>>,
}

impl Policy<'_> {
    /// A regular file of the image; `None` if there is nothing of that name.
    fn file(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let fail = |source| Error::Policy { file: format!("{folder}/{name}"), source };
        let Ok(folder) = self.tree.root.get_directory(OsStr::new(folder)) else { return Ok(None) };
        match folder.get_file_opt(OsStr::new(name), &self.tree.leaves) {
            Ok(None | Some(RegularFile::Sparse(_))) => Ok(None),
            Ok(Some(RegularFile::Inline(bytes))) => Ok(Some(bytes.to_vec())),
            Ok(Some(RegularFile::External(id, _) | RegularFile::ExternalNoVerity(id, _))) => {
                (self.contents)(&super::digest(id)).map(Some).map_err(fail)
            }
            Err(error) => Err(fail(io::Error::other(error))),
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let write = || {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(name), bytes)
    };
    write().map_err(|source| Error::Policy { file: folder.join(name).display().to_string(), source })
}
