//! storage df: what the store and podman's storage take together, and what their users would take apart. Reads only.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::flow::import::{manifest_of, manifest_stream, TAGS};
use crate::flow::prune::deployments;
use crate::model::storage::{Part, StorageUse};
use crate::model::Digest;
use crate::store::{space_of, OnDisk, Store};
use crate::sys::{may_share, Sys};

/// Looks at a store, the deployments of its root file system, and podman's storage, if there is one.
pub fn usage(store: &Store, sysroot: &Path, podman: Option<&Path>, sys: &Sys) -> anyhow::Result<StorageUse> {
    let objects = store.objects_on_disk()?;
    let sizes: HashMap<Digest, u64> = objects.iter().map(|object| (object.digest, object.bytes)).collect();
    let size = |manifest: &str| space(store, &sizes, manifest);
    let (mut all, mut bound) = (StorageUse::default(), HashSet::new());
    for directory in deployments(sysroot)?.into_values() {
        // One whose origin cannot be read is one, of unknown size.
        let Ok(origin) = directory.origin else {
            all.deployments.add(0);
            continue;
        };
        all.deployments.add(size(&origin.manifest_digest)?);
        bound.extend(origin.bound_images.into_iter().map(|image| image.manifest_digest));
    }
    for manifest in &bound {
        all.bound.add(size(manifest)?);
    }
    for stream in store.tags(TAGS)?.into_iter().map(|tag| tag.stream).collect::<HashSet<_>>() {
        all.images.add(manifest_of(&stream).map_or(Ok(0), size)?);
    }
    objects.iter().for_each(|object| all.objects.add(object.bytes));
    let layers = podman.map_or(Ok(Layers::default()), Layers::of)?;
    let (linked, own): (Vec<&OnDisk>, Vec<_>) = objects.iter().partition(|object| layers.files.contains(&object.file));
    linked.iter().for_each(|object| all.linked.add(object.bytes));
    all.cloned_bytes = cloned(store, &own, sys)?;
    all.podman = Part { count: layers.count, bytes: layers.bytes };
    all.podman_storage = podman.map(|path| path.display().to_string());
    all.bytes_apart = all.deployments.bytes + all.bound.bytes + all.images.bytes + all.podman.bytes;
    all.bytes_stored = (all.objects.bytes + all.podman.bytes).saturating_sub(all.linked.bytes + all.cloned_bytes);
    Ok(all)
}

/// All that an image needs. One that is not whole needs what is left of it; `fsck` is there to tell.
fn space(store: &Store, sizes: &HashMap<Digest, u64>, manifest: &str) -> anyhow::Result<u64> {
    let Some(stream) = store.stream(&manifest_stream(manifest))? else { return Ok(0) };
    let needed = store.needed_by(&stream).unwrap_or_default();
    Ok(needed.iter().filter_map(|digest| sizes.get(digest)).sum())
}

fn cloned(store: &Store, objects: &[&OnDisk], sys: &Sys) -> anyhow::Result<u64> {
    let files: Vec<PathBuf> = objects.iter().map(|object| store.object_path(&object.digest)).collect();
    match may_share(store.path()) {
        true => Ok(sys.shared_bytes(&files)?),
        false => Ok(0),
    }
}

/// What podman has unpacked.
#[derive(Default)]
struct Layers {
    count: u64,
    bytes: u64,
    /// Device and inode of each file.
    files: HashSet<(u64, u64)>,
}

impl Layers {
    fn of(storage: &Path) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for layer in entries(&storage.join("overlay"))? {
            let diff = layer.join("diff");
            if diff.is_dir() {
                found.count += 1;
                found.add_all(diff)?;
            }
        }
        Ok(found)
    }

    fn add_all(&mut self, directory: PathBuf) -> anyhow::Result<()> {
        let mut open = vec![directory];
        while let Some(directory) = open.pop() {
            for path in entries(&directory)? {
                // It was there a moment ago: podman is at work.
                let Ok(meta) = fs::symlink_metadata(&path) else { continue };
                if self.files.insert((meta.dev(), meta.ino())) {
                    self.bytes += space_of(&meta);
                }
                if meta.is_dir() {
                    open.push(path);
                }
            }
        }
        Ok(())
    }
}

/// What is in a directory; nothing, if podman has just removed it.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.and_then(|list| list.map(|entry| Ok(entry?.path())).collect()),
    };
    list.with_context(|| format!("cannot read {} (run it as root)", directory.display()))
}
