//! Where images are taken apart and put together: a scratch store, and the layout that is being written.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use flate2::read::GzEncoder;
use oci_spec::image::{ImageConfiguration, ImageManifest};
use tempfile::TempDir;

use super::import::{import, Imported, Keep};
use crate::fetch::{self, Compression, ImageMeta, LayerStream, Options, Source};
use crate::model::limits::Limits;
use crate::model::reference::Reference;
use crate::seal::layout::Layout;
use crate::seal::manifest::{Blob, MANIFEST_TYPE};
use crate::store::Store;
use crate::sys::{parent, ScratchDir, Sys};

/// The tag of the image in a scratch layout, on its way to its destination.
const SCRATCH_TAG: &str = "sealed";
/// The name of a scratch directory.
const SCRATCH: &str = "cfs-seal";

/// A store and a layout; what is scratch of them goes when this is dropped.
pub struct Workshop {
    /// Objects of the images at hand.
    pub store: Store,
    /// The destination if it is a layout, else a scratch one.
    pub layout: Layout,
    scratch: Scratch,
    limits: Limits,
}

/// Removed when dropped. Where others may write (`/tmp`) the name cannot be known beforehand; elsewhere the next run
/// finds by its name what a killed one left.
enum Scratch {
    Named(ScratchDir),
    Temporary(TempDir),
}

