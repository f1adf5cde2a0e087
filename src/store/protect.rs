//! fs-verity on the objects of an image, before anything boots from them.
//!
//! Takes an image's digest; each object is measured by the kernel and compared with its name, as `/init` does it at boot.
//! A file system without fs-verity is no error here: whether such a host boots is `/init`'s decision.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use cfs_init::objects;
use cfs_init::verity::{self, NoDigest};

use super::{Error, Result, Store};
use crate::model::Digest;
use crate::sys::{self, Sys};

/// What the kernel says of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verity {
    /// The file system has none.
    Unsupported,
    /// It was on already, or was turned on now; this is what it measures.
    Measured { digest: Digest, now: bool },
}

impl Store {
    /// Turns fs-verity on for an image and every object that it names, by as many threads as there are processors, and syncs. Gives how many
    /// were given it now. A file system without it is fine: the first boot's `/init` decides.
    pub fn protect(&self, sys: &Sys, image: &Digest) -> Result<u64> {
        let enabled = self.protect_by(image, &|digest| self.enable(sys, digest))?;
        if enabled > 0 {
            self.sync(sys)?;
        }
        Ok(enabled)
    }

    /// An image, open to be mounted, and whether the kernel will check what is read of it: it does where the file system has fs-verity, which
    /// is turned on if it is not. Where it has none the image's own bytes are checked here.
    pub fn open_protected(&self, sys: &Sys, image: &Digest) -> Result<(File, sys::Verity)> {
        // What an older pull, or another tool, left without it.
        self.protect(sys, image)?;
        let file = self.object(image)?;
        match verity::measure(file.as_fd()).ok().flatten() {
            Some(measured) if measured == *image => Ok((file, sys::Verity::Required)),
            Some(_) => Err(Error::Damaged { path: self.object_file(image), why: "fs-verity measures another digest" }),
            None => self.read(image).map(|_| (file, sys::Verity::Off)),
        }
    }

    /// [`Store::protect`], by whoever turns it on.
    fn protect_by(&self, image: &Digest, enable: &(dyn Fn(&Digest) -> Result<Verity> + Sync)) -> Result<u64> {
        let Some(now) = self.judge(image, enable(image)?)? else { return Ok(0) };
        let path = self.object_file(image);
        let named = objects::objects(&self.read(image)?)
            .map_err(|_| Error::Damaged { path, why: "it is no composefs image of format 1" })?;
        let one = |digest: &Digest| Ok(self.judge(digest, enable(digest)?)?.unwrap_or(false));
        let digests: Vec<Digest> = named.into_iter().map(|object| object.digest).collect();
        Ok(u64::from(now) + count(&digests, &one)?)
    }

    /// One object; a single look if it has it already.
    fn enable(&self, sys: &Sys, digest: &Digest) -> Result<Verity> {
        let path = self.object_file(digest);
        let file = self.object(digest)?;
        let measure = || match verity::measure(file.as_fd()) {
            Err(NoDigest::Unsupported) => Ok(Some(Verity::Unsupported)),
            Ok(measured) => Ok(measured.map(|digest| Verity::Measured { digest, now: false })),
            Err(error) => Err(Error::Read { path: path.clone(), source: std::io::Error::other(error) }),
        };
        if let Some(known) = measure()? {
            return Ok(known);
        }
        if !sys.enable_verity(&path)? {
            return Ok(Verity::Unsupported);
        }
        match measure()? {
            Some(Verity::Measured { digest, .. }) => Ok(Verity::Measured { digest, now: true }),
            _ => Err(Error::Damaged { path, why: "fs-verity was turned on and is not on" }),
        }
    }

    /// Whether it was turned on now; `None` if it cannot be.
    fn judge(&self, digest: &Digest, verity: Verity) -> Result<Option<bool>> {
        match verity {
            Verity::Unsupported => Ok(None),
            Verity::Measured { digest: measured, now } if measured == *digest => Ok(Some(now)),
            Verity::Measured { .. } => {
                Err(Error::Damaged { path: self.object_file(digest), why: "its content measures another digest" })
            }
        }
    }
}

