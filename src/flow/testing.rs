//! A host in a directory, for tests: deployments on a disk, entries and UKIs on an ESP, EFI variables, and what firmware,
//! loader and `/init` do with them between two boots.

pub(crate) mod stored;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cfs_init::fallback::RefusalRecord;
use cfs_init::names::uki_file_name;

use super::host::{Host, BOOTED};
use crate::boot::entry::Entry;
use crate::boot::running_esp::RunningEsp;
use crate::boot::{efivar, one_shot, uki};
use crate::deploy::layout::{self, Deployment};
use crate::deploy::origin::{now, Origin};
use crate::deploy::records::{self, STAGED, TRIAL};
use crate::model::status::Booted;
use crate::model::update::{Phase, Staged, Trial};
use crate::model::{DeploymentId, Digest, EntryName};
use crate::sys::Sys;

/// The host. Its deployments are known by the number that their images have.
pub(crate) struct TestHost {
    dir: tempfile::TempDir,
}

/// The id of image `number`'s deployment.
pub(crate) fn id(number: u8) -> DeploymentId {
    DeploymentId::new(&image(number), 0)
}

/// The digest of image `number`.
pub(crate) fn image(number: u8) -> Digest {
    Digest::new([number; 32])
}

/// The manifest digest of image `number`.
pub(crate) fn manifest(number: u8) -> String {
    format!("sha256:{number:02}")
}

fn uki_bytes(number: u8) -> Vec<u8> {
    format!("UKI {number}").into_bytes()
}

impl TestHost {
    /// Deployment 1 is good and runs; deployment 2 is on the disk and has no entry.
    pub(crate) fn new() -> Self {
        // In memory: hundreds of hosts are made, and what a sync is for is not seen inside one process.
        let memory = Some(Path::new("/dev/shm")).filter(|place| place.is_dir());
        let dir = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let host = Self { dir: dir.unwrap() };
        for directory in ["sysroot", "esp", "run/cfs-host", efivar::EFIVARS] {
            fs::create_dir_all(host.root().join(directory)).unwrap();
        }
        layout::create(&Sys::real(), &host.sysroot()).unwrap();
        host.deploy(1);
        host.deploy(2);
        host.enter(1, 1);
        host.runs(1, None);
        host
    }

    /// Its root directory.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The root file system.
    pub(crate) fn sysroot(&self) -> std::path::PathBuf {
        self.root().join("sysroot")
    }

    /// As verbs see it.
    pub(crate) fn host(&self) -> Host {
        Host::read(self.root()).unwrap()
    }

    /// Its ESP.
    pub(crate) fn esp(&self) -> RunningEsp {
        RunningEsp::at(&self.root().join("esp"))
    }

    /// Directory and UKI of a deployment; no entry.
    pub(crate) fn deploy(&self, number: u8) {
        let sys = Sys::real();
        let origin = Origin {
            version: 1,
            reference: format!("docker://example.org/host:v{number}"),
            manifest_digest: manifest(number),
            config_digest: "sha256:00".into(),
            image: image(number),
            uki: uki::sha256(&uki_bytes(number)),
            uki_path: "usr/lib/modules/6.12/cfs-host.efi".into(),
            image_version: None,
            image_created: None,
            bound_images: Vec::new(),
            deployed_at: now(),
            deployed_by: "cfs-host".into(),
            unknown: Default::default(),
        };
        let new = Deployment { id: &id(number), origin: &origin, signature: b"signature" };
        layout::write(&sys, &self.sysroot(), &new, &|_| Ok(())).unwrap();
        self.deploy_uki(number);
    }

    /// The UKI of a deployment.
    pub(crate) fn deploy_uki(&self, number: u8) {
        self.esp().put_uki(&Sys::real(), &uki_bytes(number)).unwrap();
    }

    /// An entry of a deployment.
    pub(crate) fn enter(&self, number: u8, order: u32) -> EntryName {
        let name = EntryName { deployment: id(number), order };
        let entry = Entry::new(name.clone(), "Example", self.uki(number));
        self.esp().put_entry(&Sys::real(), &entry).unwrap();
        name
    }

    /// The file name of a deployment's UKI.
    pub(crate) fn uki(&self, number: u8) -> String {
        uki_file_name(uki::sha256(&uki_bytes(number)).as_bytes())
    }

