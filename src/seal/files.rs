//! The files of an image, as the steps of sealing read them.

use std::io::Read;

use super::{Error, Result};
use crate::image::{Node, Tree};
use crate::store::Store;

/// The largest file that is read into memory: far above any UKI.
const MAX_BYTES: u64 = 512 << 20;
/// Links in a row that are followed.
const MAX_LINKS: usize = 8;

/// Files by path, relative to the image's root. The last part of a path may be a symbolic link.
pub trait Files {
    /// A regular file's bytes; `None` if there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Names in a directory, sorted; none if it is no directory.
    fn list(&self, path: &str) -> Vec<String>;

    /// A regular file's bytes; its absence is an error with a hint.
    fn require(&self, path: &str, hint: &str) -> Result<Vec<u8>> {
        self.read(path)?.ok_or_else(|| Error::Missing { path: path.to_owned(), hint: hint.to_owned() })
    }
}

/// A merged tree whose contents are in a store.
#[derive(Clone, Copy, Debug)]
pub struct ImageFiles<'a> {
    /// Names and small files.
    pub tree: &'a Tree,
    /// The other contents.
    pub store: &'a Store,
}

impl Files for ImageFiles<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.tree.get(&path) {
                Some((Node::Inline(bytes), _)) => return Ok(Some(bytes)),
                Some((Node::Object { size, .. }, _)) if size > MAX_BYTES => {
                    return Err(Error::File { path, why: format!("it is larger than {MAX_BYTES} bytes") });
                }
                Some((Node::Object { digest, .. }, _)) => {
                    let mut bytes = Vec::new();
                    let file = self.store.object(&digest).map_err(|error| unreadable(&path, &error))?;
                    (&file).read_to_end(&mut bytes).map_err(|error| unreadable(&path, &error))?;
                    return Ok(Some(bytes));
                }
                Some((Node::Symlink(target), _)) => path = join(&path, &String::from_utf8_lossy(&target)),
                _ => return Ok(None),
            }
        }
        Err(Error::File { path, why: format!("more than {MAX_LINKS} symbolic links in a row") })
    }

    fn list(&self, path: &str) -> Vec<String> {
        let names = self.tree.list(path).unwrap_or_default();
        names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
    }
}

fn unreadable(path: &str, error: &dyn std::fmt::Display) -> Error {
    Error::File { path: path.to_owned(), why: format!("its content cannot be read: {error}") }
}

/// Where a link leads, inside the image: `..` never leaves the root.
fn join(link: &str, target: &str) -> String {
    let parent = link.rsplit_once('/').map_or("", |(parent, _)| parent);
    let base = if target.starts_with('/') { "" } else { parent };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// An image in memory.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Fake(pub BTreeMap<String, Vec<u8>>);

    impl Fake {
        pub(crate) fn with(mut self, path: &str, bytes: &[u8]) -> Self {
            self.0.insert(path.to_owned(), bytes.to_vec());
            self
        }
    }

    impl Files for Fake {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
            Ok(self.0.get(path).cloned())
        }

        fn list(&self, path: &str) -> Vec<String> {
            let inside = self.0.keys().filter_map(|key| key.strip_prefix(path)?.strip_prefix('/'));
            let mut names: Vec<String> = inside.filter_map(|rest| rest.split('/').next()).map(String::from).collect();
            names.dedup();
            names
        }
    }

    #[test]
    fn links_stay_inside_the_image() {
        for (link, target, expected) in [
            ("usr/lib/os-release", "../../etc/os-release", "etc/os-release"),
            ("etc/os-release", "../usr/lib/os-release", "usr/lib/os-release"),
            ("usr/lib/modules/6.1/vmlinuz", "/boot/vmlinuz", "boot/vmlinuz"),
            ("vmlinuz", "../../../boot/./vmlinuz", "boot/vmlinuz"),
        ] {
            assert_eq!(join(link, target), expected);
        }
    }
}
