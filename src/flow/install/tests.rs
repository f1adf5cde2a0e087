//! Sealed images of a few files, from the merged tree to the disk. What is fetched and imported is taken as done.

use std::collections::{BTreeMap, HashMap};

use cfs_init::claims::Claims;
use cfs_init::policy::Policy;
use oci_spec::image::{ImageConfiguration, ImageManifest};

use super::*;
use crate::deploy::origin::Origin;
use crate::fetch::ImageMeta;
use crate::flow::import::Stats;
use crate::flow::sign::sign;
use crate::image::Tree;
use crate::import::{Entry, Item, Metadata};
use crate::model::{Digest, Role};
use crate::seal::annotations::{sealed_layers, signature_key, Seal, BOOTABLE, SEALED_LAYERS};
use crate::seal::{efi, uki};
use crate::sys::{Fault, FaultPlan};
use crate::trust::certificate::Certificate;
use crate::trust::efi_auth::Variable;
use crate::trust::keys::{tests::generated, KeyDir};
use crate::trust::policy_file::LoadedPolicy;
use crate::trust::{cms, signer::KeyFile};

const DIFF_ID: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A key directory, an image sealed with it, and a place for disks.
struct Workshop {
    dir: tempfile::TempDir,
    _keys_dir: tempfile::TempDir,
    keys: KeyDir,
    unsigned_uki: Vec<u8>,
    uki: Vec<u8>,
    loader: Vec<u8>,
    policy: Policy,
}

impl Workshop {
    fn new() -> Self {
        let (keys_dir, keys) = generated();
        let built = uki::tests::built(&LoadedPolicy::load(&keys.policy()).unwrap(), &[]);
        let db = KeyFile::load(&keys.secure_boot(Variable::Db, "key"), &keys.secure_boot(Variable::Db, "crt")).unwrap();
        let uki = efi::sign("the UKI", &built.bytes, &db).unwrap();
        let loader = efi::sign("the loader", &crate::boot::pe::tests::tiny(), &db).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            _keys_dir: keys_dir,
            keys,
            unsigned_uki: built.bytes,
            uki,
            loader,
            policy: built.policy,
        }
    }

    fn request(&self, name: &str) -> Request {
        Request {
            image: "oci:image:v1".parse().unwrap(),
            follow: Some("example.org/host:stable".parse().unwrap()),
            target: self.dir.path().join(name),
            size: None,
            esp_size: 64 << 20,
            wipe: false,
            enroll_keys: None,
            trust: trust(&self.keys),
            scratch: None,
            fetch: fetch::Options::default(),
            bound_from: Default::default(),
        }
    }

    /// The image's layer, with the large files in the store.
    fn tree(&self, store: &Store) -> Tree {
        let object =
            |bytes: &[u8]| Item::Object { digest: store.put(&Sys::real(), bytes).unwrap(), size: bytes.len() as u64 };
        let entry =
            |path: &str, mode, item| Entry { path: path.into(), meta: Metadata { mode, ..Default::default() }, item };
        let folders = "usr usr/lib usr/lib/modules usr/lib/modules/6.1 usr/lib/cfs-host usr/lib/cfs-host/boot boot sysroot run etc etc/ssh var var/lib";
        let mut entries: Vec<Entry> = folders.split(' ').map(|path| entry(path, 0o755, Item::Directory)).collect();
        entries.extend([
            entry("usr/lib/modules/6.1/cfs-host.efi", 0o644, object(&self.uki)),
            entry("usr/lib/cfs-host/boot/systemd-bootx64.efi", 0o644, object(&self.loader)),
            entry("usr/lib/os-release", 0o644, Item::Inline(b"PRETTY_NAME=\"Example OS\"\n".to_vec())),
            entry("etc/shadow", 0o640, object(&[b'x'; 5000])),
            entry("etc/ssh/key", 0o600, Item::Inline(b"key".to_vec())),
            entry("etc/os-release", 0o777, Item::Symlink(b"../usr/lib/os-release".to_vec())),
            entry("var/lib/seed", 0o644, Item::Inline(b"seed".to_vec())),
        ]);
        Tree::from_layers(vec![entries]).unwrap()
    }

    /// The image as an import would hand it over; `claims` and `annotations` are changed before they are used.
    fn sealed(
        &self,
        store: &Store,
        claims: impl Fn(&mut Claims),
        annotations: impl Fn(&mut HashMap<String, String>),
    ) -> Imported {
        let unsealed =
            Imported { meta: meta(&HashMap::new(), &BTreeMap::new()), tree: self.tree(store), stats: Stats::default() };
        let signer = KeyFile::load(&self.keys.image_key(), &self.keys.image_certificate()).unwrap();
        let seal = sign(&unsealed, store, &self.policy, &signer).unwrap();
        let mut made = Claims {
            role: Role::HostBootable,
            product: "example".into(),
            security_version: 1,
            digest: seal.bootable,
            uki_ids: vec![self.policy.uki_id],
        };
        claims(&mut made);
        let seal = Seal { signature: cms::sign(&made, &signer).unwrap(), ..seal };
        let mut found = seal.on_manifest().into_iter().collect();
        annotations(&mut found);
        Imported { meta: meta(&found, &seal.on_config()), ..unsealed }
    }

    fn prepare(&self, request: &Request, sys: &Sys) -> anyhow::Result<Prepared> {
        self.prepare_with(request, sys, |_| (), |_| ())
    }

    fn prepare_with(
        &self,
        request: &Request,
        sys: &Sys,
        claims: impl Fn(&mut Claims),
        annotations: impl Fn(&mut HashMap<String, String>),
    ) -> anyhow::Result<Prepared> {
        let ground = Ground::survey(request, sys)?;
        let imported = self.sealed(&ground.store, claims, annotations);
        ground.build(request, imported, sys, &|_| ())
    }

    fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// What `--keys` says.