    /// As staging leaves a deployment whose directory is there.
    pub(crate) fn stage(&self, number: u8) {
        let staged = Staged {
            version: 1,
            deployment: id(number),
            reference: format!("docker://example.org/host:v{number}"),
            manifest_digest: manifest(number),
            image: image(number),
            uki: self.uki(number),
            system: "Example".into(),
            image_version: None,
            etc_conflicts: Vec::new(),
            download_only: false,
            at: now(),
            unknown: Default::default(),
        };
        records::write(&Sys::real(), &self.root().join(STAGED), &staged).unwrap();
    }

    /// As a shutdown that finalized leaves a deployment: trial, entry of order 0, one-shot.
    pub(crate) fn arm(&self, number: u8) {
        let entry = self.enter(number, 0);
        one_shot::set(&Sys::real(), self.root(), &entry).unwrap();
        self.put_trial(number, Phase::Armed, None);
    }

    /// A record of a trial.
    pub(crate) fn put_trial(&self, number: u8, phase: Phase, why: Option<&str>) {
        let trial = Trial {
            version: 1,
            deployment: id(number),
            entry: EntryName { deployment: id(number), order: 0 },
            reference: format!("docker://example.org/host:v{number}"),
            manifest_digest: manifest(number),
            image: image(number),
            phase,
            why: why.map(str::to_owned),
            at: now(),
            unknown: Default::default(),
        };
        records::write(&Sys::real(), &self.sysroot().join(TRIAL), &trial).unwrap();
    }

    /// The record of the trial.
    pub(crate) fn trial(&self) -> Option<Trial> {
        records::read(&self.sysroot().join(TRIAL)).unwrap()
    }

    /// What the loader starts next: the one-shot, which it forgets, or the highest order but 0. There has to be one, and
    /// what it names has to be there.
    pub(crate) fn load(&self) -> DeploymentId {
        let esp = self.esp();
        let entries = esp.entries().unwrap();
        let wish = one_shot::get(self.root());
        one_shot::clear(&Sys::real(), self.root()).unwrap();
        let wished = entries.iter().find(|entry| wish.as_ref() == Some(&entry.name.conf()));
        let default = entries.last().filter(|entry| entry.name.order > 0);
        default.expect("no good deployment has an entry");
        let entry = wished.or(default).unwrap();
        for entry in entries.iter().filter(|entry| entry.name.order > 0).chain([entry]) {
            let uki = esp.read_uki(&entry.uki).unwrap().expect("an entry whose UKI is missing");
            let origin =
                Origin::read(&layout::deployment(&self.sysroot(), &entry.name.deployment).join(layout::ORIGIN));
            assert_eq!(uki::sha256(&uki), origin.expect("an entry whose deployment is missing").uki);
        }
        entry.name.deployment.clone()
    }

    /// The machine restarts: `/run` is empty, and what the loader starts runs. Gives its id.
    pub(crate) fn reboot(&self) -> DeploymentId {
        let next = self.load();
        self.boots(&next, None);
        next
    }

    /// The loader starts something that fails before it writes a word; then the default runs.
    pub(crate) fn reboot_twice(&self, refusal: Option<RefusalRecord>) -> DeploymentId {
        self.load();
        let next = self.load();
        self.boots(&next, refusal);
        next
    }

    /// This deployment runs.
    pub(crate) fn runs(&self, number: u8, refusal: Option<RefusalRecord>) {
        self.boots(&id(number), refusal);
    }

    fn boots(&self, id: &DeploymentId, refusal: Option<RefusalRecord>) {
        fs::remove_dir_all(self.root().join("run")).unwrap();
        fs::create_dir_all(self.root().join("run/cfs-host")).unwrap();
        let booted = Booted { version: 1, deployment: id.to_string(), refusal, ..Booted::default() };
        fs::write(self.root().join(BOOTED), serde_json::to_vec(&booted).unwrap()).unwrap();
    }

    /// A file with this text, below the root directory.
    pub(crate) fn put(&self, path: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    /// All that outlives a boot, each file with its content; times do not count.
    pub(crate) fn lasting(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for directory in ["esp", "sysroot/cfs", efivar::EFIVARS] {
            collect(self.root(), &self.root().join(directory), &mut found);
        }
        found.remove("sysroot/cfs/lock");
        found
    }
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.path().strip_prefix(root).unwrap().display().to_string();
        if entry.path().is_dir() {
            collect(root, &entry.path(), found);
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        let times = |line: &&str| {
            !line.contains("\"at\":") && !line.contains("\"deployedAt\":") && !line.contains("\"seconds\":")
        };
        found.insert(name, text.lines().filter(times).collect::<Vec<_>>().join("\n"));
    }
}
