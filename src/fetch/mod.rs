//! Where images come from: manifest, configuration and layer streams, each verified as it is read.
//!
//! Takes a [`Reference`]; gives a [`Source`]. Never unpacks, never writes.

use std::io::Read;

use oci_spec::image::{Digest as OciDigest, ImageConfiguration, ImageManifest};

use crate::model::reference::Reference;

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
pub struct LayerStream<'a> {
    /// How to decompress it.
    pub compression: Compression,
    /// The blob.
    pub reader: Box<dyn Read + Send + 'a>,
}

/// An image that can be read.
pub trait Source {
    /// Manifest and configuration.
    fn image(&self) -> &ImageMeta;
    /// The blob of layer `index`, counted as in the manifest from the base up.
    fn layer(&mut self, index: usize) -> Result<LayerStream<'_>>;
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
    /// To be replaced by the variants that the implementation needs.
    #[error("{0}")]
    Other(String),
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Opens the image that the reference names.
pub fn open(_reference: &Reference, _options: &Options) -> Result<Box<dyn Source>> {
    todo!("fetch helper")
}
