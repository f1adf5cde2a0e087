//! Small images through the whole flow, both ways: what holds, and what must not.

use super::*;
use crate::boot::{init_program::tests::tiny_program, pe::tests::tiny};
use crate::fetch;
use crate::flow::sign;
use crate::seal::layout::Layout;
use crate::seal::manifest::Blob;
use crate::seal::SYSTEMD_BOOT_DIR;
use crate::trust::certificate::Certificate;
use crate::trust::efi_auth::Variable;
use crate::trust::keys::{tests::generated, KeyDir};
use crate::trust::policy_file::LoadedPolicy;
use crate::trust::signer::KeyFile;
use serde_json::json;
use std::path::PathBuf;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Bench {
    temporary: tempfile::TempDir,
    keys: KeyDir,
    sys: Sys,
}

impl Bench {
    fn new() -> Self {
        let (temporary, keys) = generated();
        Self { temporary, keys, sys: Sys::real() }
    }

    fn layout(&self) -> PathBuf {
        self.temporary.path().join("oci")
    }

    fn reference(&self, tag: &str) -> Reference {
        Reference::OciDir { path: self.layout(), tag: Some(tag.to_owned()) }
    }

    /// An image of these layers, with the annotations of another one, as `FROM` inherits them.
    fn write_image(&self, tag: &str, layers: &[Contents], inherited: Option<&str>) {
        let layout = Layout::open_or_create(&self.layout(), &self.sys).unwrap();
        let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST});
        if let Some(from) = inherited {
            manifest["annotations"] = self.manifest(from)["annotations"].clone();
        }
        let layers: Vec<_> = layers.iter().map(|contents| layer::build(contents, 1_700_000_000).unwrap()).collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let put = |media_type: &str, bytes: &[u8]| {
            let blob = layout.put(media_type, &mut &bytes[..], &self.sys).unwrap();
            json!({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size})
        };
        manifest["layers"] = layers.iter().map(|layer| put(LAYER_TYPE, &layer.blob)).collect();
        let config =
            json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        manifest["config"] = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        if let Some(from) = inherited {
            manifest["config"]["annotations"] = self.manifest(from)["config"]["annotations"].clone();
        }
        self.put_manifest(tag, &manifest);
    }

    fn put_manifest(&self, tag: &str, manifest: &serde_json::Value) {
        let layout = Layout::open_or_create(&self.layout(), &self.sys).unwrap();
        let blob: Blob = layout.put(MANIFEST, &mut manifest.to_string().as_bytes(), &self.sys).unwrap();
        layout.tag(&blob, Some(tag), &self.sys).unwrap();
    }

    fn manifest(&self, tag: &str) -> serde_json::Value {
        let source = fetch::open(&self.reference(tag), &Options::default()).unwrap();
        serde_json::from_slice(&source.image().manifest_bytes).unwrap()
    }

    /// What the keys' owner builds a UKI with.
    fn with_ingredients<T>(&self, act: impl FnOnce(&Ingredients<'_>) -> T) -> T {
        let (key, certificate) =
            (self.keys.secure_boot(Variable::Db, "key"), self.keys.secure_boot(Variable::Db, "crt"));
        act(&Ingredients {
            policy: &LoadedPolicy::load(&self.keys.policy()).unwrap(),
            signer: &KeyFile::load(&key, &certificate).unwrap(),
            init: &tiny_program(),
            arguments: &[],
            modules: &[],
        })
    }

    fn image_signer(&self) -> KeyFile {
        KeyFile::load(&self.keys.image_key(), &self.keys.image_certificate()).unwrap()
    }

    fn seal(&self, from: &str, to: &str) -> anyhow::Result<Sealed> {
        let (options, image) = (Options::default(), self.image_signer());
        let source = fetch::open(&self.reference(from), &options)?;
        self.with_ingredients(|uki| {
            let destination = &self.reference(to);
            let request = Request { destination, options: &options, uki, image: &image, epoch: None };
            seal(source.as_ref(), &request, &self.sys)
        })
    }

    /// Signs anew what is in this bench, as the owner of the keys of another one perhaps.
    fn sign_anew(&self, from: &str, to: &str, owner: &Bench) -> anyhow::Result<sign::Signed> {
        let options = Options::default();
        let (destination, signer) = (self.reference(to), owner.image_signer());
        let request =
            sign::Request { destination: &destination, options: &options, signer: &signer, trust: owner.trust() };
        sign::anew(fetch::open(&self.reference(from), &options)?.as_ref(), &request, &self.sys)
    }

    fn trust(&self) -> Trust {
        Trust {
            policy: Some(LoadedPolicy::load(&self.keys.policy()).unwrap()),
            db: vec![Certificate::load(&self.keys.secure_boot(Variable::Db, "crt")).unwrap()],
            ..Trust::default()
        }
    }

    /// The reasons why the image is not trusted; none if it is.
    fn verify(&self, tag: &str, trust: &Trust) -> String {
        let source = fetch::open(&self.reference(tag), &Options::default()).unwrap();
        let report = verify::image(source.as_ref(), trust, &self.sys).unwrap();
        report.require().err().map(|error| error.to_string()).unwrap_or_default()
    }
}

