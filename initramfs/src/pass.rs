//! The objects' pass (security rules 14 and 15): what the verified image names exists, with the right fs-verity digest.
//!
//! Takes the list from the image, never from the disk; turns fs-verity on where a build host could not.
//! A missing object would look like a deleted file to the running system, so it is a refusal here.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::io::Errno;

use crate::files;
use crate::objects::{self, NamedObject};
use crate::policy::{ObjectCheck, Policy};
use crate::refusal::Refusal;
use crate::verity::{self, NoDigest, Proven};

/// What the pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Objects that the image names.
    pub total: usize,
    /// Those whose fs-verity was turned on by this boot.
    pub enabled: usize,
}

/// The pass that the policy asks for, over the objects of a proven image.
pub fn for_policy(policy: &Policy, proven: &Proven, composefs: BorrowedFd<'_>) -> Result<Counts, Refusal> {
    match policy.objects {
        ObjectCheck::Off => Ok(Counts::default()),
        ObjectCheck::All => {
            let objects = objects::objects(proven.bytes()).map_err(|error| {
                Refusal::new(10, format!("image {} is not a composefs image of format 1: {error}", proven.digest()))
            })?;
            check(&objects, composefs)
        }
    }
}

/// Checks every object below `composefs` (the repository's directory).
pub fn check(objects: &[NamedObject], composefs: BorrowedFd<'_>) -> Result<Counts, Refusal> {
    each(objects, |object| check_one(object, composefs))
}

fn check_one(object: &NamedObject, composefs: BorrowedFd<'_>) -> Result<bool, Refusal> {
    let path = object.digest.object_path();
    let (file, size) = files::regular(composefs, &path).map_err(|error| match error {
        Errno::NOENT => Refusal::new(15, format!("composefs/{path} is missing, the image needs it")),
        error => Refusal::new(15, format!("composefs/{path}: {}", files::reason(error))),
    })?;
    if size != object.size {
        let expected = object.size;
        return Err(Refusal::new(15, format!("composefs/{path} has {size} bytes, the image says {expected}")));
    }
    let (digest, enabled) = verity::enable_and_measure(file.as_fd()).map_err(|error| match error {
        NoDigest::Unsupported => Refusal::new(14, format!("composefs/{path}: {error}")),
        error => Refusal::new(14, format!("fs-verity of composefs/{path}: {error}")),
    })?;
    if digest != object.digest {
        return Err(Refusal::new(14, format!("composefs/{path} has other content: it measures {digest}")));
    }
    Ok(enabled)
}

/// A thread mostly waits for the disk, so there are more of them than processors.
const THREADS_PER_PROCESSOR: usize = 4;

/// Runs `check` over all objects with many threads; the first refusal stops them all.
fn each<F>(objects: &[NamedObject], check: F) -> Result<Counts, Refusal>
where
    F: Fn(&NamedObject) -> Result<bool, Refusal> + Sync,
{
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut enabled = 0;
        while !stop.load(Ordering::Relaxed) {
            let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            match check(object) {
                Ok(was_off) => enabled += usize::from(was_off),
                Err(refusal) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(refusal);
                }
            }
        }
        Ok(enabled)
    };
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    let threads = (processors * THREADS_PER_PROCESSOR).min(objects.len());
    let enabled = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let died = || Refusal::new(15, "a thread of the objects' pass died");
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().map_err(|_| died())?).collect();
        results.into_iter().sum::<Result<usize, Refusal>>()
    })?;
    Ok(Counts { total: objects.len(), enabled })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use std::sync::Mutex;

    fn objects(count: u8) -> Vec<NamedObject> {
        (0..count).map(|n| NamedObject { digest: Digest::new([n; 32]), size: u64::from(n) }).collect()
    }

    #[test]
    fn every_object_is_checked_once() {
        let seen = Mutex::new(Vec::new());
        let counts = each(&objects(200), |object| {
            seen.lock().unwrap().push(object.size);
            Ok(object.size % 2 == 0)
        });
        assert_eq!(counts, Ok(Counts { total: 200, enabled: 100 }));
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        assert_eq!(seen, (0..200).collect::<Vec<u64>>());
        assert_eq!(each(&[], |_| Ok(true)), Ok(Counts::default()));
    }

    #[test]
    fn one_bad_object_is_a_refusal() {
        for bad in [0, 99] {
            let refused = each(&objects(100), |object| match object.size == bad {
                true => Err(Refusal::new(15, "bad")),
                false => Ok(false),
            });
            assert_eq!(refused, Err(Refusal::new(15, "bad")));
        }
    }

    #[test]
    fn missing_short_and_linked_objects_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let fd = std::fs::File::open(dir.path()).unwrap();
        let object = NamedObject { digest: Digest::new([0xab; 32]), size: 3 };
        let path = dir.path().join(object.digest.object_path());
        let refusal = || check(&[object], fd.as_fd()).unwrap_err();
        assert!(refusal().rule == 15 && refusal().why.contains("is missing"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"12").unwrap();
        assert!(refusal().rule == 15 && refusal().why.contains("has 2 bytes, the image says 3"));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(refusal().rule == 15 && refusal().why.contains("symbolic link"));
    }
}
