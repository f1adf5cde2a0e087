//! The additional image store's directory: `overlay/` with the layers, `overlay-layers/` and `overlay-images/` with podman's lists.
//!
//! Order: a layer's names ► its mount ► the list of layers ► an image's documents ► the list of images; back the other way.
//! So podman, which comes at any time, finds a whole image or none. Directories, locks and lists stay for ever, since podman
//! refuses every command where one is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::statfs;

use super::published::Parts;
use super::record::{big_data_file, link_name, ImageRecord, LayerRecord};
use super::{Error, Result};
use crate::store::{self, Store};
use crate::sys::{parent, Composefs, Listing, Locked, Owners, Sys, UserNamespace};

const LAYERS: &str = "overlay-layers";
const IMAGES: &str = "overlay-images";
const LINKS: &str = "overlay/l";
const LOCKS: [&str; 2] = ["overlay-layers/layers.lock", "overlay-images/images.lock"];
const LISTS: [&str; 2] = ["overlay-layers/layers.json", "overlay-images/images.json"];
/// One of us at a time.
const WRITER: &str = "writer.lock";
/// Which store it shows.
const STORE: &str = "store";
/// podman holds a list for moments.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const TMPFS: u64 = 0x0102_1994;
const OVERLAY: u64 = 0x794c_7630;

/// A layer of an image that is published.
#[derive(Clone, Debug)]
pub struct Layer {
    /// podman's record of it.
    pub record: LayerRecord,
    /// The layers below, the next one first.
    pub below: Vec<String>,
    /// What the store has of it.
    pub parts: Parts,
}

/// An image that is published.
#[derive(Clone, Debug)]
pub struct Image {
    /// podman's record of it.
    pub record: ImageRecord,
    /// From the base up.
    pub layers: Vec<Layer>,
    /// Whether podman lists it from here; its layers are there either way.
    pub listed: bool,
}

/// Whom a directory is for, if not for root.
#[derive(Clone, Debug)]
pub struct For {
    /// Nobody else may enter.
    pub uid: u32,
    /// Whose the images' files are.
    pub owners: Owners,
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    user: Option<For>,
}

/// What the store does not have whole, and why.
pub type Damaged = BTreeMap<String, String>;

