//! For tests: images in memory, and a host in a directory whose deployments lie in a real store.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::boot::efivar::EFIVARS;
use crate::boot::entry::Entry;
use crate::boot::running_esp::RunningEsp;
use crate::boot::uki;
use crate::deploy::layout::{self, Deployment, REPOSITORY};
use crate::deploy::origin::Origin;
use crate::fetch::{self, Compression, ImageMeta, LayerStream, Source};
use crate::flow::host::{Host, BOOTED};
use crate::flow::import::{import, Imported, Keep};
use crate::model::progress::Event;
use crate::model::{DeploymentId, EntryName};
use crate::store::Store;
use crate::sys::Sys;

/// Files of one layer: path and size; the bytes follow from both.
pub type Files<'a> = &'a [(&'a str, usize)];

/// An image in memory.
pub struct InMemory {
    meta: ImageMeta,
    layers: Vec<Vec<u8>>,
}

impl InMemory {
    /// An image of these layers; each has the directories that a bootable image needs.
    pub fn new(layers: &[Files<'_>]) -> Self {
        let layers: Vec<Vec<u8>> = layers.iter().map(|files| layer(files)).collect();
        let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let ids: Vec<String> = layers.iter().map(|bytes| digest(bytes)).collect();
        let config =
            serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = config.to_string().into_bytes();
        let blob = |kind: &str, bytes: &[u8]| serde_json::json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "config": blob("config.v1+json", &config),
            "layers": layers.iter().map(|bytes| blob("layer.v1.tar", bytes)).collect::<Vec<_>>(),
        });
        let reference = "oci:/in-memory".parse().unwrap();
        Self { meta: ImageMeta::new(&reference, manifest.to_string().into_bytes(), config).unwrap(), layers }
    }

    /// The manifest's digest.
    pub fn digest(&self) -> String {
        self.meta.manifest_digest.to_string()
    }

    /// Imports it as an update does.
    pub fn import(&mut self, store: &Store, watch: &(dyn Fn(Event) + Sync)) -> anyhow::Result<Imported> {
        import(self, store, &Sys::real(), Keep::Untagged, watch)
    }
}

impl Source for InMemory {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn layer(&self, index: usize) -> fetch::Result<LayerStream<'_>> {
        Ok(LayerStream::new(Compression::None, self.layers[index].as_slice()))
    }
}

fn layer(files: Files<'_>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let header = |kind, size: usize, mode| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(mode);
        header
    };
    for directory in ["usr", "etc", "boot", "sysroot", "run", "var"] {
        builder.append_data(&mut header(tar::EntryType::Directory, 0, 0o755), directory, &b""[..]).unwrap();
    }
    for (path, size) in files {
        let bytes: Vec<u8> = path.bytes().cycle().take(*size).collect();
        builder.append_data(&mut header(tar::EntryType::Regular, *size, 0o644), path, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A host in a directory: `run/`, `sysroot/`, `esp/`.
pub struct HostDir {
    dir: tempfile::TempDir,
}

impl HostDir {
    /// Without deployments; nothing runs yet.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["run/cfs-host", "sysroot", "esp/loader/entries", "esp/EFI/cfs", EFIVARS] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        layout::create(&Sys::real(), &dir.path().join("sysroot")).unwrap();
        let host = Self { dir };
        Store::open_or_create(&host.sysroot().join(REPOSITORY), &Sys::real()).unwrap();
        host
    }

    /// Another one with the same content.
    pub fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_into(self.dir.path(), dir.path());
        Self { dir }
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The root file system.
    pub fn sysroot(&self) -> std::path::PathBuf {
        self.dir.path().join("sysroot")
    }

    /// The ESP.
    pub fn esp(&self) -> RunningEsp {
        RunningEsp::at(&self.dir.path().join("esp"))
    }

    /// The host that runs this deployment.
    pub fn running(&self, id: &DeploymentId) -> Host {
        let image = Origin::read(&layout::deployment(&self.sysroot(), id).join(layout::ORIGIN)).unwrap().image;
        let booted = serde_json::json!({"version": 1, "deployment": id.to_string(), "image": image});
        std::fs::write(self.dir.path().join(BOOTED), booted.to_string()).unwrap();
        Host::read(self.dir.path()).unwrap()
    }

    /// A deployment of this image with this UKI, and an entry if it has an order.
    pub fn deploy(&self, image: &mut InMemory, uki: &[u8], order: Option<u32>) -> DeploymentId {
        let (sys, store) = (Sys::real(), Store::open(&self.sysroot().join(REPOSITORY)).unwrap());
        let imported = image.import(&store, &|_| ()).unwrap();
        let digest = store.put_image(&sys, &imported.tree.plain_image().unwrap().bytes).unwrap();
        let origin = Origin {
            version: 1,
            reference: image.meta.reference.to_string(),
            manifest_digest: image.digest(),
            config_digest: image.meta.manifest.config().digest().to_string(),
            image: digest,
            uki: uki::sha256(uki),
            uki_path: "usr/lib/modules/6.12/cfs-host.efi".into(),
            image_version: None,
            image_created: None,
            bound_images: Vec::new(),
            deployed_at: "2026-01-01T00:00:00Z".into(),
            deployed_by: "test".into(),
            unknown: Default::default(),
        };
        let id = layout::next_id(&self.sysroot(), &digest);
        let new = Deployment { id: &id, origin: &origin, signature: b"signature" };
        layout::write(&sys, &self.sysroot(), &new, &|_| Ok(())).unwrap();
        let uki = self.esp().put_uki(&sys, uki).unwrap();
        if let Some(order) = order {
            let entry = Entry::new(EntryName { deployment: id.clone(), order }, "Example", uki);
            self.esp().put_entry(&sys, &entry).unwrap();
        }
        id
    }
}

/// Files, directories and links; not by a program, which would hold open locks for a moment.
fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
