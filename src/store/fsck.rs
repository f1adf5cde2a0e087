//! fsck: every object has the content of its name, every name leads to something whole.
//!
//! Takes a store; gives what is wrong, all of it. Never writes, never stops at the first damage. Objects are looked at by as many
//! threads as there are processors. Where fs-verity is on the kernel's digest is enough: it checks the content as it is read.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cfs_init::{objects, verity};

use super::format::TEMPORARY;
use super::gc::{IMAGES, STREAMS};
use super::protect::count;
use super::refs::{list, REFS};
use super::stream::References;
use super::verity::Hasher;
use super::{Error, Result, Store};
use crate::model::fsck::{Checked, Finding};
use crate::model::Digest;

/// Read at once.
const BUFFER: usize = 256 << 10;
const AGAIN: &str = "remove it, and pull the images that need it again";
const FOREIGN: &str = "it is not of this store: remove it, or leave it";

impl Store {
    /// Checks everything; `contents`: objects with fs-verity are read as well.
    pub fn check(&self, contents: bool) -> Result<Checked> {
        let mut checked = Checked::default();
        let digests = self.listed_objects(&mut checked)?;
        self.check_objects(&digests, contents, &mut checked)?;
        self.check_names(IMAGES, &mut checked)?;
        self.check_names(STREAMS, &mut checked)?;
        for folder in [IMAGES, STREAMS] {
            self.check_tags(folder, &mut checked)?;
        }
        checked.temporary += temporary(list(&self.path)?.iter().map(|(_, name, _)| name.as_str()));
        Ok(checked)
    }

    /// All objects; what lies among them and is none is told.
    fn listed_objects(&self, checked: &mut Checked) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for (folder, prefix, kind) in list(&self.objects())? {
            if prefix.starts_with(TEMPORARY) {
                checked.temporary += 1;
                continue;
            }
            if prefix.len() != 2 || !kind.is_dir() || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                checked.findings.push(finding(&folder, "it is no folder of objects", FOREIGN));
                continue;
            }
            for (path, name, kind) in list(&folder)? {
                match format!("{prefix}{name}").parse() {
                    Ok(digest) if kind.is_file() => digests.push(digest),
                    _ if name.starts_with(TEMPORARY) => checked.temporary += 1,
                    _ => checked.findings.push(finding(&path, "it is no object", FOREIGN)),
                }
            }
        }
        Ok(digests)
    }

    fn check_objects(&self, digests: &[Digest], contents: bool, checked: &mut Checked) -> Result<()> {
        let (found, bytes) = (Mutex::new(Vec::new()), AtomicU64::new(0));
        let measured = count(digests, &|digest| {
            bytes.fetch_add(self.object_size(digest).unwrap_or(0), Ordering::Relaxed);
            let (measured, wrong) = self.check_object(digest, contents);
            if let Some(what) = wrong {
                let finding = finding(&self.object_file(digest), &what, AGAIN);
                found.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
            }
            Ok(measured)
        })?;
        checked.objects = digests.len() as u64;
        checked.bytes = bytes.into_inner();
        checked.measured = measured;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort();
        checked.findings.extend(found);
        Ok(())
    }

    /// Whether the kernel measured it, and what is wrong with it.
    fn check_object(&self, digest: &Digest, contents: bool) -> (bool, Option<String>) {
        let mut file = match self.object(digest) {
            Ok(file) => file,
            Err(error) => return (false, Some(error.to_string())),
        };
        // No fs-verity, or one of another algorithm: the content decides.
        let measured = verity::measure(file.as_fd()).ok().flatten();
        if let Some(measured) = measured.filter(|measured| measured != digest) {
            return (true, Some(format!("fs-verity measures {measured}")));
        }
        if measured.is_some() && !contents {
            return (true, None);
        }
        let wrong = match hash(&mut file) {
            Ok(found) if found == *digest => None,
            Ok(found) => Some(format!("its content has the digest {found}")),
            Err(error) => Some(format!("it cannot be read: {error}")),
        };
        (measured.is_some(), wrong)
    }

    /// Each name leads to an object that parses, and all that it needs is there.
    fn check_names(&self, folder: &str, checked: &mut Checked) -> Result<()> {
        for (path, name, kind) in list(&self.path.join(folder))? {
            if name == REFS && kind.is_dir() {
                continue;
            }
            if name.starts_with(TEMPORARY) {
                checked.temporary += 1;
                continue;
            }
            let wrong = match self.object_behind(&path) {
                Ok(Some(digest)) if folder == IMAGES => {
                    checked.images += 1;
                    self.check_image(&name, &digest)
                }
                Ok(Some(digest)) => {
                    checked.streams += 1;
                    self.check_stream(&digest)
                }
                // It was there a moment ago.
                Ok(None) => None,
                Err(_) => Some("it does not lead to an object".to_owned()),
            };
            checked.findings.extend(wrong.map(|what| finding(&path, &what, AGAIN)));
        }
        Ok(())
    }

    fn check_image(&self, name: &str, digest: &Digest) -> Option<String> {
        if digest.to_hex() != name {
            return Some(format!("it leads to another image, {digest}"));
        }
        let bytes = match self.whole(digest) {
            Ok(bytes) => bytes,
            Err(what) => return Some(what),
        };
        match objects::objects(&bytes) {
            Ok(named) => missing(named.iter().filter(|one| !self.has(&one.digest, one.size)).map(|one| one.digest)),
            Err(error) => Some(error.to_string()),
        }
    }

    fn check_stream(&self, digest: &Digest) -> Option<String> {
        let parse = |bytes: Vec<u8>| References::parse(&bytes).map_err(str::to_owned);
        match self.whole(digest).and_then(parse) {
            Ok(references) => {
                let all = references.objects.into_iter().chain(references.names.into_values());
                missing(all.filter(|digest| !self.holds(digest)))
            }
            Err(what) => Some(what),
        }
    }

    fn whole(&self, digest: &Digest) -> std::result::Result<Vec<u8>, String> {
        self.read(digest).map_err(|error| match error {
            Error::Missing { .. } => format!("its object {digest} is missing"),
            error => error.to_string(),
        })
    }

    fn check_tags(&self, folder: &str, checked: &mut Checked) -> Result<()> {
        let names = self.path.join(folder);
        for path in self.tag_links(folder)? {
            checked.tags += 1;
            let wrong = match self.name_behind(folder, &path) {
                Ok(name) if fs::symlink_metadata(names.join(&name)).is_ok() => None,
                Ok(name) => Some(format!("it leads to {name}, which is not there")),
                Err(_) => Some("it does not lead to a name of this store".to_owned()),
            };
            let advice = "remove the tag, or pull the image again";
            checked.findings.extend(wrong.map(|what| finding(&path, &what, advice)));
        }
        Ok(())
    }
}

