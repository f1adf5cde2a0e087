//! Where things lie on the root file system, and the order in which a deployment becomes one.

use std::path::{Path, PathBuf};

use super::origin::Origin;
use super::Result;
use crate::model::{DeploymentId, Digest};
use crate::sys::Sys;

/// The composefs repository.
pub const REPOSITORY: &str = "composefs";
/// One directory for each deployment.
pub const DEPLOYMENTS: &str = "cfs/deploy";
/// `/var`, shared by deployments.
pub const VAR: &str = "cfs/var";
/// One writer at a time holds it.
pub const LOCK: &str = "cfs/lock";
/// The layout's version.
pub const VERSION: &str = "cfs/version";
/// Inside a deployment: where it came from.
pub const ORIGIN: &str = "origin.json";
/// Inside a deployment: what `/init` verifies.
pub const SIGNATURE: &str = "image.sig";
/// Inside a deployment: its writable `/etc`.
pub const ETC: &str = "etc";

/// What makes a deployment, but for its `/etc`.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// Its name.
    pub id: &'a DeploymentId,
    /// Where it came from.
    pub origin: &'a Origin,
    /// The signature that was verified.
    pub signature: &'a [u8],
}

/// The deployment's directory.
pub fn deployment(root: &Path, id: &DeploymentId) -> PathBuf {
    root.join(DEPLOYMENTS).join(id.to_string())
}

/// Creates the layout on an empty file system, all but the repository and deployments.
pub fn create(sys: &Sys, root: &Path) -> Result<()> {
    for directory in ["cfs", DEPLOYMENTS, VAR] {
        sys.create_dir(&root.join(directory), 0o755)?;
    }
    sys.write_file(&root.join(LOCK), b"", 0o600)?;
    sys.write_file(&root.join(VERSION), b"1\n", 0o644)?;
    Ok(())
}

/// The id of the next deployment of this image: the lowest serial above those that exist.
pub fn next_id(root: &Path, image: &Digest) -> DeploymentId {
    let highest = list(root).into_iter().filter(|id| id.short() == image.short()).map(|id| id.serial()).max();
    DeploymentId::new(image, highest.map_or(0, |serial| serial.saturating_add(1)))
}

/// Every deployment, sorted; other names in the directory are not ours and are left out.
pub fn list(root: &Path) -> Vec<DeploymentId> {
    let Ok(entries) = std::fs::read_dir(root.join(DEPLOYMENTS)) else { return Vec::new() };
    let mut ids: Vec<DeploymentId> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort();
    ids
}

/// Writes a deployment so that it appears whole and durable, or not at all: temporary name, one barrier, rename.
/// `fill_etc` fills the empty directory that it is given.
pub fn write(sys: &Sys, root: &Path, new: &Deployment<'_>, fill_etc: &dyn Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let temporary = root.join(DEPLOYMENTS).join(format!(".tmp-{}", new.id));
    sys.remove_dir_all(&temporary)?;
    let written = write_below(sys, &temporary, new, fill_etc).and_then(|()| {
        let target = deployment(root, new.id);
        sys.rename(&temporary, &target)?;
        Ok(target)
    });
    if written.is_err() {
        // The first error is the one that counts; leftovers have a name that the next run removes.
        let _ = sys.remove_dir_all(&temporary);
    }
    written
}

/// Removes a deployment; a stop on the way leaves it whole or under a name that is no deployment's.
pub fn remove(sys: &Sys, root: &Path, id: &DeploymentId) -> Result<()> {
    let directory = deployment(root, id);
    let going = root.join(DEPLOYMENTS).join(format!(".tmp-{id}"));
    sys.remove_dir_all(&going)?;
    if directory.is_dir() {
        sys.rename(&directory, &going)?;
        sys.remove_dir_all(&going)?;
    }
    Ok(())
}

