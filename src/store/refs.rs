//! Names: symbolic links from `streams/` and `images/` to objects, and tags, which keep a stream alive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Result, Store};
use crate::model::Digest;
use crate::sys::Sys;

/// The longest file name.
const NAME_MAX: usize = 255;

impl Store {
    /// The object that holds the stream of this name.
    pub fn stream(&self, name: &str) -> Result<Option<Digest>> {
        let path = self.path.join("streams").join(name);
        let target = match fs::read_link(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| Error::Read { path: path.clone(), source })?,
        };
        object_of(&target).map(Some).ok_or(Error::Damaged { path, why: "it does not point to an object" })
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

/// A tag as a file name, as composefs-rs writes it; cut where a file system would refuse it.
fn encode(tag: &str) -> String {
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
