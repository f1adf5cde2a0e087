//! `docker://`: a registry, through skopeo's image proxy; asynchronous inside, blocking outside.

use std::future::{poll_fn, Future};
use std::io::{self, Read};
use std::pin::Pin;
use std::process::Command;
use std::task::Poll;

use containers_image_proxy::{Error as ProxyError, ImageProxy, ImageProxyConfig, OpenedImage};
use oci_spec::image::Descriptor;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Runtime;

use super::layout::{describe, verified};
use super::meta::{digest_of, CONFIG_MAX, MANIFEST_MAX};
use super::{Error, ImageMeta, KnownConfig, LayerStream, Options, Result, Source};
use crate::model::reference::Reference;

/// One image of a registry.
pub(super) struct Registry {
    meta: ImageMeta,
    connection: Connection,
}

/// Dropped in this order: skopeo ends when the proxy closes its socket, and the runtime waits for it.
struct Connection {
    image: OpenedImage,
    proxy: ImageProxy,
    runtime: Runtime,
}

impl Registry {
    /// Fetches the manifest, and the configuration unless it is known.
    pub(super) fn open(reference: &Reference, name: &str, options: &Options, known: &KnownConfig<'_>) -> Result<Self> {
        let local = |source| Error::Read { reference: reference.clone(), what: "anything".to_owned(), source };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(local)?;
        let fail = |error: ProxyError| explain(reference, &error);
        let opened = runtime.block_on(async {
            let proxy = ImageProxy::new_with_config(config(options)).await?;
            let image = proxy.open_image(&format!("docker://{name}")).await?;
            Ok((proxy, image))
        });
        let (proxy, image) = opened.map_err(fail)?;
        let connection = Connection { image, proxy, runtime };
        let Connection { image, proxy, runtime } = &connection;
        let (_, manifest) = runtime.block_on(proxy.fetch_manifest_raw_oci(image)).map_err(fail)?;
        if manifest.len() as u64 > MANIFEST_MAX {
            let why = format!("it is larger than {MANIFEST_MAX} bytes");
            return Err(Error::Invalid { reference: reference.clone(), what: "the manifest".to_owned(), why });
        }
        let descriptor = super::meta::parse_manifest(reference, &manifest)?.config().clone();
        let config = known(descriptor.digest()).map_or_else(|| connection.config(reference, &descriptor), Ok)?;
        Ok(Self { meta: ImageMeta::new(reference, manifest, config)?, connection })
    }
}

impl Connection {
    /// skopeo may hand out the configuration parsed and written anew: then the blob itself is fetched.
    fn config(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let fetched = self.runtime.block_on(self.proxy.fetch_config_raw(&self.image));
        if let Ok(bytes) = fetched {
            if digest_of(&bytes) == *descriptor.digest() {
                return Ok(bytes);
            }
        }
        let what = "the configuration";
        let blob = verified(self.blob(reference, descriptor)?, reference, what, descriptor)?;
        blob.all(CONFIG_MAX).map_err(|source| Error::Read {
            reference: reference.clone(),
            what: what.to_owned(),
            source,
        })
    }

    fn blob(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Blob<'_>> {
        let fetched = self.runtime.block_on(self.proxy.get_descriptor(&self.image, descriptor));
        let (reader, driver) = fetched.map_err(|error| explain(reference, &error))?;
        Ok(Blob { runtime: &self.runtime, reader: Box::new(reader), driver: Some(Box::new(driver)) })
    }
}

impl Source for Registry {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn layer(&self, index: usize) -> Result<LayerStream<'_>> {
        let (descriptor, compression) = describe(&self.meta, index)?;
        let reference = &self.meta.reference;
        let blob = self.connection.blob(reference, descriptor)?;
        let reader = verified(blob, reference, &format!("layer {}", descriptor.digest()), descriptor)?;
        Ok(LayerStream { compression, reader: Box::new(reader) })
    }
}

type Driver<'a> = Box<dyn Future<Output = std::result::Result<(), ProxyError>> + Send + Unpin + 'a>;

/// A blob on its way: skopeo closes the pipe only when its driver, too, is polled.
struct Blob<'a> {
    runtime: &'a Runtime,
    reader: Box<dyn AsyncRead + Send + Unpin + 'a>,
    driver: Option<Driver<'a>>,
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { runtime, reader, driver } = self;
        runtime.block_on(poll_fn(|context| {
            if let Some(Poll::Ready(outcome)) = driver.as_mut().map(|driver| Pin::new(driver).poll(context)) {
                *driver = None;
                outcome.map_err(io::Error::other)?;
            }
            let mut part = ReadBuf::new(buffer);
            match Pin::new(&mut *reader).poll_read(context, &mut part) {
                Poll::Ready(Ok(())) if part.filled().is_empty() && driver.is_some() => Poll::Pending,
                Poll::Ready(outcome) => Poll::Ready(outcome.map(|()| part.filled().len())),
                Poll::Pending => Poll::Pending,
            }
        }))
    }
}

fn config(options: &Options) -> ImageProxyConfig {
    let mut config = ImageProxyConfig::default();
    config.authfile.clone_from(&options.authfile);
    config.insecure_skip_tls_verification = options.insecure_transport.then_some(true);
    config.skopeo_cmd = options.architecture.as_ref().map(|architecture| {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "SIGTERM",
            "--",
            "skopeo",
            "--override-os",
            "linux",
            "--override-arch",
            architecture,
        ]);
        command
    });
    config
}

fn explain(reference: &Reference, error: &ProxyError) -> Error {
    let why = error.to_string();
    let advice = match &why {
        _ if matches!(error, ProxyError::SkopeoSpawnError(_)) => "install skopeo and util-linux",
        why if why.contains("manifest unknown") || why.contains("name unknown") => "check the name and the tag",
        why if why.contains("unauthorized") || why.contains("denied") => {
            "log in with podman login, or name the file with your credentials"
        }
        why if why.contains("HTTP response to HTTPS client") || why.contains("x509") => {
            "the registry has no valid certificate; allow insecure transport if you mean this one"
        }
        why if why.contains("no image found in manifest list") => "it has no image for this architecture",
        why if why.contains("connect") || why.contains("dial") || why.contains("timeout") => {
            "check the network and the name of the registry"
        }
        _ => "skopeo inspect on the same reference may tell more",
    };
    Error::Registry { reference: reference.clone(), why, advice }
}