/// Removes what ended runs left under temporary names. The caller is the only writer.
pub fn remove_leftovers(sys: &Sys, root: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(root.join(DEPLOYMENTS)) else { return Ok(()) };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".tmp-")) {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => sys.remove_dir_all(&entry.path())?,
            false => sys.remove_file(&entry.path())?,
        }
    }
    Ok(())
}

fn write_below(
    sys: &Sys,
    directory: &Path,
    new: &Deployment<'_>,
    fill_etc: &dyn Fn(&Path) -> Result<()>,
) -> Result<()> {
    sys.create_dir(directory, 0o755)?;
    sys.write_file(&directory.join(ORIGIN), &new.origin.to_json(), 0o644)?;
    sys.write_file(&directory.join(SIGNATURE), new.signature, 0o644)?;
    let etc = directory.join(ETC);
    sys.create_dir(&etc, 0o755)?;
    fill_etc(&etc)?;
    Ok(sys.sync_fs(directory)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Fault, FaultPlan};

    fn write_one(sys: &Sys, root: &Path) -> Result<PathBuf> {
        let origin = super::super::origin::tests::example();
        let id = next_id(root, &origin.image);
        let new = Deployment { id: &id, origin: &origin, signature: b"sig" };
        write(sys, root, &new, &|etc| Ok(sys.write_file(&etc.join("hostname"), b"x", 0o644)?))
    }

    #[test]
    fn a_deployment_appears_whole_or_not_at_all_whatever_step_fails() {
        let counted = Sys::real();
        let dir = tempfile::tempdir().unwrap();
        create(&Sys::real(), dir.path()).unwrap();
        write_one(&counted, dir.path()).unwrap();
        for at in 1..=counted.steps() {
            let dir = tempfile::tempdir().unwrap();
            create(&Sys::real(), dir.path()).unwrap();
            let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(28) });
            assert!(write_one(&sys, dir.path()).is_err(), "step {at}");
            for id in list(dir.path()) {
                let directory = deployment(dir.path(), &id);
                assert!(Origin::read(&directory.join(ORIGIN)).is_ok(), "step {at}");
                assert_eq!(std::fs::read(directory.join(SIGNATURE)).unwrap(), b"sig", "step {at}");
                assert!(directory.join("etc/hostname").exists(), "step {at}");
            }
            let hidden = std::fs::read_dir(dir.path().join(DEPLOYMENTS)).unwrap();
            assert_eq!(hidden.count(), list(dir.path()).len(), "step {at} left something behind");
        }
    }

    #[test]
    fn a_removed_deployment_is_gone_whatever_step_fails() {
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            create(&Sys::real(), dir.path()).unwrap();
            write_one(&Sys::real(), dir.path()).unwrap();
            dir
        };
        let (dir, counted) = (make(), Sys::real());
        remove(&counted, dir.path(), &list(dir.path())[0]).unwrap();
        assert!(list(dir.path()).is_empty());
        for at in 1..=counted.steps() {
            let dir = make();
            let id = list(dir.path()).remove(0);
            let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(5) });
            assert!(remove(&sys, dir.path(), &id).is_err(), "step {at}");
            for id in list(dir.path()) {
                assert!(deployment(dir.path(), &id).join("etc/hostname").exists(), "step {at}");
            }
            remove(&Sys::real(), dir.path(), &id).unwrap();
            assert_eq!(std::fs::read_dir(dir.path().join(DEPLOYMENTS)).unwrap().count(), 0, "step {at}");
        }
    }

    #[test]
    fn serials_count_up_for_each_image() {
        let dir = tempfile::tempdir().unwrap();
        create(&Sys::real(), dir.path()).unwrap();
        let image = Digest::new([7; 32]);
        assert_eq!(next_id(dir.path(), &image).serial(), 0);
        write_one(&Sys::real(), dir.path()).unwrap();
        let second = write_one(&Sys::real(), dir.path()).unwrap();
        assert!(second.to_string_lossy().ends_with(".1"), "{second:?}");
        assert_eq!(next_id(dir.path(), &Digest::new([8; 32])).serial(), 0);
    }
}
