//! Names: symbolic links from `streams/` and `images/` to objects, and tags, which keep a stream alive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, FileType};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::format::TEMPORARY;
use super::{Error, Result, Store};
use crate::model::Digest;
use crate::sys::Sys;

/// The folder of tags in `images` and `streams`.
pub(super) const REFS: &str = "refs";
/// The longest file name.
const NAME_MAX: usize = 255;

impl Store {
    /// The object that holds the stream of this name.
    pub fn stream(&self, name: &str) -> Result<Option<Digest>> {
        self.object_behind(&self.path.join("streams").join(name))
    }

    /// The object that this link leads to; `None` if there is no such link. Any other kind of link is damage.
    pub(super) fn object_behind(&self, link: &Path) -> Result<Option<Digest>> {
        let target = match fs::read_link(link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| Error::Read { path: link.to_owned(), source })?,
        };
        let damaged = || Error::Damaged { path: link.to_owned(), why: "it does not point to an object" };
        object_of(&target).map(Some).ok_or_else(damaged)
    }

    /// All names in `images` or `streams`, and the objects that they lead to, which may be gone.
    pub(super) fn names(&self, folder: &str) -> Result<BTreeMap<String, Digest>> {
        let mut found = BTreeMap::new();
        for (path, name, _) in list(&self.path.join(folder))? {
            if name == REFS || name.starts_with(TEMPORARY) {
                continue;
            }
            found.extend(self.object_behind(&path)?.map(|digest| (name, digest)));
        }
        Ok(found)
    }

    /// The names in `images` or `streams` that tags below its `refs/` lead to.
    pub(super) fn tagged(&self, folder: &str) -> Result<BTreeSet<String>> {
        self.tag_links(folder)?.iter().map(|path| self.name_behind(folder, path)).collect()
    }

    /// The links below `refs/` of `images` or `streams`.
    pub(super) fn tag_links(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut open = vec![self.path.join(folder).join(REFS)];
        while let Some(directory) = open.pop() {
            for (path, name, kind) in list(&directory)? {
                if kind.is_dir() {
                    open.push(path);
                } else if !name.starts_with(TEMPORARY) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Whether an image of this digest is there under its name; its objects are not looked at.
    pub fn has_image(&self, digest: &Digest) -> bool {
        let named = self.object_behind(&self.path.join("images").join(digest.to_hex()));
        named.is_ok_and(|named| named == Some(*digest)) && self.holds(digest)
    }

    /// Gives images that were stored as objects their names, after all that was written is durable; so are the names on return.
    pub fn name_images(&self, sys: &Sys, digests: &[Digest]) -> Result<()> {
        self.sync(sys)?;
        digests.iter().try_for_each(|digest| self.name_image(sys, digest))?;
        Ok(sys.sync_dir(&self.path.join("images"))?)
    }

    /// The name in this folder that a tag leads to.
    pub(super) fn name_behind(&self, folder: &str, tag: &Path) -> Result<String> {
        let target = fs::read_link(tag).map_err(|source| Error::Read { path: tag.to_owned(), source })?;
        let place =
            tag.parent().and_then(|parent| parent.strip_prefix(&self.path).ok()).map(|place| place.join(target));
        let name = place.and_then(|place| name_in(folder, &place));
        name.ok_or_else(|| Error::Damaged {
            path: tag.to_owned(),
            why: "it does not lead to a name of this repository",
        })
    }

    /// Names a stream. Its objects must be durable ([`Store::sync`]); the name is after the next one.
    pub fn name_stream(&self, sys: &Sys, name: &str, digest: &Digest) -> Result<()> {
        let target = Path::new("..").join(digest.object_path());
        self.link(sys, &target, &self.path.join("streams").join(name))
    }

    /// Tags a stream below `streams/refs/<folder>/`: a root for garbage collection.
    pub fn tag_stream(&self, sys: &Sys, folder: &str, tag: &str, name: &str) -> Result<()> {
        let folder = self.path.join("streams/refs").join(folder);
        sys.create_dir(&folder, 0o755)?;
        self.link(sys, &Path::new("../..").join(name), &folder.join(encode(tag)))
    }

    /// Names an image below `images/`, as [`Store::name_stream`].
    pub(super) fn name_image(&self, sys: &Sys, digest: &Digest) -> Result<()> {
        let target = Path::new("..").join(digest.object_path());
        self.link(sys, &target, &self.path.join("images").join(digest.to_hex()))
    }

    fn link(&self, sys: &Sys, target: &Path, link: &Path) -> Result<()> {
        if fs::read_link(link).is_ok_and(|old: PathBuf| old == target) {
            return Ok(());
        }
        Ok(sys.replace_symlink(target, link)?)
    }
}

/// `../objects/xx/yyyy…` and nothing else.
fn object_of(target: &Path) -> Option<Digest> {
    let (two, rest) = target.to_str()?.strip_prefix("../objects/")?.split_once('/')?;
    format!("{two}{rest}").parse().ok().filter(|_| two.len() == 2)
}

/// The one name below `folder` that this path, relative to the repository, means; dots are resolved as text.
fn name_in(folder: &str, path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    match parts[..] {
        [first, name] if first == folder && name != REFS => Some(name.to_owned()),
        _ => None,
    }
}

/// What is in a directory: path, name, kind; nothing if it is not there.
pub(super) fn list(directory: &Path) -> Result<Vec<(PathBuf, String, FileType)>> {
    let fail = |source| Error::Read { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fail)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|_| Error::Damaged { path: entry.path(), why: "its name is no text" })?;
        found.push((entry.path(), name, entry.file_type().map_err(fail)?));
    }
    Ok(found)
}

/// A tag as a file name, as composefs-rs writes it; cut where a file system would refuse it.
pub(super) fn encode(tag: &str) -> String {
    let mut name = tag.replace('%', "%25").replace('/', "%2F");
    while name.len() > NAME_MAX {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_found_by_name_and_the_name_can_move() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        let (one, two) = (store.put(&sys, b"1").unwrap(), store.put(&sys, b"2").unwrap());
        assert_eq!(store.stream("s").unwrap(), None);
        store.name_stream(&sys, "s", &one).unwrap();
        assert_eq!(store.stream("s").unwrap(), Some(one));
        store.name_stream(&sys, "s", &two).unwrap();
        assert_eq!(store.stream("s").unwrap(), Some(two));
        store.tag_stream(&sys, "oci", "oci:/a/b%", "s").unwrap();
        assert_eq!(fs::read(dir.path().join("streams/refs/oci/oci:%2Fa%2Fb%25")).unwrap(), b"2");
    }

    #[test]
    fn a_link_that_leaves_the_store_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path(), &Sys::real()).unwrap();
        std::os::unix::fs::symlink("../../etc/passwd", dir.path().join("streams/s")).unwrap();
        assert!(matches!(store.stream("s"), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_long_tag_still_gives_a_file_name() {
        assert!(encode(&"ä/".repeat(200)).len() <= NAME_MAX);
    }
}