impl Directory {
    /// At this path, whatever is there.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), user: None }
    }

    /// At this path in a directory that is one user's.
    pub fn of_user(path: &Path, user: For) -> Self {
        Self { path: path.to_owned(), user: Some(user) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes all that podman needs of a store without images.
    pub fn create(&self, sys: &Sys) -> Result<()> {
        if let Some(user) = &self.user {
            sys.create_dir_for(parent(&self.path), user.uid)?;
        }
        sys.create_dir(&self.path, 0o755)?;
        let held = statfs(&self.path).map_err(|error| self.unreadable(&self.path, error.into()))?;
        if held.f_type as u64 != TMPFS {
            return Err(Error::Lasting { directory: self.path.clone() });
        }
        for folder in [LAYERS, IMAGES] {
            sys.create_dir(&self.path.join(folder), 0o755)?;
        }
        // Images have old set-uid programs: nobody but root comes to their files by this way, or the user whose directory it is.
        let mode = if self.user.is_some() { 0o755 } else { 0o700 };
        sys.create_dir(&self.path.join("overlay"), mode)?;
        sys.create_dir(&self.path.join(LINKS), mode)?;
        let empty = LOCKS.map(|lock| (lock, "")).into_iter().chain(LISTS.map(|list| (list, "[]")));
        for (path, content) in empty.map(|(file, content)| (self.path.join(file), content)) {
            if !path.exists() {
                sys.write_file(&path, content.as_bytes(), 0o644)?;
            }
        }
        Ok(())
    }

    /// Makes it this process's until the value is dropped, and this store's.
    pub fn lock(&self, sys: &Sys, store: &Store) -> Result<Locked> {
        let path = self.path.join(WRITER);
        let locked = patient(&path, || Ok(sys.try_lock(&path, b"")?))?;
        let note = self.path.join(STORE);
        let own = fs::canonicalize(store.path()).map_err(|source| self.unreadable(store.path(), source))?;
        let known = fs::read_to_string(&note).unwrap_or_default();
        let owners = self.user.as_ref().map(|user| format!("\n{}", user.owners)).unwrap_or_default();
        let text = [own.as_os_str().as_encoded_bytes(), owners.as_bytes()].concat();
        if known.as_bytes() != text {
            let known = Path::new(known.lines().next().unwrap_or_default());
            if known != own && known.is_dir() && !self.layers()?.is_empty() {
                return Err(Error::OtherStore { directory: self.path.clone(), store: known.to_owned() });
            }
            // Mounts over a store that is gone, or with owners that the user does not have any more.
            self.publish(sys, store, &[])?;
            sys.write_file(&note, &text, 0o644)?;
        }
        Ok(locked)
    }

    /// Shows these images and no others, but for those of which the store has something damaged or not at all: gives their manifests,
    /// and why. Their layers are listed all the same, since podman refuses to list anything if one that it builds on is unknown; a
    /// damaged one has no content, which is an error to whoever comes for it.
    pub fn publish(&self, sys: &Sys, store: &Store, images: &[Image]) -> Result<Damaged> {
        let layers: BTreeMap<&str, &Layer> =
            images.iter().flat_map(|image| &image.layers).map(|layer| (layer.record.id.as_str(), layer)).collect();
        let damaged = self.place_missing(sys, store, &layers)?;
        let why = |image: &Image| image.layers.iter().find_map(|layer| damaged.get(&layer.record.id));
        let broken =
            images.iter().filter_map(|image| Some((image.record.digest.clone(), why(image)?.clone()))).collect();
        let listed = images.iter().filter(|image| image.listed && why(image).is_none());
        let listed: Vec<&ImageRecord> = listed.map(|image| &image.record).collect();
        for image in &listed {
            self.place_documents(sys, image)?;
        }
        let records: Vec<&LayerRecord> = layers.values().map(|layer| &layer.record).collect();
        self.write_lists(sys, &records, &listed)?;
        self.remove_others(sys, &layers.keys().copied().collect(), &listed)?;
        Ok(broken)
    }

    /// Places the layers that are not there; gives those that cannot be seen because the store does not have them whole.
    fn place_missing(&self, sys: &Sys, store: &Store, layers: &BTreeMap<&str, &Layer>) -> Result<Damaged> {
        let mut missing = layers.iter().filter(|(id, _)| !is_overlay(&self.diff(id))).peekable();
        let owners = self.user.as_ref().filter(|_| missing.peek().is_some());
        let owners = owners.map(|user| sys.user_namespace(&user.owners)).transpose()?;
        let mut damaged = BTreeMap::new();
        for (id, layer) in missing {
            match self.place(sys, store, layer, owners.as_ref()) {
                // What could not be done is another matter.
                Err(Error::Store(why)) if !matches!(why, store::Error::Sys(_)) => {
                    sys.remove_dir_all(&self.diff(id))?;
                    damaged.insert((*id).to_owned(), why.to_string());
                }
                done => done?,
            }
        }
        Ok(damaged)
    }

    /// Whether podman finds all of this image.
    pub fn has(&self, image: &Image) -> bool {
        let listed = |list: &str, id: &str| {
            fs::read_to_string(self.path.join(list)).is_ok_and(|text| text.contains(&format!("\"id\":\"{id}\"")))
        };
        let layer = |id: &str| is_overlay(&self.diff(id)) && listed(LISTS[0], id);
        image.layers.iter().all(|one| layer(&one.record.id)) && (!image.listed || listed(LISTS[1], &image.record.id))
    }

    /// A layer's names, then its content.
    fn place(&self, sys: &Sys, store: &Store, layer: &Layer, owners: Option<&UserNamespace>) -> Result<()> {
        let id = &layer.record.id;
        let (diff, link) = (self.diff(id), link_name(id));
        let folder = self.layer(id);
        sys.create_dir(&folder, 0o755)?;
        sys.create_dir(&diff, 0o755)?;
        sys.write_file(&folder.join("link"), link.as_bytes(), 0o644)?;
        if !layer.below.is_empty() {
            let lower: Vec<String> = layer.below.iter().map(|id| format!("l/{}", link_name(id))).collect();
            sys.write_file(&folder.join("lower"), lower.join(":").as_bytes(), 0o644)?;
        }
        sys.replace_symlink(&Path::new("..").join(id).join("diff"), &self.path.join(LINKS).join(link))?;
        self.place_list(sys, store, layer)?;
        let digest = layer.parts.erofs;
        let (file, verity) = store.open_protected(sys, &digest)?;
        // What was stopped half way left the EROFS image without its objects.
        sys.unmount_all(&diff)?;
        let objects = store.objects();
        let image = Composefs { image: &file, name: &digest.to_hex(), objects: &objects, verity, owners };
        Ok(sys.mount_composefs(&image, &diff)?)
    }

    /// What gives the layer's tar stream again: an object of the store, or a copy for a user, who does not come to the store.
    fn place_list(&self, sys: &Sys, store: &Store, layer: &Layer) -> Result<()> {
        let (list, to) = (layer.parts.list, self.list_of(&layer.record.id));
        if self.user.is_some() {
            let mut bytes = Vec::new();
            store.object(&list)?.read_to_end(&mut bytes).map_err(|source| self.unreadable(&to, source))?;
            return Ok(sys.write_file(&to, &bytes, 0o644)?);
        }
        let objects = fs::canonicalize(store.path()).map_err(|source| self.unreadable(store.path(), source))?;
        Ok(sys.replace_symlink(&objects.join(list.object_path()), &to)?)
    }

    fn place_documents(&self, sys: &Sys, image: &ImageRecord) -> Result<()> {
        let folder = self.path.join(IMAGES).join(&image.id);
        sys.create_dir(&folder, 0o755)?;
        for (key, bytes) in &image.big_data {
            let path = folder.join(big_data_file(key));
            if fs::read(&path).ok().as_ref() != Some(bytes) {
                sys.write_file(&path, bytes, 0o644)?;
            }
        }
        Ok(())
    }

    /// While podman waits. Layers of old images stay listed until no image names them.
    fn write_lists(&self, sys: &Sys, layers: &[&LayerRecord], images: &[&ImageRecord]) -> Result<()> {
        let [layers_list, images_list] = LISTS.map(|list| self.path.join(list));
        let unreadable = |source: serde_json::Error| self.unreadable(&layers_list, source.into());
        let new: Vec<serde_json::Value> =
            layers.iter().map(serde_json::to_value).collect::<serde_json::Result<_>>().map_err(unreadable)?;
        let old: Vec<serde_json::Value> =
            fs::read(&layers_list).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let gone: Vec<serde_json::Value> =
            old.iter().filter(|layer| !new.iter().any(|one| one["id"] == layer["id"])).cloned().collect();
        let images = serde_json::to_vec(images).map_err(unreadable)?;
        if old == new && fs::read(&images_list).is_ok_and(|bytes| bytes == images) {
            return Ok(());
        }
        let locks = LOCKS.map(|lock| self.path.join(lock));
        let held: Vec<Listing> =
            locks.iter().map(|path| patient(path, || Ok(sys.try_lock_listing(path)?))).collect::<Result<_>>()?;
        let list = |layers: &[serde_json::Value]| serde_json::to_vec(layers).map_err(unreadable);
        sys.write_file(&layers_list, &list(&[&new[..], &gone].concat())?, 0o644)?;
        sys.write_file(&images_list, &images, 0o644)?;
        sys.write_file(&layers_list, &list(&new)?, 0o644)?;
        for lock in &held {
            lock.mark_changed(sys)?;
        }
        Ok(())
    }

    /// Whatever no list names.
    fn remove_others(&self, sys: &Sys, layers: &BTreeSet<&str>, images: &[&ImageRecord]) -> Result<()> {
        for id in self.layers()?.iter().filter(|id| !layers.contains(id.as_str())) {
            sys.unmount_all(&self.diff(id))?;
            sys.remove_file(&self.path.join(LINKS).join(link_name(id)))?;
            sys.remove_file(&self.list_of(id))?;
            sys.remove_dir_all(&self.layer(id))?;
        }
        for id in ids(&self.path.join(IMAGES))? {
            if !images.iter().any(|image| image.id == id) {
                sys.remove_dir_all(&self.path.join(IMAGES).join(id))?;
            }
        }
        Ok(())
    }

    /// Layers that have a directory.
    fn layers(&self) -> Result<Vec<String>> {
        ids(&self.path.join("overlay"))
    }

    fn layer(&self, id: &str) -> PathBuf {
        self.path.join("overlay").join(id)
    }

    fn diff(&self, id: &str) -> PathBuf {
        self.layer(id).join("diff")
    }

    fn list_of(&self, id: &str) -> PathBuf {
        self.path.join(LAYERS).join(format!("{id}.tar-split.gz"))
    }

    fn unreadable(&self, path: &Path, source: io::Error) -> Error {
        Error::Read { path: path.to_owned(), source }
    }
}

/// Tries until it is there, or the patience is at its end.
fn patient<T>(path: &Path, attempt: impl Fn() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        if begin.elapsed() >= PATIENCE {
            let source = io::Error::other("another process holds it");
            return Err(Error::Read { path: path.to_owned(), source });
        }
        std::thread::sleep(PAUSE);
    }
}

fn is_overlay(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| rustix::fs::fstatfs(file).is_ok_and(|held| held.f_type as u64 == OVERLAY))
}

/// Ids among the names in a folder: 64 digits.
fn ids(folder: &Path) -> Result<Vec<String>> {
    let unreadable = |source| Error::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.len() == 64 {
            found.push(name);
        }
    }
    Ok(found)
}
