//! What nothing needs any more: found by following all that must stay, and removed.
//!
//! Takes [`Roots`]; gives [`Garbage`]. Never removes anything while something that must stay cannot be read: what it needs would be a guess.
//! On disk: names first, made durable, then objects; so a name never leads to a missing object, and a second sweep finishes a first one.

use std::collections::{BTreeMap, HashSet};

use cfs_init::objects;

use super::roots::Roots;
use super::space::OnDisk;
use super::stream::References;
use super::{Error, Result, Store};
use crate::model::Digest;
use crate::sys::Sys;

pub(super) const IMAGES: &str = "images";
pub(super) const STREAMS: &str = "streams";

/// An object that nothing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unneeded {
    /// Its name.
    pub digest: Digest,
    /// The space that becomes free without it, in bytes.
    pub bytes: u64,
}

/// What a sweep removes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Names below `images/`.
    pub images: Vec<String>,
    /// Names below `streams/`.
    pub streams: Vec<String>,
    /// Objects, sorted.
    pub objects: Vec<Unneeded>,
}

impl Garbage {
    /// The space that becomes free.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.bytes).sum()
    }
}

impl Store {
    /// What nothing needs, if these must stay. Reads only.
    pub fn garbage(&self, roots: &Roots) -> Result<Garbage> {
        let (images, streams) = (self.names(IMAGES)?, self.names(STREAMS)?);
        let missing = |folder: &str, name: &str| Error::MissingRoot { path: self.path.join(folder).join(name) };
        let mut needed = Needed { store: self, live: HashSet::new(), followed: HashSet::new() };
        let named = roots.images.iter().map(Digest::to_hex).chain(self.tagged(IMAGES)?);
        for name in named {
            let digest = images.get(&name).ok_or_else(|| missing(IMAGES, &name))?;
            if digest.to_hex() != name {
                let path = self.path.join(IMAGES).join(name);
                return Err(Error::Damaged { path, why: "it leads to another image than its name says" });
            }
            needed.image(digest)?;
        }
        for name in roots.streams.iter().cloned().chain(self.tagged(STREAMS)?) {
            needed.stream(streams.get(&name).ok_or_else(|| missing(STREAMS, &name))?)?;
        }
        // A name stays if what it names was reached as what it is, not merely as some file's content.
        let gone = |digest: &Digest| !needed.followed.contains(digest);
        let unneeded = |names: BTreeMap<String, Digest>| {
            names.into_iter().filter(|(_, digest)| gone(digest)).map(|(name, _)| name).collect()
        };
        Ok(Garbage { images: unneeded(images), streams: unneeded(streams), objects: self.unneeded(&needed.live)? })
    }

    /// All objects that a stream needs, itself among them. Reads only.
    pub fn needed_by(&self, stream: &Digest) -> Result<HashSet<Digest>> {
        let mut needed = Needed { store: self, live: HashSet::new(), followed: HashSet::new() };
        needed.stream(stream)?;
        Ok(needed.live)
    }

    /// Removes what nothing needs, if these must stay, and tells what that was. Nobody else may use the repository meanwhile;
    /// what is garbage is found out after that is sure.
    pub fn sweep(&self, sys: &Sys, roots: &Roots) -> Result<Garbage> {
        let alone = self.alone()?;
        let garbage = self.garbage(roots)?;
        for (folder, names) in [(IMAGES, &garbage.images), (STREAMS, &garbage.streams)] {
            let folder = self.path.join(folder);
            for name in names {
                sys.remove_file(&folder.join(name))?;
            }
            // Also without a name to remove: those of a sweep that was stopped are gone, and perhaps not for good.
            if folder.is_dir() {
                sys.sync_dir(&folder)?;
            }
        }
        for object in &garbage.objects {
            sys.remove_file(&self.object_file(&object.digest))?;
        }
        alone.remove_temporary(sys)?;
        Ok(garbage)
    }

    /// Every object but these. One that has another name, as podman's files may have, frees nothing when this one goes.
    fn unneeded(&self, live: &HashSet<Digest>) -> Result<Vec<Unneeded>> {
        let gone = self.objects_on_disk()?.into_iter().filter(|object| !live.contains(&object.digest));
        let freed = |object: &OnDisk| if object.names > 1 { 0 } else { object.bytes };
        let mut found: Vec<_> = gone.map(|one| Unneeded { digest: one.digest, bytes: freed(&one) }).collect();
        found.sort();
        Ok(found)
    }
}

/// What was reached so far.
struct Needed<'a> {
    store: &'a Store,
    /// Objects that stay.
    live: HashSet<Digest>,
    /// Those among them that were reached by a name; all that they name in turn is live.
    followed: HashSet<Digest>,
}

impl Needed<'_> {
    /// An image and all objects that it names.
    fn image(&mut self, digest: &Digest) -> Result<()> {
        if self.followed.insert(*digest) {
            let named = objects::objects(&self.store.read(digest)?);
            let named = named.map_err(|_| self.damaged(digest, "it is no composefs image of format 1"))?;
            self.live.insert(*digest);
            self.live.extend(named.iter().map(|object| object.digest));
        }
        Ok(())
    }

    /// A stream and all that it refers to.
    fn stream(&mut self, digest: &Digest) -> Result<()> {
        let mut open = vec![*digest];
        while let Some(next) = open.pop() {
            if !self.followed.insert(next) {
                continue;
            }
            self.live.insert(next);
            let bytes = self.store.read(&next)?;
            if next == *digest || References::begin(&bytes) {
                let references = References::parse(&bytes).map_err(|why| self.damaged(&next, why))?;
                self.live.extend(references.objects);
                open.extend(references.names.into_values());
            } else if let Ok(named) = objects::objects(&bytes) {
                // composefs-rs lets a stream refer to the image that was made of it.
                self.live.extend(named.iter().map(|object| object.digest));
            }
        }
        Ok(())
    }

    fn damaged(&self, digest: &Digest, why: &'static str) -> Error {
        Error::Damaged { path: self.store.object_file(digest), why }
    }
}

#[cfg(test)]
pub(super) mod tests;
