//! `docker://`: an image of a registry, by the OCI distribution specification, over HTTP of our own threads.
//!
//! Takes a name and what this host says of registries (names, mirrors, credentials, authorities, policy); gives the
//! manifest, the configuration unless it is known, and layers to any number of readers. Never writes.

mod blob;
mod certs;
mod challenge;
mod client;
mod credentials;
mod endpoint;
mod failure;
mod login;
mod manifest;
mod name;
mod places;
mod policy;
mod proxy;
mod registries;
mod retry;
mod url;

use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::image::{Descriptor, Digest as OciDigest};
use ureq::http::{header, Response};
use ureq::Body;

use self::blob::{Blob, Way};
use self::endpoint::Endpoint;
use self::failure::{succeeded, Cause, Failure};
use self::manifest::Kind;
use self::name::Name;
use self::places::Places;
use self::registries::{Location, Registries};
use self::retry::retrying;
use super::layout::{by_platform, describe, parse_index, verified, INDEX_DEPTH};
use super::meta::{embedded, is_foreign, parse_manifest, CONFIG_MAX, MANIFEST_MAX};
use super::{architecture, Error, ImageMeta, KnownConfig, LayerStream, Options, Patience, Result, Source};
use crate::model::reference::Reference;

/// One image of a registry.
pub(super) struct Registry {
    meta: ImageMeta,
    remote: Remote,
}

/// Where it is read from.
struct Remote {
    reference: Reference,
    endpoint: Endpoint,
    patience: Patience,
    /// Bytes that came twice, after a connection broke.
    again: AtomicU64,
}

impl Registry {
    /// Fetches the manifest from the first place that gives it, and the configuration unless it is known.
    pub(super) fn open(reference: &Reference, name: &str, options: &Options, known: &KnownConfig<'_>) -> Result<Self> {
        let places = Places::of_this_host();
        let mut failed = Vec::new();
        let locations = locations(&places, reference, name)?;
        let count = locations.len();
        for (number, location) in locations.into_iter().enumerate() {
            let at = location.name.bare();
            // A mirror that stumbles is passed over: the next place is as good.
            let retries = if number + 1 < count { 0 } else { options.patience.retries };
            let patience = Patience { retries, ..options.patience.clone() };
            let remote = Remote {
                reference: reference.clone(),
                endpoint: Endpoint::new(location, &places, options)?,
                patience,
                again: AtomicU64::new(0),
            };
            match remote.image(options, known) {
                Ok(meta) => {
                    let remote = Remote { patience: options.patience.clone(), ..remote };
                    return Ok(Self { meta, remote });
                }
                Err(error) => failed.push((at, error)),
            }
        }
        Err(together(failed, reference))
    }
}

/// All places that may have the image; an error if this host does not want it from anywhere.
fn locations(places: &Places, reference: &Reference, name: &str) -> Result<Vec<Location>> {
    let refused = |why: String| Error::Refused { reference: reference.clone(), why };
    let registries = Registries::load(places)?;
    let mut all = Vec::new();
    for name in registries.names(name).map_err(refused)? {
        if let Err((file, why)) = policy::check(places, &name)? {
            return Err(refused(format!("{}: {why}", file.display())));
        }
        all.extend(registries.locations(&name).map_err(refused)?);
    }
    Ok(all)
}

/// The last error, and what went wrong before it.
fn together(mut failed: Vec<(String, Error)>, reference: &Reference) -> Error {
    let last = failed.pop().map(|(_, error)| error);
    let before: String = failed.iter().map(|(at, error)| format!("; {at}: {}", error.short())).collect();
    match last {
        Some(Error::Registry { reference, why, advice }) => {
            Error::Registry { reference, why: format!("{why}{before}"), advice }
        }
        Some(error) => error,
        None => Error::Refused { reference: reference.clone(), why: "no place is left to fetch it from".to_owned() },
    }
}

impl Remote {
    fn name(&self) -> &Name {
        &self.endpoint.name
    }

    fn explain(&self, what: &str, failure: Failure) -> Error {
        failure.explain(&self.reference, what, &self.name().host, self.endpoint.told())
    }

    fn image(&self, options: &Options, known: &KnownConfig<'_>) -> Result<ImageMeta> {
        let manifest = self.manifest(options)?;
        let descriptor = parse_manifest(&self.reference, &manifest)?.config().clone();
        let config = match known(descriptor.digest()) {
            Some(config) => config,
            None => self.config(&descriptor)?,
        };
        ImageMeta::new(&self.reference, manifest, config)
    }

    /// Through indexes to the manifest for this machine.
    fn manifest(&self, options: &Options) -> Result<Vec<u8>> {
        let name = self.name();
        let (mut bytes, mut kind) = self.document(name.version(), name.digest.as_ref())?;
        for _ in 0..INDEX_DEPTH {
            if kind == Kind::Image {
                return Ok(bytes);
            }
            let index = parse_index(&self.reference, &bytes)?;
            let descriptor = by_platform(&self.reference, &index, &architecture(options))?;
            (bytes, kind) = self.child(&descriptor)?;
        }
        let (reference, what) = (self.reference.clone(), "its index".to_owned());
        Err(Error::Invalid { reference, what, why: "it is nested too deeply".to_owned() })
    }

