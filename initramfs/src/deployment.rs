//! From the name of a deployment to its proven image (security rules 8, 9, 10 and 12).
//!
//! On disk: `cfs/deploy/<id>/image.sig` and `composefs/objects/xx/yyyy…`, both the attacker's until proven.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::digest::Digest;
use crate::files;
use crate::mount::{NewRoot, Root};
use crate::names::DeploymentId;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::signature;
use crate::verity::{self, Proven};

/// Rule 13: the longest signature.
const LARGEST_SIGNATURE: u64 = 16 * 1024;

/// The composefs repository.
pub fn repository(root: &Root) -> Result<OwnedFd, Refusal> {
    files::directory(root.as_fd(), "composefs").map_err(|error| on_root("composefs", &files::reason(error)))
}

/// The repository's objects.
pub fn objects(composefs: BorrowedFd<'_>) -> Result<OwnedFd, Refusal> {
    files::directory(composefs, "objects").map_err(|error| on_root("composefs/objects", &files::reason(error)))
}

/// The deployment's image: found by what its signature claims, proven by what it measures.
pub fn prove(
    root: BorrowedFd<'_>,
    composefs: BorrowedFd<'_>,
    id: &DeploymentId,
    policy: &Policy,
) -> Result<Proven, Refusal> {
    let signature = signature_of(root, id)?;
    let digest = signature::claimed_digest(&signature)?;
    named_by(id, &digest)?;
    let path = digest.object_path();
    let (image, _) = files::regular(composefs, &path).map_err(|error| match error {
        Errno::NOENT => Refusal::new(10, format!("the image composefs/{path} of deployment {id} is missing")),
        error => on_root(&format!("composefs/{path}"), &files::reason(error)),
    })?;
    verity::prove(image, &signature, policy)
}

fn signature_of(root: BorrowedFd<'_>, id: &DeploymentId) -> Result<Vec<u8>, Refusal> {
    let path = format!("cfs/deploy/{id}/image.sig");
    let (file, _) = files::regular(root, &path).map_err(|error| on_root(&path, &files::reason(error)))?;
    let (_, bytes) = files::read_whole(file, LARGEST_SIGNATURE).map_err(|error| on_root(&path, &error.to_string()))?;
    Ok(bytes)
}

/// Rule 9: the id labels the image; the whole digest is compared when the image is measured.
fn named_by(id: &DeploymentId, digest: &Digest) -> Result<(), Refusal> {
    if id.short() == digest.short() {
        return Ok(());
    }
    Err(Refusal::new(9, format!("deployment {id} has the signature of another image, {digest}")))
}

/// Rule 12: a kernel without its modules is the kernel of another image.
pub fn modules_for_kernel(new: &NewRoot) -> Result<(), Refusal> {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let path = format!("usr/lib/modules/{kernel}");
    match files::open_beneath(new.as_fd(), &path, OFlags::PATH | OFlags::DIRECTORY) {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = files::reason(error);
            Err(Refusal::new(12, format!("the image has no modules for the running kernel: {path}: {why}")))
        }
    }
}

fn on_root(path: &str, why: &str) -> Refusal {
    Refusal::new(8, format!("{path} on the root file system: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const ID: &str = "0101010101010101.0";

    fn disk() -> (tempfile::TempDir, OwnedFd, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let deploy = dir.path().join("cfs/deploy").join(ID);
        std::fs::create_dir_all(&deploy).unwrap();
        let fd = std::fs::File::open(dir.path()).unwrap().into();
        (dir, fd, deploy)
    }

    #[test]
    fn a_signature_is_a_small_regular_file() {
        let (_dir, fd, deploy) = disk();
        let id = ID.parse().unwrap();
        let read = || signature_of(fd.as_fd(), &id);
        assert_eq!(read().unwrap_err().rule, 8);
        std::fs::write(deploy.join("image.sig"), vec![1; 16384]).unwrap();
        assert_eq!(read().unwrap().len(), 16384);
        std::fs::write(deploy.join("image.sig"), vec![1; 16385]).unwrap();
        assert!(read().unwrap_err().why.contains("more than 16384 bytes"));
        std::fs::rename(deploy.join("image.sig"), deploy.join("elsewhere")).unwrap();
        symlink("elsewhere", deploy.join("image.sig")).unwrap();
        assert_eq!(read().unwrap_err().rule, 8);
    }

    #[test]
    fn the_signature_of_another_image_is_refused_by_its_name() {
        let id = ID.parse().unwrap();
        assert!(named_by(&id, &Digest::new([1; 32])).is_ok());
        assert_eq!(named_by(&id, &Digest::new([2; 32])).unwrap_err().rule, 9);
    }
}
