//! Where images come from: manifest, configuration and layer streams, each verified as it is read.
//!
//! Takes a [`Reference`]; gives a [`Source`]. Never unpacks, never writes.

mod archive;
mod layout;
mod meta;
mod oci_dir;
mod registry;
mod storage;
mod storage_conf;
mod tarsplit;
mod verified;

use std::io::{self, Read};

use oci_spec::image::{Digest as OciDigest, ImageConfiguration, ImageManifest};

use crate::model::reference::Reference;
pub use storage_conf::{BadStores, Stores};

/// What a manifest and its configuration say; the bytes are those that were hashed.
#[derive(Clone, Debug)]
pub struct ImageMeta {
    /// Where it came from.
    pub reference: Reference,
    /// Digest of `manifest_bytes`.
    pub manifest_digest: OciDigest,
    /// As served.
    pub manifest_bytes: Vec<u8>,
    /// Parsed.
    pub manifest: ImageManifest,
    /// As served; its digest is the manifest's `config.digest`.
    pub config_bytes: Vec<u8>,
    /// Parsed.
    pub config: ImageConfiguration,
}

/// How a layer's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar stream.
    None,
    /// RFC 1952, possibly several members.
    Gzip,
    /// RFC 8878, possibly several frames (zstd:chunked too).
    Zstd,
}

/// One layer's bytes. Size and blob digest are checked: the read that would give the end of a wrong blob fails.
/// From podman's storage, which keeps no blobs, the tar stream comes unchecked: its diff ID tells.
pub struct LayerStream<'a> {
    /// How to decompress it.
    pub compression: Compression,
    /// The blob.
    pub reader: Box<dyn Read + Send + 'a>,
}

/// An image that can be read.
pub trait Source: Send + Sync {
    /// Manifest and configuration.
    fn image(&self) -> &ImageMeta;
    /// The blob of layer `index`, counted as in the manifest from the base up.
    fn layer(&self, index: usize) -> Result<LayerStream<'_>>;
}

/// Options of a fetch.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Credentials file, as podman's `--authfile`.
    pub authfile: Option<std::path::PathBuf>,
    /// Talk plain HTTP or accept any certificate, as podman's `--tls-verify=false`; transport only:
    /// what boots is decided by the image's signature.
    pub insecure_transport: bool,
    /// Which image of an index: the OCI architecture name; the machine's own if absent.
    pub architecture: Option<String>,
}

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("there is no image {reference}: {advice}")]
    NotFound {
        /// As the user wrote it.
        reference: Reference,
        /// What is there instead, or how to look.
        advice: String,
    },
    /// A part of it cannot be read.
    #[error("cannot read {what} of {reference}: {source}{}", permission(source))]
    Read {
        /// The image.
        reference: Reference,
        /// A file or a blob.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A part of it makes no sense.
    #[error("{reference} is not usable: {what}: {why}")]
    Invalid {
        /// The image.
        reference: Reference,
        /// Which part.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// It exists, for other machines.
    #[error("{reference} has no image for linux/{wanted}, only for {offered}")]
    Platform {
        /// The index.
        reference: Reference,
        /// OCI architecture.
        wanted: String,
        /// What it has.
        offered: String,
    },
    /// The registry or skopeo, which talks to it, failed.
    #[error("cannot fetch {reference}: {why} ({advice})")]
    Registry {
        /// The image.
        reference: Reference,
        /// Their words.
        why: String,
        /// What to do.
        advice: &'static str,
    },
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Gives the bytes of a configuration that is here already.
pub type KnownConfig<'a> = dyn Fn(&OciDigest) -> Option<Vec<u8>> + 'a;

/// Opens the image that the reference names.
pub fn open(reference: &Reference, options: &Options) -> Result<Box<dyn Source>> {
    open_knowing(reference, options, &|_| None)
}

/// The same; a registry is not asked for a configuration that is known.
pub fn open_knowing(reference: &Reference, options: &Options, known: &KnownConfig<'_>) -> Result<Box<dyn Source>> {
    Ok(match reference {
        Reference::Registry(name) => Box::new(registry::Registry::open(reference, name, options, known)?),
        Reference::OciDir { path, tag } => {
            let blobs = oci_dir::OciDir::new(path);
            Box::new(layout::Layout::open(reference, tag.as_deref(), options, blobs)?)
        }
        Reference::OciArchive { path, tag } => {
            let blobs = archive::Archive::open(reference, path)?;
            Box::new(layout::Layout::open(reference, tag.as_deref(), options, blobs)?)
        }
        Reference::ContainersStorage(name) => Box::new(storage::Storage::open(reference, name)?),
    })
}

/// The architecture to choose from an index.
fn architecture(options: &Options) -> String {
    let native = || crate::model::arch::native().map_or(std::env::consts::ARCH, |arch| arch.oci).to_owned();
    options.architecture.clone().unwrap_or_else(native)
}

fn permission(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => " (run it as root)",
        _ => "",
    }
}
