//! From a claim to a proof (security rule 10): an image is mounted only as a [`Proven`].
//!
//! Takes an open image and the bytes of its signature; gives the value that [`crate::mount::composefs`] accepts.
//! The measuring functions serve the objects' pass and the command line tool as well.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::claims::Role;
use crate::digest::Digest;
use crate::files;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::signature::{self, Verified};
use crate::syscalls;

/// The largest image: names and attributes of a host, no contents.
const LARGEST_IMAGE: u64 = 512 * 1024 * 1024;

/// Why a file has no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoDigest {
    /// The file system can not do it.
    #[error("the file system has no fs-verity (ext4: `tune2fs -O verity`)")]
    Unsupported,
    /// Verity is on, with something else than SHA-256.
    #[error("its fs-verity digest uses the kernel's algorithm {0}, not SHA-256")]
    Algorithm(u16),
    /// The kernel failed.
    #[error("{0}")]
    Io(Errno),
}

impl From<Errno> for NoDigest {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOTTY | Errno::OPNOTSUPP => Self::Unsupported,
            error => Self::Io(error),
        }
    }
}

/// The digest of a file with fs-verity; `None` without.
pub fn measure(file: BorrowedFd<'_>) -> Result<Option<Digest>, NoDigest> {
    match syscalls::measure_verity(file) {
        Ok((syscalls::SHA256, digest)) => {
            let bytes = digest.as_slice().try_into().map_err(|_| NoDigest::Io(Errno::INVAL))?;
            Ok(Some(Digest::new(bytes)))
        }
        Ok((algorithm, _)) => Err(NoDigest::Algorithm(algorithm)),
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Turns fs-verity on; fine if it is on already.
pub fn enable(file: BorrowedFd<'_>) -> Result<(), NoDigest> {
    match syscalls::enable_verity(file) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The digest, after turning fs-verity on where it was off; and whether it was off.
pub fn enable_and_measure(file: BorrowedFd<'_>) -> Result<(Digest, bool), NoDigest> {
    if let Some(digest) = measure(file)? {
        return Ok((digest, false));
    }
    enable(file)?;
    let digest = measure(file)?.ok_or(NoDigest::Io(Errno::NODATA))?;
    Ok((digest, true))
}

/// An open image whose measured digest was judged, and its bytes as read through that same descriptor.
#[derive(Debug)]
pub struct Proven {
    image: OwnedFd,
    digest: Digest,
    bytes: Vec<u8>,
    signed: Result<Verified, Refusal>,
}

impl Proven {
    /// The descriptor to mount.
    pub fn image(&self) -> BorrowedFd<'_> {
        self.image.as_fd()
    }

    /// What was measured.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The whole image.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Who signed it; the refusal, in permissive mode alone.
    pub fn signed(&self) -> Result<&Verified, &Refusal> {
        self.signed.as_ref()
    }
}

/// Rule 10, in its order: bound, measure, verify the signature over what was measured, read to the end.
pub fn prove(image: OwnedFd, signature: &[u8], policy: &Policy) -> Result<Proven, Refusal> {
    let size = bounded_size(image.as_fd())?;
    let (digest, _) = enable_and_measure(image.as_fd())
        .map_err(|error| Refusal::new(10, format!("the image could not be measured: {error}")))?;
    let signed = signature::verify(signature, &digest, Role::HostBootable, policy);
    if policy.enforces() {
        if let Err(refusal) = signed {
            return Err(refusal);
        }
    }
    same_as_claimed(&digest, signature)?;
    let (image, bytes) = read(image, size)?;
    Ok(Proven { image, digest, bytes, signed })
}

/// In permissive mode too the image is the one that was asked for.
fn same_as_claimed(measured: &Digest, signature: &[u8]) -> Result<(), Refusal> {
    let claimed = signature::claimed_digest(signature)?;
    if claimed == *measured {
        return Ok(());
    }
    Err(Refusal::new(10, format!("the image measures {measured}, its signature is for {claimed}")))
}

/// To turn fs-verity on is to read the whole file: how long that takes is not the disk's to decide (rule 14).
fn bounded_size(image: BorrowedFd<'_>) -> Result<u64, Refusal> {
    let size = files::regular_size(image).map_err(|error| unreadable(files::reason(error)))?;
    if size > LARGEST_IMAGE {
        return Err(unreadable(format!("it has {size} bytes, an image has at most {LARGEST_IMAGE}")));
    }
    Ok(size)
}

/// A damaged block shows only when it is read: better here than in the middle of the mount.
fn read(image: OwnedFd, size: u64) -> Result<(OwnedFd, Vec<u8>), Refusal> {
    let (image, bytes) = files::read_whole(image, size).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 != size {
        return Err(unreadable(format!("it ends after {} of {size} bytes", bytes.len())));
    }
    Ok((image, bytes))
}

fn unreadable(why: String) -> Refusal {
    Refusal::new(10, format!("the image could not be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_a_file_system_without_verity_from_a_failure() {
        assert_eq!(NoDigest::from(Errno::NOTTY), NoDigest::Unsupported);
        assert_eq!(NoDigest::from(Errno::OPNOTSUPP), NoDigest::Unsupported);
        assert_eq!(NoDigest::from(Errno::IO), NoDigest::Io(Errno::IO));
    }

    #[test]
    fn the_size_is_bounded_before_anything_is_done_to_the_file() {
        let (_pipe, end) = std::io::pipe().unwrap();
        let refused = |image: OwnedFd| prove(image, b"", &crate::policy::tests::example()).unwrap_err();
        assert!(refused(end.into()).why.contains("not a regular file"));
        let sparse = tempfile::tempfile().unwrap();
        sparse.set_len(LARGEST_IMAGE + 1).unwrap();
        let refusal = refused(sparse.try_clone().unwrap().into());
        assert!(refusal.rule == 10 && refusal.why.contains("at most 536870912"), "{}", refusal.why);
        sparse.set_len(LARGEST_IMAGE).unwrap();
        assert_eq!(bounded_size(sparse.as_fd()), Ok(LARGEST_IMAGE));
    }

    #[test]
    fn a_file_that_is_not_as_long_as_it_was_is_refused() {
        let open = || std::fs::File::open("/proc/self/status").unwrap();
        assert!(read(open().into(), 1).unwrap_err().why.contains("more than 1 bytes"));
        let short = tempfile::tempfile().unwrap();
        assert!(read(short.into(), 3).unwrap_err().why.contains("ends after 0 of 3 bytes"));
    }

    #[test]
    fn an_image_without_a_measured_digest_is_not_proven() {
        // /proc has no fs-verity, whatever file system the tests run on.
        let image = std::fs::File::open("/proc/self/status").unwrap();
        let refusal = prove(image.into(), b"", &crate::policy::tests::example()).unwrap_err();
        assert_eq!(refusal.rule, 10);
        assert!(refusal.why.contains("no fs-verity"), "{}", refusal.why);
    }
}