/// How many of them `act` says yes to, asked by as many threads as there are processors; the first error stops them all.
pub(super) fn count<T: Sync>(digests: &[T], act: &(dyn Fn(&T) -> Result<bool> + Sync)) -> Result<u64> {
    let (next, yes, stop) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let Some(digest) = digests.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let said = act(digest).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            yes.fetch_add(u64::from(said), Ordering::Relaxed);
        }
        Ok(())
    };
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processors.min(digests.len())).map(|_| scope.spawn(work)).collect();
        let died = |_| {
            Err(Error::Sys(crate::sys::Error::Io {
                operation: "look at",
                path: "the objects".into(),
                source: std::io::Error::other("a thread died"),
            }))
        };
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(died))
    })?;
    Ok(yes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gc::tests::image_of;
    use std::fs;
    use std::sync::Mutex;

    fn store() -> (tempfile::TempDir, Store, Digest, Vec<Digest>) {
        let dir = tempfile::tempdir().unwrap();
        let sys = Sys::real();
        let store = Store::open_or_create(dir.path(), &sys).unwrap();
        let objects: Vec<Digest> = (0..50u8).map(|n| store.put(&sys, &[n; 100]).unwrap()).collect();
        let image = store.put_image(&sys, &image_of(&objects)).unwrap();
        (dir, store, image, objects)
    }

    #[test]
    fn the_image_and_each_object_that_it_names_are_asked_once_the_image_first() {
        let (_dir, store, image, objects) = store();
        let asked = Mutex::new(Vec::new());
        let odd = |digest: &Digest| digest.as_bytes()[0] % 2 == 1;
        let enabled = store.protect_by(&image, &|digest| {
            asked.lock().unwrap().push(*digest);
            Ok(Verity::Measured { digest: *digest, now: odd(digest) })
        });
        let mut asked = asked.into_inner().unwrap();
        assert_eq!(asked[0], image);
        asked.sort();
        let mut all = [&objects[..], &[image]].concat();
        all.sort();
        assert_eq!(asked, all);
        assert_eq!(enabled.unwrap(), all.iter().filter(|digest| odd(digest)).count() as u64);
    }

    #[test]
    fn a_file_system_without_it_is_asked_once() {
        let (_dir, store, image, _) = store();
        let asked = AtomicU64::new(0);
        let enabled = store.protect_by(&image, &|_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(Verity::Unsupported)
        });
        assert_eq!((enabled.unwrap(), asked.into_inner()), (0, 1));
    }

    #[test]
    fn an_object_of_other_content_is_damage() {
        let (_dir, store, image, objects) = store();
        let error = store.protect_by(&image, &|digest| {
            let measured = if *digest == objects[7] { Digest::new([9; 32]) } else { *digest };
            Ok(Verity::Measured { digest: measured, now: true })
        });
        let path = store.object_file(&objects[7]);
        assert!(matches!(error, Err(Error::Damaged { path: named, .. }) if named == path));
    }

    #[test]
    fn a_missing_object_is_named_and_this_file_system_gives_all_or_nothing() {
        let (_dir, store, image, objects) = store();
        let sys = Sys::real();
        let all = objects.len() as u64 + 1;
        let first = store.protect(&sys, &image).unwrap();
        assert!(first == 0 || first == all, "{first}");
        let steps = sys.steps();
        assert_eq!(store.protect(&sys, &image).unwrap(), 0);
        assert!(sys.steps() - steps <= 1, "what has it is turned on again");
        fs::remove_file(store.object_file(&objects[0])).unwrap();
        assert!(matches!(count(&objects, &|digest| store.object(digest).map(|_| true)), Err(Error::Missing { .. })));
    }
}
