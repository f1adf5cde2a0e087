//! A host in a directory: deployments in a real store, an ESP, EFI variables; and a model of the loader.

use std::fs;
use std::path::Path;

use cfs_init::names::uki_file_name;

use crate::boot::efivar::EFIVARS;
use crate::boot::entry::{Entry, DIRECTORY, UKIS};
use crate::boot::running_esp::RunningEsp;
use crate::boot::{one_shot, uki};
use crate::deploy::layout::{self, Deployment, REPOSITORY};
use crate::deploy::origin::Origin;
use crate::deploy::records::{self, HEALTH, STAGED, TRIAL};
use crate::flow::host::{Host, BOOTED, REBOOT_REQUIRED};
use crate::model::update::{Health, Phase, Staged, Trial};
use crate::model::{DeploymentId, EntryName};
use crate::store::Store;
use crate::sys::Sys;

/// In memory where that is to be had: many hosts are made, and each syncs often.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

pub struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = scratch();
        let sysroot = dir.path().join("sysroot");
        for folder in ["sysroot", "run/cfs-host", EFIVARS, &format!("esp/{DIRECTORY}"), &format!("esp/{UKIS}")] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        layout::create(&Sys::real(), &sysroot).unwrap();
        Store::open_or_create(&sysroot.join(REPOSITORY), &Sys::real()).unwrap();
        Self { dir }
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn sysroot(&self) -> std::path::PathBuf {
        self.root().join("sysroot")
    }

    pub fn esp(&self) -> RunningEsp {
        RunningEsp::at(&self.root().join("esp"))
    }

    /// A deployment that is whole, with an entry of this order.
    pub fn deployment(&self, letter: char, order: u32) -> DeploymentId {
        let id = self.without_entry(letter);
        self.entry(&id, order);
        id
    }

    pub fn entry(&self, id: &DeploymentId, order: u32) {
        let origin = Origin::read(&layout::deployment(&self.sysroot(), id).join(layout::ORIGIN)).unwrap();
        let name = EntryName { deployment: id.clone(), order };
        let entry = Entry::new(name, "Example", uki_file_name(origin.uki.as_bytes()));
        self.esp().put_entry(&Sys::real(), &entry).unwrap();
    }

    pub fn without_entry(&self, letter: char) -> DeploymentId {
        let sys = Sys::real();
        let store = Store::open(&self.sysroot().join(REPOSITORY)).unwrap();
        let image = store.put_image(&sys, format!("image {letter}").as_bytes()).unwrap();
        let uki = format!("uki {letter}");
        self.esp().put_uki(&sys, uki.as_bytes()).unwrap();
        let origin = Origin {
            version: 1,
            reference: "docker://example.org/host:stable".into(),
            manifest_digest: format!("sha256:{letter}"),
            config_digest: "sha256:00".into(),
            image,
            uki: uki::sha256(uki.as_bytes()),
            uki_path: "usr/lib/modules/6.12/cfs-host.efi".into(),
            image_version: None,
            image_created: None,
            bound_images: Vec::new(),
            deployed_at: "2026-01-01T00:00:00Z".into(),
            deployed_by: "cfs-host 0.1.0".into(),
            unknown: Default::default(),
        };
        let id = layout::next_id(&self.sysroot(), &image);
        let new = Deployment { id: &id, origin: &origin, signature: b"sig" };
        layout::write(&sys, &self.sysroot(), &new, &|etc| Ok(sys.write_file(&etc.join("hostname"), b"x", 0o644)?))
            .unwrap();
        id
    }

    /// This one runs.
    pub fn boot(&self, id: &DeploymentId) -> Host {
        let json = serde_json::json!({"version": 1, "mode": "enforce", "deployment": id.to_string()});
        fs::write(self.root().join(BOOTED), json.to_string()).unwrap();
        Host::read(self.root()).unwrap()
    }

    pub fn trial(&self, id: &DeploymentId, phase: Phase) {
        let origin = Origin::read(&layout::deployment(&self.sysroot(), id).join(layout::ORIGIN)).unwrap();
        let trial = Trial {
            version: 1,
            deployment: id.clone(),
            entry: EntryName { deployment: id.clone(), order: 0 },
            reference: origin.reference,
            manifest_digest: origin.manifest_digest,
            image: origin.image,
            phase,
            why: None,
            at: "2026-01-01T00:00:00Z".into(),
            unknown: Default::default(),
        };
        records::write(&Sys::real(), &self.sysroot().join(TRIAL), &trial).unwrap();
    }

    /// A further deployment waits for the shutdown.
    pub fn stage(&self, letter: char) -> DeploymentId {
        let id = self.without_entry(letter);
        let origin = Origin::read(&layout::deployment(&self.sysroot(), &id).join(layout::ORIGIN)).unwrap();
        let staged = Staged {
            version: 1,
            deployment: id.clone(),
            reference: origin.reference,
            manifest_digest: origin.manifest_digest,
            image: origin.image,
            uki: uki_file_name(origin.uki.as_bytes()),
            system: "Example".into(),
            image_version: None,
            etc_conflicts: vec![],
            download_only: false,
            at: "2026-01-01T00:00:00Z".into(),
            unknown: Default::default(),
        };
        records::write(&Sys::real(), &self.root().join(STAGED), &staged).unwrap();
        fs::write(self.root().join(REBOOT_REQUIRED), b"").unwrap();
        id
    }

    pub fn healthy(&self, id: &DeploymentId, healthy: bool) {
        let at = "2026-01-01T00:00:00Z".into();
        let health = Health { version: 1, healthy, at, checks: vec![], unknown: Default::default() };
        let path = layout::deployment(&self.sysroot(), id).join(HEALTH);
        records::write(&Sys::real(), &path, &health).unwrap();
    }

    /// What the loader and `/init` start now: the one-shot's entry if it is there and starts, else the highest order.
    pub fn starts(&self) -> Option<DeploymentId> {
        let entries = self.esp().entries().unwrap();
        let wished = one_shot::get(self.root());
        let wished = entries.iter().find(|entry| wished.as_ref() == Some(&entry.name.conf()));
        let default = entries.iter().rfind(|entry| entry.name.order > 0);
        wished
            .filter(|entry| self.works(entry))
            .or(default.filter(|entry| self.works(entry)))
            .map(|e| e.name.deployment.clone())
    }

    /// The UKI has the hash that names it, the deployment all that `/init` opens.
    fn works(&self, entry: &Entry) -> bool {
        let directory = layout::deployment(&self.sysroot(), &entry.name.deployment);
        let Ok(origin) = Origin::read(&directory.join(layout::ORIGIN)) else { return false };
        let uki = self.esp().read_uki(&entry.uki).unwrap();
        let store = Store::open(&self.sysroot().join(REPOSITORY)).unwrap();
        uki.is_some_and(|bytes| uki_file_name(uki::sha256(&bytes).as_bytes()) == entry.uki)
            && store.read(&origin.image).is_ok()
            && fs::read(directory.join(layout::SIGNATURE)).is_ok_and(|signature| signature == b"sig")
            && directory.join("etc/hostname").is_file()
    }
}