impl Scratch {
    fn for_destination(destination: &Reference, sys: &Sys) -> anyhow::Result<Self> {
        match destination {
            Reference::OciDir { path, .. } | Reference::OciArchive { path, .. } => {
                sys.remove_leftovers(parent(path), SCRATCH)?;
                Ok(Self::Named(sys.scratch_dir(parent(path), SCRATCH)?))
            }
            _ => Ok(Self::Temporary(tempfile::Builder::new().prefix("cfs-host-").tempdir()?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(directory) => directory.path(),
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl Workshop {
    /// Scratch space lies beside a destination in the file system, else where temporary files lie.
    pub fn new(destination: &Reference, limits: Limits, sys: &Sys) -> anyhow::Result<Self> {
        let scratch = Scratch::for_destination(destination, sys)
            .with_context(|| format!("cannot make a scratch directory for {destination}"))?;
        let store = Store::open_or_create(&scratch.path().join("composefs"), sys)?;
        let layout = match destination {
            Reference::OciDir { path, .. } => Layout::open_or_create(path, sys)?,
            _ => Layout::open_or_create(&scratch.path().join("oci"), sys)?,
        };
        Ok(Self { store, layout, scratch, limits })
    }

    /// Copies the source's layers into the layout. Layers that come unpacked, as all do from podman's
    /// storage, are gzipped: nobody wants to push or fetch them plain.
    pub fn copy_layers(&self, source: &dyn Source, sys: &Sys) -> anyhow::Result<Vec<Blob>> {
        let descriptors = source.image().manifest.layers().clone();
        let mut layers = Vec::with_capacity(descriptors.len());
        for (index, descriptor) in descriptors.iter().enumerate() {
            let packed = compression_of(descriptor.media_type().as_ref());
            let digest = descriptor.digest().to_string();
            let known = Blob { media_type: media_type(packed).to_owned(), digest, size: descriptor.size() };
            if packed != Compression::None && self.layout.has(&known)? {
                layers.push(known);
                continue;
            }
            let mut stream = source.layer(index)?;
            layers.push(match stream.compression {
                Compression::None => {
                    let mut gzip = GzEncoder::new(stream.reader, flate2::Compression::new(6));
                    self.layout.put(media_type(Compression::Gzip), &mut gzip, sys)?
                }
                packed => self.layout.put(media_type(packed), &mut stream.reader, sys)?,
            });
        }
        Ok(layers)
    }

    /// Imports an image whose layers are in the layout.
    pub fn import(&self, meta: ImageMeta, layers: &[Blob], sys: &Sys) -> anyhow::Result<Imported> {
        let source = LayoutSource { layout: &self.layout, meta, layers, limits: self.limits };
        import(&source, &self.store, sys, Keep::Tagged, &|_| ())
    }

    /// Writes configuration and manifest, names the image, and takes it where it belongs.
    pub fn publish(
        &self,
        meta: &ImageMeta,
        destination: &Reference,
        options: &Options,
        sys: &Sys,
    ) -> anyhow::Result<()> {
        let config = meta.manifest.config();
        self.layout.put(config.media_type().as_ref(), &mut meta.config_bytes.as_slice(), sys)?;
        let manifest = self.layout.put(MANIFEST_TYPE, &mut meta.manifest_bytes.as_slice(), sys)?;
        if let Reference::OciDir { tag, .. } = destination {
            return Ok(self.layout.tag(&manifest, tag.as_deref(), sys)?);
        }
        self.layout.tag(&manifest, Some(SCRATCH_TAG), sys)?;
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet"]);
        if !matches!(destination, Reference::ContainersStorage(_)) {
            skopeo.arg("--preserve-digests");
        }
        if let Some(authfile) = &options.authfile {
            skopeo.arg("--authfile").arg(authfile);
        }
        if options.insecure_transport {
            skopeo.arg("--dest-tls-verify=false");
        }
        skopeo.arg(format!("oci:{}:{SCRATCH_TAG}", self.scratch.path().join("oci").display()));
        skopeo.arg(destination.to_string());
        sys.run(&mut skopeo, b"").map_err(|source| Push { destination: destination.to_string(), source })?;
        Ok(())
    }
}

/// The destination did not take the image.
#[derive(Debug, thiserror::Error)]
#[error("cannot push to {destination}: {source}")]
pub struct Push {
    /// Where to.
    pub destination: String,
    /// Why not.
    pub source: crate::sys::Error,
}

/// Manifest and configuration as they were written.
pub fn meta(reference: &Reference, manifest_bytes: Vec<u8>, config_bytes: Vec<u8>) -> anyhow::Result<ImageMeta> {
    let manifest: ImageManifest = serde_json::from_slice(&manifest_bytes).context("the new manifest")?;
    let config: ImageConfiguration = serde_json::from_slice(&config_bytes).context("the new configuration")?;
    let manifest_digest = Blob::of(MANIFEST_TYPE, &manifest_bytes).digest.parse().context("the new manifest")?;
    Ok(ImageMeta { reference: reference.clone(), manifest_digest, manifest_bytes, manifest, config_bytes, config })
}

/// A store alone, for an image that is only looked at.
pub fn scratch_store(sys: &Sys) -> anyhow::Result<(Store, TempDir)> {
    let scratch = tempfile::Builder::new().prefix("cfs-host-").tempdir().context("cannot make a scratch directory")?;
    Ok((Store::open_or_create(&scratch.path().join("composefs"), sys)?, scratch))
}

struct LayoutSource<'a> {
    layout: &'a Layout,
    meta: ImageMeta,
    layers: &'a [Blob],
    limits: Limits,
}

impl Source for LayoutSource<'_> {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    /// Not hashed again on the way: every layer's diff ID is verified by the import.
    fn layer(&self, index: usize) -> fetch::Result<LayerStream<'_>> {
        let unreadable = |source| fetch::Error::Read {
            reference: self.meta.reference.clone(),
            what: format!("layer {index} in the scratch layout"),
            source,
        };
        let layer = self.layers.get(index).ok_or_else(|| unreadable(std::io::ErrorKind::NotFound.into()))?;
        let file = self.layout.blob(&layer.digest).map_err(|error| unreadable(std::io::Error::other(error)))?;
        Ok(LayerStream::new(compression_of(&layer.media_type), file))
    }
}

fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// Of OCI's and of Docker's media types.
fn compression_of(media_type: &str) -> Compression {
    if media_type.ends_with("zstd") {
        Compression::Zstd
    } else if media_type.ends_with("gzip") {
        Compression::Gzip
    } else {
        Compression::None
    }
}