fn trust(keys: &KeyDir) -> Trust {
    Trust {
        policy: Some(LoadedPolicy::load(&keys.policy()).unwrap()),
        db: vec![Certificate::load(&keys.secure_boot(Variable::Db, "crt")).unwrap()],
        ..Trust::default()
    }
}

fn meta(annotations: &HashMap<String, String>, on_config: &BTreeMap<String, String>) -> ImageMeta {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]}});
    let blob = |media: &str| serde_json::json!({"mediaType": media, "digest": DIFF_ID, "size": 1});
    let mut config_blob = blob("application/vnd.oci.image.config.v1+json");
    config_blob["annotations"] = serde_json::json!(on_config);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config_blob,
        "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip")], "annotations": annotations});
    let (config_bytes, manifest_bytes) = (config.to_string().into_bytes(), manifest.to_string().into_bytes());
    ImageMeta {
        reference: "oci:image:v1".parse().unwrap(),
        manifest_digest: DIFF_ID.parse().unwrap(),
        manifest: ImageManifest::from_reader(&manifest_bytes[..]).unwrap(),
        config: ImageConfiguration::from_reader(&config_bytes[..]).unwrap(),
        manifest_bytes,
        config_bytes,
    }
}

fn debugfs(plan: &InstallPlan, command: &str) -> String {
    let disk = format!("{}?offset={}", plan.disk.target.display(), plan.disk.root.offset);
    let output = std::process::Command::new("debugfs").args(["-R", command, &disk]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_sealed_image_becomes_a_disk() {
    let workshop = Workshop::new();
    let request = Request { enroll_keys: Some(workshop.keys.path().to_owned()), ..workshop.request("disk.img") };
    let prepared = workshop.prepare(&request, &Sys::real()).unwrap();
    let plan = prepared.plan.clone();
    assert_eq!((plan.system.as_str(), plan.kernel.as_str(), plan.enforces), ("Example OS", "6.1", true));
    assert_eq!((plan.signers.len(), plan.target_reference.as_str()), (1, "docker://example.org/host:stable"));
    apply(&prepared, &Sys::real(), &|_| ()).unwrap();
    drop(prepared);
    assert_eq!(workshop.left(), ["disk.img"]);

    let deployment = format!("/cfs/deploy/{}", plan.deployment);
    let origin = Origin::parse(debugfs(&plan, &format!("cat {deployment}/origin.json")).as_bytes()).unwrap();
    assert_eq!((origin.image, origin.reference), (plan.image, plan.target_reference.clone()));
    assert!(debugfs(&plan, &format!("stat {deployment}/image.sig")).contains("Type: regular"));
    let shadow = debugfs(&plan, &format!("stat {deployment}/etc/shadow"));
    assert!(shadow.contains("Mode:  0640") && shadow.contains("Size: 5000"), "{shadow}");
    assert_eq!(debugfs(&plan, "cat /cfs/var/lib/seed"), "seed");
    assert_eq!(debugfs(&plan, "cat /cfs/version"), "1\n");
    let object = plan.image.object_path();
    assert!(debugfs(&plan, &format!("stat /composefs/{object}")).contains("Type: regular"));
}

#[test]
fn each_forged_seal_is_refused_and_nothing_is_written() {
    let workshop = Workshop::new();
    let request = workshop.request("disk.img");
    let sys = Sys::real();
    let refusal = |result: anyhow::Result<Prepared>| {
        let text = format!("{:#}", result.map(|prepared| prepared.plan).unwrap_err());
        assert_eq!(workshop.left(), [""; 0], "{text}");
        text
    };
    let claims = |change: &dyn Fn(&mut Claims)| refusal(workshop.prepare_with(&request, &sys, change, |_| ()));
    let annotations =
        |change: &dyn Fn(&mut HashMap<String, String>)| refusal(workshop.prepare_with(&request, &sys, |_| (), change));
    for (text, words) in [
        (claims(&|claims| claims.role = Role::HostConfig), "image signature"),
        (claims(&|claims| claims.product = "other".into()), "other"),
        (claims(&|claims| claims.uki_ids = vec![Digest::new([9; 32])]), "image signature"),
        (claims(&|claims| claims.digest = Digest::new([9; 32])), "image signature"),
        (annotations(&|map| map.clear()), "never sealed"),
        (annotations(&|map| drop(map.remove(&signature_key(BOOTABLE)))), "is missing"),
        (annotations(&|map| drop(map.insert(BOOTABLE.into(), Digest::new([9; 32]).to_hex()))), "layers give"),
        (annotations(&|map| drop(map.insert(SEALED_LAYERS.into(), sealed_layers(&[])))), "built from"),
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(workshop.prepare(&request, &sys).is_ok(), "the same image, not forged");
}

#[test]
fn keys_of_somebody_else_are_refused() {
    let workshop = Workshop::new();
    let (_other_dir, other) = generated();
    let request = Request { trust: trust(&other), ..workshop.request("disk.img") };
    let text = format!("{:#}", workshop.prepare(&request, &Sys::real()).unwrap_err());
    assert!(text.contains("UKI signature") && text.contains("your policy"), "{text}");
    let request = Request { trust: Trust { db: vec![], ..trust(&other) }, ..request };
    let text = format!("{:#}", workshop.prepare(&request, &Sys::real()).unwrap_err());
    assert!(text.contains("your policy") && !text.contains("UKI signature"), "{text}");
}

#[test]
fn a_uki_and_a_loader_that_nobody_signed_are_refused() {
    let workshop = Workshop::new();
    let (uki, loader) = (workshop.unsigned_uki.clone(), crate::boot::pe::tests::tiny());
    let workshop = Workshop { uki, loader, ..workshop };
    let request = Request { trust: Trust::default(), ..workshop.request("disk.img") };
    let text = format!("{:#}", workshop.prepare(&request, &Sys::real()).unwrap_err());
    assert!(text.contains("UKI signature") && text.contains("loader signature"), "{text}");
}

#[test]
fn whatever_step_fails_nothing_is_left() {
    let workshop = Workshop::new();
    let request = Request { size: Some(256 << 20), ..workshop.request("disk.img") };
    let run = |sys: &Sys| apply(&workshop.prepare(&request, sys)?, sys, &|_| ());
    let counted = Sys::real();
    run(&counted).unwrap();
    std::fs::remove_file(&request.target).unwrap();
    for at in 1..=counted.steps() {
        let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(28) });
        let error = format!("{:#}", run(&sys).expect_err(&format!("step {at}")));
        assert!(error.contains("os error 28"), "step {at}: {error}");
        assert_eq!(workshop.left(), [""; 0], "step {at}: {error}");
    }
}
