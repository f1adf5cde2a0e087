//! The EFI system partition of a running host: our entries and UKIs on it, and nothing else.
//!
//! FAT has no atomic rename over a power loss, so only new names are written: a temporary name, fsync, rename, and then it is
//! read back and compared. Entries and UKIs of others are never touched.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use cfs_init::names::{is_uki_file_name, uki_file_name};
use rustix::fs::{fadvise, statvfs, Advice};

use super::entry::{Entry, DIRECTORY, UKIS};
use super::uki::sha256;
use super::{fat, find_esp};
use crate::model::EntryName;
use crate::sys::{Detached, Sys};

/// The largest UKI that is read.
const MAX_UKI: u64 = 512 << 20;
/// The largest entry that is read.
const MAX_ENTRY: u64 = 4096;
/// The most names that are looked at in a directory.
const MAX_NAMES: usize = 4096;
/// What a file needs beyond its bytes: rounding, and its directory.
const SLACK: u64 = 128 << 10;

/// Why the ESP cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A durable operation failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// No partition is the loader's.
    #[error("the EFI system partition cannot be found: {0}")]
    NotFound(String),
    /// Something on it cannot be read.
    #[error("cannot read {} on the EFI system partition: {source}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not fit.
    #[error(
        "the EFI system partition has {free} bytes free, {needed} are needed: remove deployments with `cfs-host prune`"
    )]
    Full {
        /// Needed bytes.
        needed: u64,
        /// Free bytes.
        free: u64,
    },
    /// What was written reads back differently.
    #[error("{0} on the EFI system partition reads back differently from what was written: the disk is damaged or another program writes to it")]
    ReadBack(String),
    /// A UKI that an entry names is damaged: it can not be replaced under the same name without a moment without it.
    #[error(
        "{0} on the EFI system partition is damaged and a boot entry needs it: `cfs-host prune` or `rollback` first"
    )]
    Damaged(String),
    /// There is no higher order.
    #[error("the boot entries have used up all orders: remove the files of old entries in {DIRECTORY}")]
    Orders,
}

/// What this file returns.
pub type Result<T> = std::result::Result<T, Error>;

/// The mounted ESP.
#[derive(Debug)]
pub struct RunningEsp {
    path: PathBuf,
    _mount: Option<Detached>,
}

impl RunningEsp {
    /// Finds the partition by `LoaderDevicePartUUID`, repairs it after a power cut, and mounts it, seen by this process alone.
    pub fn mount(sys: &Sys, root: &Path) -> Result<Self> {
        let device = find_esp::device(root).map_err(Error::NotFound)?;
        fat::repair(sys, &device)?;
        let mount = match sys.mount_detached(&device, "vfat") {
            Ok(mount) => mount,
            // Not every kernel loads the module by itself.
            Err(_) => {
                sys.run(Command::new("modprobe").arg("vfat"), b"")?;
                sys.mount_detached(&device, "vfat")?
            }
        };
        Ok(Self { path: mount.path(), _mount: Some(mount) })
    }

