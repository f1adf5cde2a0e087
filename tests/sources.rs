//! One image from five places gives one digest, which composefs-rs gives too: a registry, a layout, an archive, podman's storage as built and as pulled.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cfs_host::fetch::{self, Options};
use cfs_host::model::Digest;
use fixture::podman_root::Podman;
use fixture::{base, digests, import_into, layout, peer_digests, peer_pull, run, Layer, Pack};

/// docker-registry on a port of its own, stopped when dropped.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            folder.join("data").display()
        );
        std::fs::write(folder.join("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed");
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONTAINERFILE: &str = "FROM scratch
ADD base.tar /
COPY tool /usr/bin/tool
COPY tool /usr/lib/second
ADD upper.tar /
";

/// A context for `podman build` whose result has hard links, links, odd sizes and several layers.
fn context(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let large: Vec<u8> = (0..100_000u32).map(|at| (at % 253) as u8).collect();
    let base = base()
        .file("usr/lib/large", &large)
        .hardlink("usr/lib/linked", "usr/lib/large")
        .symlink("usr/lib/sym", "../bin");
    std::fs::write(folder.join("base.tar"), base.finish()).unwrap();
    let upper = Layer::new().dir("usr").dir("usr/lib").file("usr/lib/large", b"small now").file("usr/lib/empty", b"");
    std::fs::write(folder.join("upper.tar"), upper.finish()).unwrap();
    std::fs::write(folder.join("tool"), &large[..5000]).unwrap();
    std::fs::write(folder.join("Containerfile"), CONTAINERFILE).unwrap();
}

fn bootable(folder: &Path, what: &str, reference: &str, options: &Options) -> Digest {
    let store = folder.join(format!("store-{what}"));
    let image = import_into(&store, reference, options).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    digests(&store, &image).1
}

#[test]
fn one_image_from_five_places_has_one_digest() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let (podman, registry) = (Podman::new(folder), Registry::start(folder));
    context(&folder.join("context"));
    let build = folder.join("context").display().to_string();
    podman.run(&["build", "--isolation=chroot", "--network=host", "--layers", "-t", "host:v1", &build]);
    let oci = format!("oci:{}:v1", folder.join("layout").display());
    let archive = format!("oci-archive:{}:v1", folder.join("host.tar").display());
    let docker = format!("docker://{}/host:v1", registry.address);
    podman.run(&["push", "--format", "oci", "localhost/host:v1", &oci]);
    run(Command::new("skopeo").args(["copy", "-q", &oci, &archive]));
    run(Command::new("skopeo").args(["copy", "-q", "--dest-tls-verify=false", &oci, &docker]));
    let plain_http = Options { insecure_transport: true, ..Options::default() };

    let peer = folder.join("peer");
    peer_pull(&peer, &oci, "host");
    let expected = peer_digests(&peer, "host").1;
    assert_eq!(bootable(folder, "oci", &oci, &Options::default()), expected);
    assert_eq!(bootable(folder, "archive", &archive, &Options::default()), expected);
    assert_eq!(bootable(folder, "registry", &docker, &plain_http), expected);
    assert_eq!(bootable(folder, "built", &podman.reference("localhost/host:v1"), &Options::default()), expected);
    assert_eq!(bootable(folder, "short", &podman.reference("host:v1"), &Options::default()), expected);

    let other = folder.join("other");
    std::fs::create_dir(&other).unwrap();
    let puller = Podman::new(&other);
    let id = puller.run(&["pull", "-q", "--tls-verify=false", &docker]);
    assert_eq!(bootable(folder, "pulled", &puller.reference(&id[..12]), &Options::default()), expected);
}

#[test]
fn what_a_registry_does_not_have_is_told_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path());
    let open = |insecure_transport| {
        let reference = format!("docker://{}/none:v1", registry.address).parse().unwrap();
        let options = Options { insecure_transport, ..Options::default() };
        fetch::open(&reference, &options).err().expect("there is no such image").to_string()
    };
    assert!(open(true).contains("check the name and the tag"), "{}", open(true));
    assert!(open(false).contains("insecure transport"), "{}", open(false));
}

#[test]
fn a_damaged_blob_is_named_and_a_failed_import_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let layers = [base().finish(), Layer::new().file("usr/lib/x", &[5; 3000]).finish()];
    layout(&image, &layers, Pack::Gzip);
    let reference = format!("oci:{}", image.display());
    let meta = fetch::open(&reference.parse().unwrap(), &Options::default()).unwrap().image().clone();
    let blob = |index: usize| image.join("blobs/sha256").join(meta.manifest.layers()[index].digest().digest());
    let good = std::fs::read(blob(1)).unwrap();
    let mut bad = good.clone();
    bad[20] ^= 1;
    let store = dir.path().join("store");
    for damaged in [&bad[..], &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
        std::fs::write(blob(1), damaged).unwrap();
        let error = format!("{:#}", import_into(&store, &reference, &Options::default()).unwrap_err());
        assert!(error.contains(meta.manifest.layers()[1].digest().as_ref()) && error.contains(&reference), "{error}");
    }
    std::fs::remove_file(blob(0)).unwrap();
    std::fs::write(blob(1), &good).unwrap();
    let image = import_into(&store, &reference, &Options::default()).unwrap();
    assert_eq!(image.stats.bytes_fetched, good.len() as u64, "the first layer was kept");
}

#[test]
fn a_compressed_archive_and_a_missing_layout_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("image.tar.gz");
    std::fs::write(&archive, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0].repeat(100)).unwrap();
    let open =
        |reference: String| fetch::open(&reference.parse().unwrap(), &Options::default()).err().unwrap().to_string();
    assert!(open(format!("oci-archive:{}", archive.display())).contains("gunzip"));
    let missing = open(format!("oci:{}/none", dir.path().display()));
    assert!(missing.contains("index.json") && missing.contains("none"), "{missing}");
}