fn hash(file: &mut fs::File) -> std::io::Result<Digest> {
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn missing(digests: impl Iterator<Item = Digest>) -> Option<String> {
    let missing: Vec<Digest> = digests.collect();
    let first = missing.first()?;
    Some(match missing.len() {
        1 => format!("it needs the object {first}, which is missing or of another size"),
        more => format!("it needs {more} objects that are missing or of another size, {first} among them"),
    })
}

fn temporary<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    names.filter(|name| name.starts_with(TEMPORARY)).count() as u64
}

fn finding(path: &Path, what: &str, advice: &str) -> Finding {
    Finding { path: path.display().to_string(), what: what.to_owned(), advice: advice.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gc::tests::image_of;
    use crate::store::stream::Writer;
    use crate::sys::Sys;

    /// A store with a tagged stream of two objects, and an image of them.
    fn store() -> (tempfile::TempDir, Store, [Digest; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let sys = Sys::real();
        let store = Store::open_or_create(dir.path(), &sys).unwrap();
        let objects = [1, 2].map(|n| store.put(&sys, &[n; 100]).unwrap());
        let mut writer = Writer::new(b"whatever").unwrap();
        objects.iter().for_each(|object| writer.object(*object, 100).unwrap());
        let stream = store.put(&sys, &writer.finish().unwrap()).unwrap();
        store.name_stream(&sys, "s", &stream).unwrap();
        store.tag_stream(&sys, "oci", "t", "s").unwrap();
        store.put_image(&sys, &image_of(&objects)).unwrap();
        (dir, store, objects)
    }

    /// Path and text of each finding.
    fn findings(store: &Store) -> Vec<(String, String)> {
        let found = store.check(true).unwrap().findings.into_iter();
        found.map(|finding| (finding.path.rsplit("/").next().unwrap().to_owned(), finding.what)).collect()
    }

    #[test]
    fn a_sound_store_is_clean_and_counted() {
        let (dir, store, _) = store();
        fs::write(dir.path().join("objects/.tmp-incoming-1-2"), "half").unwrap();
        let checked = store.check(false).unwrap();
        assert_eq!(checked.findings, []);
        assert_eq!((checked.objects, checked.streams, checked.images, checked.tags), (4, 1, 1, 1));
        assert_eq!(checked.temporary, 1, "what a killed program left is no damage");
    }

    #[test]
    fn a_changed_object_is_found_whatever_its_size() {
        let (_dir, store, [one, _]) = store();
        for bytes in [&[3; 100][..], &[1; 99], b""] {
            let file = store.object_file(&one);
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
            let found = findings(&store);
            assert!(
                found.iter().any(|(path, what)| one.to_hex().ends_with(path) && what.contains("digest")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn whoever_needs_a_missing_object_is_named() {
        let (_dir, store, [one, two]) = store();
        fs::remove_file(store.object_file(&two)).unwrap();
        let found = findings(&store);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|(_, what)| what.contains(&two.to_hex())), "{found:?}");
        fs::remove_file(store.object_file(&one)).unwrap();
        assert!(findings(&store).iter().all(|(_, what)| what.contains("2 objects")));
    }

    #[test]
    fn names_and_tags_that_lead_nowhere_or_elsewhere_are_found() {
        use std::os::unix::fs::symlink;
        let (dir, store, [one, _]) = store();
        let path = |name: &str| dir.path().join(name);
        symlink("../../etc/passwd", path("streams/out")).unwrap();
        symlink(format!("../{}", one.object_path()), path("streams/no-stream")).unwrap();
        symlink(format!("../{}", one.object_path()), path(&format!("images/{}", "0".repeat(64)))).unwrap();
        symlink(format!("../{}", one.object_path()), path(&format!("images/{one}"))).unwrap();
        symlink("../../gone", path("streams/refs/oci/lost")).unwrap();
        fs::write(path("objects/stray"), "").unwrap();
        fs::write(path("objects/ab"), "").unwrap();
        let mut names: Vec<String> = findings(&store).into_iter().map(|(name, _)| name).collect();
        names.sort();
        let mut expected = vec!["0".repeat(64), one.to_hex(), "lost".into(), "no-stream".into(), "out".into()];
        expected.extend(["ab".to_owned(), "stray".to_owned()]);
        expected.sort();
        assert_eq!(names, expected);
    }
}