    /// An ESP that is mounted, or a directory that stands for one.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), _mount: None }
    }

    /// Our entries, sorted by order: the default is the last one. A file with a name of ours and other content is none of ours.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.read_entries()?.0)
    }

    /// Our entries, and the names of files that are called like ours and are none.
    pub fn read_entries(&self) -> Result<(Vec<Entry>, Vec<String>)> {
        let (mut found, mut strange) = (Vec::new(), Vec::new());
        for name in self.names(DIRECTORY)? {
            if !is_entry_file(&name) {
                continue;
            }
            let Some(bytes) = self.read(&format!("{DIRECTORY}/{name}"), MAX_ENTRY)? else { continue };
            match Entry::parse(&name, &bytes) {
                Ok(entry) => found.push(entry),
                Err(_) => strange.push(name),
            }
        }
        found.sort_by_key(|entry| (entry.name.order, entry.name.deployment.clone()));
        Ok((found, strange))
    }

    /// File names of our UKIs.
    pub fn ukis(&self) -> Result<Vec<String>> {
        Ok(self.names(UKIS)?.into_iter().filter(|name| is_uki_file_name(name)).collect())
    }

    /// The bytes of a UKI; `None` if it is not there.
    pub fn read_uki(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.read(&format!("{UKIS}/{name}"), MAX_UKI)
    }

    /// The size of a UKI that is there.
    pub fn uki_size(&self, name: &str) -> Result<u64> {
        let path = self.path.join(UKIS).join(name);
        let metadata = std::fs::symlink_metadata(&path).map_err(|source| Error::Read { path, source })?;
        Ok(metadata.len())
    }

    /// Free bytes.
    pub fn free(&self) -> Result<u64> {
        let stat =
            statvfs(&self.path).map_err(|error| Error::Read { path: self.path.clone(), source: error.into() })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Writes a UKI under the name of its hash, reads it back and compares. One that is there with the same bytes is left.
    pub fn put_uki(&self, sys: &Sys, bytes: &[u8]) -> Result<String> {
        let name = uki_file_name(sha256(bytes).as_bytes());
        match self.read_uki(&name)? {
            Some(known) if known == bytes => return Ok(name),
            Some(_) if self.is_named(&name)? => return Err(Error::Damaged(name)),
            Some(_) => self.remove_uki(sys, &name)?,
            None => {}
        }
        let (needed, free) = (bytes.len() as u64 + SLACK, self.free()?);
        if free < needed {
            return Err(Error::Full { needed, free });
        }
        self.put(sys, &format!("{UKIS}/{name}"), bytes)?;
        Ok(name)
    }

    /// Writes an entry under its own name, reads it back and compares. One that is there already is left.
    pub fn put_entry(&self, sys: &Sys, entry: &Entry) -> Result<()> {
        let (path, text) = (entry.path(), entry.render());
        match self.read(&path, MAX_ENTRY)? {
            Some(known) if known == text.as_bytes() => Ok(()),
            _ => self.put(sys, &path, text.as_bytes()),
        }
    }

    /// Removes an entry; it may be gone.
    pub fn remove_entry(&self, sys: &Sys, name: &EntryName) -> Result<()> {
        self.remove(sys, &format!("{DIRECTORY}/{}", name.conf()))
    }

    /// Removes a UKI; it may be gone.
    pub fn remove_uki(&self, sys: &Sys, name: &str) -> Result<()> {
        self.remove(sys, &format!("{UKIS}/{name}"))
    }

    /// Removes the UKIs that no entry names, but for `keep`; gives their names.
    pub fn remove_unnamed_ukis(&self, sys: &Sys, keep: &[String]) -> Result<Vec<String>> {
        let entries = self.entries()?;
        let mut gone = self.ukis()?;
        gone.retain(|uki| !keep.contains(uki) && entries.iter().all(|entry| entry.uki != *uki));
        for name in &gone {
            self.remove_uki(sys, name)?;
        }
        Ok(gone)
    }

    /// Removes what ended runs left: files under temporary names, entries without a byte, which a repair leaves, and the lower
    /// names of a deployment that was promoted.
    pub fn remove_leftovers(&self, sys: &Sys) -> Result<()> {
        for directory in [DIRECTORY, UKIS] {
            for name in self.names(directory)? {
                // The caller is the only writer, so nobody is at work on it.
                let temporary = name.starts_with(".tmp-cfs-") || (directory == UKIS && name.starts_with(".tmp-"));
                let path = format!("{directory}/{name}");
                if temporary
                    || (is_entry_file(&name) && self.read(&path, MAX_ENTRY)?.is_some_and(|bytes| bytes.is_empty()))
                {
                    self.remove(sys, &path)?;
                }
            }
        }
        // Sorted by order, so one that is followed by another of the same deployment is the lower.
        let entries = self.entries()?;
        for (at, entry) in entries.iter().enumerate() {
            if entries[at + 1..].iter().any(|later| later.name.deployment == entry.name.deployment) {
                self.remove_entry(sys, &entry.name)?;
            }
        }
        Ok(())
    }

    /// Makes this deployment's entry the default: it is written anew under an order above all others, then its other names go.
    /// If it is the default already only other names go.
    pub fn promote(&self, sys: &Sys, entry: &Entry) -> Result<EntryName> {
        let entries = self.entries()?;
        let highest = entries.last().map_or(0, |last| last.name.order);
        let is_ours = |other: &&Entry| other.name.deployment == entry.name.deployment;
        // Two entries of one order: which of them the loader takes is not ours to guess.
        let alone = entries.iter().filter(|other| other.name.order == highest).count() == 1;
        let default = entries.last().filter(is_ours).filter(|last| last.name.order > 0 && alone);
        let name = match default {
            Some(default) => default.name.clone(),
            None => {
                let order = highest.checked_add(1).ok_or(Error::Orders)?;
                let name = EntryName { deployment: entry.name.deployment.clone(), order };
                self.put_entry(sys, &Entry { name: name.clone(), ..entry.clone() })?;
                name
            }
        };
        for other in entries.iter().filter(is_ours).filter(|other| other.name != name) {
            self.remove_entry(sys, &other.name)?;
        }
        Ok(name)
    }

    fn is_named(&self, uki: &str) -> Result<bool> {
        Ok(self.entries()?.iter().any(|entry| entry.uki == uki))
    }

    fn put(&self, sys: &Sys, path: &str, bytes: &[u8]) -> Result<()> {
        let target = self.path.join(path);
        for (at, _) in path.match_indices('/') {
            sys.create_dir(&self.path.join(&path[..at]), 0o755)?;
        }
        sys.write_file(&target, bytes, 0o644)?;
        match self.read(path, MAX_UKI)? {
            Some(back) if back == bytes => Ok(()),
            _ => Err(Error::ReadBack(path.to_owned())),
        }
    }

    fn remove(&self, sys: &Sys, path: &str) -> Result<()> {
        let path = self.path.join(path);
        if !path.exists() {
            return Ok(());
        }
        sys.remove_file(&path)?;
        Ok(sys.sync_dir(crate::sys::parent(&path))?)
    }

    /// The names in a directory, sorted; none if it is not there.
    fn names(&self, directory: &str) -> Result<Vec<String>> {
        let path = self.path.join(directory);
        let list = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| Error::Read { path: path.clone(), source })?,
        };
        let mut names = Vec::new();
        for entry in list.take(MAX_NAMES) {
            let entry = entry.map_err(|source| Error::Read { path: path.clone(), source })?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    /// A file's bytes, from the disk and not from memory; `None` if it is not there.
    fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(path);
        let fail = |source| Error::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(fail)?,
        };
        // What was written and synced is dropped from the cache, so that this shows what the disk has.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(fail)?;
        match bytes.len() as u64 > most {
            true => Err(fail(io::Error::other(format!("it is larger than {most} bytes")))),
            false => Ok(Some(bytes)),
        }
    }
}

/// Whether a file is called like an entry of ours.
fn is_entry_file(name: &str) -> bool {
    name.starts_with("cfs-") && name.ends_with(".conf")
}

#[cfg(test)]
mod tests;