/// What a distribution's packages bring.
fn host(kernel: &str) -> Contents {
    let file = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    let modules = format!("usr/lib/modules/{kernel}");
    let directories =
        ["usr", "usr/lib", "usr/lib/modules", &modules, "usr/lib/systemd", "usr/lib/systemd/boot", SYSTEMD_BOOT_DIR];
    Contents {
        directories: directories.map(String::from).to_vec(),
        files: vec![
            file("usr/lib/os-release", b"ID=example\n"),
            file(&format!("{modules}/vmlinuz"), &tiny()),
            file(&format!("{modules}/modules.dep"), b""),
            file(&format!("{modules}/modules.builtin"), b"a/erofs.ko\na/overlay.ko\na/efivarfs.ko\na/ext4.ko\n"),
            file(&format!("{SYSTEMD_BOOT_DIR}/linuxx64.efi.stub"), &tiny()),
            file(&format!("{SYSTEMD_BOOT_DIR}/systemd-bootx64.efi"), &tiny()),
        ],
    }
}

#[test]
fn a_sealed_image_is_trusted_by_its_own_keys_and_by_no_others() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    assert!(bench.verify("base", &bench.trust()).contains("never sealed"));
    let sealed = bench.seal("base", "v1").unwrap();
    assert_eq!(sealed.added_directories, ["boot", "sysroot", "usr/lib/cfs-host", LOADER_DIR]);
    assert_eq!(bench.verify("v1", &bench.trust()), "");
    let why = bench.verify("v1", &Bench::new().trust());
    for part in ["UKI signature", "loader signature", "your policy"] {
        assert!(why.contains(part), "{part} is not in {why}");
    }
}

#[test]
fn sealing_twice_gives_the_same_image() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    let (one, two) = (bench.seal("base", "v1").unwrap(), bench.seal("base", "v2").unwrap());
    assert_eq!((one.image, one.uki_id), (two.image, two.uki_id));
    assert_eq!(bench.manifest("v1")["layers"], bench.manifest("v2")["layers"]);
}

#[test]
fn an_image_built_from_a_sealed_one_is_called_stale_until_it_is_sealed() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    bench.seal("base", "v1").unwrap();
    let more = Contents { directories: vec!["opt".into()], files: vec![] };
    bench.write_image("derived", &[host("6.1"), more], Some("v1"));
    let why = bench.verify("derived", &bench.trust());
    assert!(why.contains("sealed for the image it was built from") && why.contains("run `cfs-host seal`"), "{why}");
    bench.seal("derived", "v2").unwrap();
    assert_eq!(bench.verify("v2", &bench.trust()), "");
}

