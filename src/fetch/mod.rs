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

#[doc(hidden)]
pub use registry::parsers;
pub use storage::podman_storage;
pub use tarsplit::{Originals, TarSplit};

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use oci_spec::image::{Digest as OciDigest, ImageConfiguration, ImageManifest};

use crate::model::limits::Limits;
use crate::model::reference::Reference;
pub use storage_conf::{system_config, BadStores, Home, OfUser, Stores};

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
    /// Files that hold parts of a plain stream, told before the parts are read.
    pub originals: Option<Originals>,
}

impl<'a> LayerStream<'a> {
    /// A blob of its own.
    pub fn new(compression: Compression, reader: impl Read + Send + 'a) -> Self {
        Self { compression, reader: Box::new(reader), originals: None }
    }
}

/// An image that can be read.
pub trait Source: Send + Sync {
    /// Manifest and configuration.
    fn image(&self) -> &ImageMeta;
    /// The blob of layer `index`, counted as in the manifest from the base up.
    fn layer(&self, index: usize) -> Result<LayerStream<'_>>;
    /// How much of it may be read.
    fn limits(&self) -> Limits {
        Limits::default()
    }
    /// Bytes that came twice so far, and that no reader saw: what followed a broken connection.
    fn bytes_again(&self) -> u64 {
        0
    }
}

/// A source with limits of the user's.
struct Limited {
    source: Box<dyn Source>,
    limits: Limits,
}

impl Source for Limited {
    fn image(&self) -> &ImageMeta {
        self.source.image()
    }

    fn layer(&self, index: usize) -> Result<LayerStream<'_>> {
        self.source.layer(index)
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn bytes_again(&self) -> u64 {
        self.source.bytes_again()
    }
}

/// Options of a fetch.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Credentials file, as podman's `--authfile`.
    pub authfile: Option<PathBuf>,
    /// Talk plain HTTP or accept any certificate, as podman's `--tls-verify=false`; transport only:
    /// what boots is decided by the image's signature.
    pub insecure_transport: bool,
    /// Which image of an index: the OCI architecture name; the machine's own if absent.
    pub architecture: Option<String>,
    /// How much of an image may be read.
    pub limits: Limits,
    /// What a registry that stumbles is granted.
    pub patience: Patience,
}

/// How often, and for how long, a registry is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Attempts after the first, at one place of one blob.
    pub retries: u32,
    /// The pause before each; without it 1 s, 2 s, 4 s and so on.
    pub delay: Option<Duration>,
    /// Silence that ends an attempt.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { retries: 3, delay: None, idle: Duration::from_secs(60) }
    }
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
    /// The registry, or the way to it, failed.
    #[error("cannot fetch {reference}: {why} ({advice})")]
    Registry {
        /// The image.
        reference: Reference,
        /// Which part, and the registry's words.
        why: String,
        /// What to do.
        advice: String,
    },
    /// This host does not fetch it: its settings say so, or what was written is no name.
    #[error("{reference} is not fetched: {why}")]
    Refused {
        /// The image.
        reference: Reference,
        /// Which setting.
        why: String,
    },
    /// A file of settings or credentials cannot be used.
    #[error("cannot use {}: {why}", file.display())]
    Setting {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// Without the image's name, for a list of attempts.
    fn short(&self) -> String {
        match self {
            Self::Registry { why, .. } | Self::Invalid { why, .. } => why.clone(),
            error => error.to_string(),
        }
    }
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
    let source: Box<dyn Source> = match reference {
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
    };
    Ok(Box::new(Limited { source, limits: options.limits }))
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