    fn document(&self, version: &str, digest: Option<&OciDigest>) -> Result<(Vec<u8>, Kind)> {
        let what = format!("the manifest {version}");
        retrying(&self.patience, || manifest::fetch(&self.endpoint, version, digest))
            .map_err(|failure| self.explain(&what, failure))
    }

    fn child(&self, descriptor: &Descriptor) -> Result<(Vec<u8>, Kind)> {
        let digest = descriptor.digest();
        let what = format!("the manifest {digest}");
        let damaged = |why: String| self.explain(&what, Failure::new(Cause::Damaged, why));
        let (bytes, kind) = match embedded(descriptor, MANIFEST_MAX).map_err(damaged)? {
            Some(bytes) => {
                let kind = manifest::kind(&bytes, None).map_err(damaged)?;
                (bytes, kind)
            }
            None => self.document(digest.as_ref(), Some(digest))?,
        };
        match bytes.len() as u64 == descriptor.size() {
            true => Ok((bytes, kind)),
            false => Err(damaged(format!("it has {} bytes, the index says {}", bytes.len(), descriptor.size()))),
        }
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let what = format!("the configuration {}", descriptor.digest());
        let damaged = |why: String| self.explain(&what, Failure::new(Cause::Damaged, why));
        if let Some(bytes) = embedded(descriptor, CONFIG_MAX).map_err(damaged)? {
            return Ok(bytes);
        }
        let blob = verified(self.blob(descriptor, what.clone())?, &self.reference, &what, descriptor)?;
        let unreadable = |source| Error::Read { reference: self.reference.clone(), what: what.clone(), source };
        blob.all(CONFIG_MAX).map_err(unreadable)
    }

    fn blob<'a>(&'a self, descriptor: &'a Descriptor, what: String) -> Result<Blob<'a>> {
        let way = Way {
            ask: Box::new(move |at| self.ask(descriptor, at)),
            explain: Box::new(move |failure| self.explain(&what, failure)),
            patience: &self.patience,
            again: &self.again,
        };
        Blob::open(way, descriptor.size())
    }

    /// The bytes from a position on. A layer that registries do not distribute lies where its descriptor says.
    fn ask(&self, descriptor: &Descriptor, at: u64) -> std::result::Result<Response<Body>, Failure> {
        let range = format!("bytes={at}-");
        let headers = [(header::RANGE, range.as_str())];
        let headers = if at == 0 { &headers[..0] } else { &headers[..] };
        let elsewhere = descriptor.urls().iter().flatten().filter(|_| is_foreign(descriptor.media_type()));
        let mut failure = None;
        for address in elsewhere {
            let url = url::absolute(address).map_err(|why| Failure::new(Cause::Other, why))?;
            match self.endpoint.client.get(&url, headers, None).and_then(succeeded) {
                Ok(response) => return Ok(response),
                Err(error) => failure = Some(Failure { why: format!("{address}: {}", error.why), ..error }),
            }
        }
        let own = self.endpoint.get(&format!("blobs/{}", descriptor.digest()), headers);
        own.map_err(|error| failure.unwrap_or(error))
    }
}

/// What a registry or a file of settings may hold, read as it is above: the doors for `fuzz/`.
#[doc(hidden)]
pub mod parsers {
    use super::name::Name;
    use super::registries::Registries;
    use super::{blob, challenge, credentials, login, manifest, policy, url};

    /// Bytes of an answer, whichever part of it they may be.
    pub fn answer(bytes: &[u8]) {
        let _ = (manifest::kind(bytes, None), login::parse(bytes), credentials::parse_answer(bytes));
        if let Ok(text) = std::str::from_utf8(bytes) {
            let base = ureq::http::Uri::from_static("https://registry.example/v2/host/blobs/x?y");
            let _ = (challenge::parse(text), blob::first_byte(text), url::follow(&base, text));
        }
    }

    /// A file of settings, and a name that it is asked about: what comes out is a name again.
    pub fn settings(file: &str, name: &str) {
        let Ok(registries) = Registries::parse(file) else { return };
        for name in registries.names(name).into_iter().flatten() {
            assert_eq!(Name::parse(&name.to_string()).as_ref(), Ok(&name));
            let _ = (registries.locations(&name), policy::verdict(file, &name), credentials::find_in(file, &name));
        }
    }
}

impl Source for Registry {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn layer(&self, index: usize) -> Result<LayerStream<'_>> {
        let (descriptor, compression) = describe(&self.meta, index)?;
        let (reference, what) = (&self.meta.reference, format!("layer {}", descriptor.digest()));
        let damaged = |why: String| self.remote.explain(&what, Failure::new(Cause::Damaged, why));
        if let Some(bytes) = embedded(descriptor, MANIFEST_MAX).map_err(damaged)? {
            return Ok(LayerStream::new(compression, std::io::Cursor::new(bytes)));
        }
        let blob = self.remote.blob(descriptor, what.clone())?;
        let reader = verified(blob, reference, &what, descriptor)?;
        Ok(LayerStream::new(compression, reader))
    }

    fn bytes_again(&self) -> u64 {
        self.remote.again.load(Ordering::Relaxed)
    }
}