#[test]
fn the_uki_of_the_seal_and_the_one_built_alone_are_the_same() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    let file = bench.temporary.path().join("host.efi");
    let source = fetch::open(&bench.reference("base"), &Options::default()).unwrap();
    let built = bench.with_ingredients(|uki| uki::build(source.as_ref(), uki, &file, &bench.sys)).unwrap();
    let sealed = bench.seal("base", "v1").unwrap();
    assert_eq!((built.uki_id, built.kernel, built.cmdline), (sealed.uki_id, sealed.kernel, sealed.cmdline));
    let (store, _scratch) = crate::flow::workshop::scratch_store(&bench.sys).unwrap();
    let source = fetch::open(&bench.reference("v1"), &Options::default()).unwrap();
    let image =
        crate::flow::import::import(source.as_ref(), &store, &bench.sys, crate::flow::import::Keep::Tagged, &|_| ())
            .unwrap();
    let files = ImageFiles { tree: &image.tree, store: &store };
    let inside = crate::seal::files::Files::require(&files, "usr/lib/modules/6.1/cfs-host.efi", "").unwrap();
    assert!(inside == std::fs::read(file).unwrap());
}

#[test]
fn an_image_with_its_uki_is_signed_anew_by_those_whom_the_uki_trusts() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    let error = format!("{:#}", bench.sign_anew("base", "v1", &bench).unwrap_err());
    assert!(error.contains("0 UKIs"), "{error}");
    bench.seal("base", "v1").unwrap();
    // Another layer over the sealed ones: the old seal is stale, the UKI is as good as before.
    let mut derived = bench.manifest("v1");
    let more = layer::build(&Contents { directories: vec!["opt".into()], files: vec![] }, 0).unwrap();
    let layout = Layout::open_or_create(&bench.layout(), &bench.sys).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let blob = layout.put(media_type, &mut &bytes[..], &bench.sys).unwrap();
        json!({"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size})
    };
    derived["layers"].as_array_mut().unwrap().push(put(LAYER_TYPE, &more.blob));
    let source = fetch::open(&bench.reference("v1"), &Options::default()).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&source.image().config_bytes).unwrap();
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(more.diff_id));
    let inherited = derived["config"]["annotations"].take();
    derived["config"] = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    derived["config"]["annotations"] = inherited;
    bench.put_manifest("derived", &derived);
    let why = bench.verify("derived", &bench.trust());
    assert!(why.contains("built from"), "{why}");

    bench.sign_anew("derived", "v2", &bench).unwrap();
    assert_eq!(bench.verify("v2", &bench.trust()), "");
    assert_ne!(bench.manifest("v2")["annotations"], bench.manifest("v1")["annotations"]);
    bench.sign_anew("v1", "again", &bench).unwrap();
    assert_eq!(bench.verify("again", &bench.trust()), "");
    assert_eq!(bench.manifest("again")["layers"], bench.manifest("v1")["layers"]);

    let error = format!("{:#}", bench.sign_anew("derived", "forged", &Bench::new()).unwrap_err());
    assert!(error.contains("image signature"), "{error}");
    let index = std::fs::read_to_string(bench.layout().join("index.json")).unwrap();
    assert!(!index.contains("forged"), "{index}");
}

#[test]
fn after_a_kernel_upgrade_the_older_uki_is_gone() {
    let bench = Bench::new();
    let stale = Contents {
        directories: vec!["usr/lib/modules/6.0".into()],
        files: vec![("usr/lib/modules/6.0/cfs-host.efi".into(), tiny())],
    };
    bench.write_image("base", &[host("6.1"), stale], None);
    bench.seal("base", "v1").unwrap();
    assert_eq!(bench.verify("v1", &bench.trust()), "");
}

#[test]
fn every_false_annotation_is_noticed() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    bench.seal("base", "v1").unwrap();
    let good = bench.manifest("v1");
    let other = good["config"]["annotations"]["composefs.config.fsverity-sha256-12.sig"].clone();
    for (annotation, value, word) in [
        ("composefs.merged.erofs.v1.fsverity-sha256-12", json!("00".repeat(32)), "plain image"),
        ("composefs.merged.bootable.erofs.v1.fsverity-sha256-12", json!("00".repeat(32)), "bootable image"),
        ("composefs.merged.bootable.erofs.v1.fsverity-sha256-12.sig", json!("AAAA"), "image signature"),
        ("composefs.merged.bootable.erofs.v1.fsverity-sha256-12.sig", other, "image signature"),
        ("org.cfs-host.sealed-layers", json!("sha256:00"), "built from"),
    ] {
        let mut bad = good.clone();
        bad["annotations"][annotation] = value;
        bench.put_manifest("bad", &bad);
        let why = bench.verify("bad", &bench.trust());
        assert!(why.contains(word), "{annotation}: {why}");
    }
    let mut bad = good.clone();
    bad["config"]["annotations"]["composefs.config.fsverity-sha256-12"] = json!("00".repeat(32));
    bench.put_manifest("bad", &bad);
    assert!(bench.verify("bad", &bench.trust()).contains("configuration signature"));
}

#[test]
fn two_of_two_signers_need_two_signatures() {
    let (bench, second) = (Bench::new(), Bench::new());
    std::fs::copy(second.keys.image_certificate(), bench.keys.path().join("image/second.crt")).unwrap();
    let policy = std::fs::read_to_string(bench.keys.policy()).unwrap();
    let policy = policy.replace("\"image/image.crt\"", "\"image/image.crt\", \"image/second.crt\"");
    std::fs::write(bench.keys.policy(), policy.replace("\"threshold\": 1", "\"threshold\": 2")).unwrap();
    bench.write_image("base", &[host("6.1")], None);
    assert_eq!(bench.seal("base", "v1").unwrap().missing_signatures, 1);
    assert!(bench.verify("v1", &bench.trust()).contains("image signature"));
    let signer = second.image_signer();
    let (image, options) = (bench.reference("v1"), Options::default());
    let source = fetch::open(&image, &options).unwrap();
    let request = sign::Request { destination: &image, options: &options, signer: &signer, trust: bench.trust() };
    sign::append(source.as_ref(), &request, &bench.sys).unwrap();
    assert_eq!(bench.verify("v1", &bench.trust()), "");
}

#[test]
fn a_weaker_uki_is_not_what_the_callers_policy_wants() {
    let bench = Bench::new();
    bench.write_image("base", &[host("6.1")], None);
    let strict = bench.trust();
    let policy = std::fs::read_to_string(bench.keys.policy()).unwrap();
    std::fs::write(bench.keys.policy(), policy.replace("\"enforce\"", "\"permissive\"")).unwrap();
    bench.seal("base", "v1").unwrap();
    let why = bench.verify("v1", &strict);
    assert!(why.contains("is permissive"), "{why}");
}

#[test]
fn an_image_without_its_parts_is_refused_with_what_to_do_and_nothing_is_published() {
    let bench = Bench::new();
    for (without, hint) in [
        ("vmlinuz", "install a kernel package"),
        ("modules.dep", "depmod 6.1"),
        ("linuxx64.efi.stub", "systemd-boot-efi"),
        ("os-release", "os-release"),
    ] {
        let mut contents = host("6.1");
        contents.files.retain(|(path, _)| !path.ends_with(without));
        bench.write_image("base", &[contents], None);
        let error = format!("{:#}", bench.seal("base", "v1").unwrap_err());
        assert!(error.contains(hint), "{error}");
        let index = std::fs::read_to_string(bench.layout().join("index.json")).unwrap();
        assert!(!index.contains("\"v1\""), "{index}");
    }
}
