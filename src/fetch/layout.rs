//! An OCI image layout (image-spec `image-layout.md`): `index.json` and `blobs/`, wherever the files lie.

use std::io::{self, Read};

use oci_spec::image::{Descriptor, ImageIndex, MediaType};

use super::meta::{compression, embedded, sha256, CONFIG_MAX, MANIFEST_MAX};
use super::verified::Verified;
use super::{architecture, Error, ImageMeta, LayerStream, Options, Result, Source};
use crate::model::reference::Reference;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// An index may hold an index; more than this is a game.
pub(super) const INDEX_DEPTH: usize = 3;

/// Where a layout's files lie.
pub(super) trait Blobs: Send + Sync {
    /// Opens the file of this path within the layout.
    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// One image of a layout.
pub(super) struct Layout<B> {
    meta: ImageMeta,
    blobs: B,
}

impl<B: Blobs> Layout<B> {
    /// Finds the image by tag, then by platform.
    pub(super) fn open(reference: &Reference, tag: Option<&str>, options: &Options, blobs: B) -> Result<Self> {
        let part = |what: &str, source| Error::Read { reference: reference.clone(), what: what.to_owned(), source };
        let mut bytes = Vec::new();
        blobs
            .open("index.json")
            .and_then(|file| file.take(MANIFEST_MAX).read_to_end(&mut bytes))
            .map_err(|source| part("index.json", source))?;
        let index = parse_index(reference, &bytes)?;
        let mut descriptor = by_tag(reference, &index, tag)?;
        for _ in 0..INDEX_DEPTH {
            if !is_index(&descriptor) {
                let manifest = blob(&blobs, reference, "the manifest", &descriptor, MANIFEST_MAX)?;
                let config = super::meta::parse_manifest(reference, &manifest)?.config().clone();
                let config = blob(&blobs, reference, "the configuration", &config, CONFIG_MAX)?;
                return Ok(Self { meta: ImageMeta::new(reference, manifest, config)?, blobs });
            }
            let bytes = blob(&blobs, reference, "the index", &descriptor, MANIFEST_MAX)?;
            descriptor = by_platform(reference, &parse_index(reference, &bytes)?, &architecture(options))?;
        }
        Err(Error::Invalid {
            reference: reference.clone(),
            what: "its index".to_owned(),
            why: "it is nested too deeply".to_owned(),
        })
    }
}

impl<B: Blobs> Source for Layout<B> {
    fn image(&self) -> &ImageMeta {
        &self.meta
    }

    fn layer(&self, index: usize) -> Result<LayerStream<'_>> {
        let (descriptor, compression) = describe(&self.meta, index)?;
        let what = format!("layer {}", descriptor.digest());
        let reader = open(&self.blobs, &self.meta.reference, &what, descriptor)?;
        Ok(LayerStream::new(compression, reader))
    }
}

/// The descriptor of a layer, and how it is packed.
pub(super) fn describe(meta: &ImageMeta, index: usize) -> Result<(&Descriptor, super::Compression)> {
    let invalid = |what: String, why: String| Error::Invalid { reference: meta.reference.clone(), what, why };
    let descriptor = meta
        .manifest
        .layers()
        .get(index)
        .ok_or_else(|| invalid("the manifest".to_owned(), format!("it has no layer {index}")))?;
    let compression = compression(descriptor.media_type()).ok_or_else(|| {
        let why = format!("its type {} is not supported (push it as a gzip or zstd layer)", descriptor.media_type());
        invalid(format!("layer {}", descriptor.digest()), why)
    })?;
    Ok((descriptor, compression))
}

/// Checks what `inner` gives against the descriptor.
pub(super) fn verified<R: Read>(
    inner: R,
    reference: &Reference,
    what: &str,
    descriptor: &Descriptor,
) -> Result<Verified<R>> {
    let expected = expected(reference, what, descriptor)?;
    Ok(Verified::new(inner, descriptor.size(), expected, format!("{what} of {reference}")))
}

fn expected(reference: &Reference, what: &str, descriptor: &Descriptor) -> Result<[u8; 32]> {
    sha256(descriptor.digest()).ok_or_else(|| Error::Invalid {
        reference: reference.clone(),
        what: what.to_owned(),
        why: format!("its digest {} is no SHA-256", descriptor.digest()),
    })
}

fn open<'a>(
    blobs: &'a impl Blobs,
    reference: &Reference,
    what: &str,
    descriptor: &Descriptor,
) -> Result<Verified<Box<dyn Read + Send + 'a>>> {
    let invalid = |why| Error::Invalid { reference: reference.clone(), what: what.to_owned(), why };
    if let Some(bytes) = embedded(descriptor, MANIFEST_MAX).map_err(invalid)? {
        return verified(Box::new(io::Cursor::new(bytes)), reference, what, descriptor);
    }
    let path = format!("blobs/sha256/{}", hex::encode(expected(reference, what, descriptor)?));
    let file = blobs.open(&path).map_err(|source| {
        let what = format!("{what} ({path})");
        Error::Read { reference: reference.clone(), what, source }
    })?;
    verified(file, reference, what, descriptor)
}

fn blob(blobs: &impl Blobs, reference: &Reference, what: &str, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
    let fail = |source| Error::Read { reference: reference.clone(), what: what.to_owned(), source };
    open(blobs, reference, what, descriptor)?.all(limit).map_err(fail)
}

/// Parses an index.
pub(super) fn parse_index(reference: &Reference, bytes: &[u8]) -> Result<ImageIndex> {
    serde_json::from_slice(bytes).map_err(|error| Error::Invalid {
        reference: reference.clone(),
        what: "the index".to_owned(),
        why: error.to_string(),
    })
}

fn is_index(descriptor: &Descriptor) -> bool {
    match descriptor.media_type() {
        MediaType::ImageIndex => true,
        MediaType::Other(kind) => kind == "application/vnd.docker.distribution.manifest.list.v2+json",
        _ => false,
    }
}

fn by_tag(reference: &Reference, index: &ImageIndex, tag: Option<&str>) -> Result<Descriptor> {
    let tag_of = |descriptor: &Descriptor| descriptor.annotations().as_ref()?.get(REF_NAME).cloned();
    let all = index.manifests();
    let found = match tag {
        Some(tag) => all.iter().find(|descriptor| tag_of(descriptor).as_deref() == Some(tag)),
        None => all.first().filter(|_| all.len() == 1),
    };
    found.cloned().ok_or_else(|| {
        let tags: Vec<_> = all.iter().filter_map(tag_of).collect();
        let advice = match (all.len(), tags.is_empty()) {
            (0, _) => "the layout is empty".to_owned(),
            (count, true) => format!("the layout has {count} images without a tag"),
            (_, false) => format!("name one by its tag; the layout has {}", tags.join(", ")),
        };
        Error::NotFound { reference: reference.clone(), advice }
    })
}

/// The image for this architecture.
pub(super) fn by_platform(reference: &Reference, index: &ImageIndex, wanted: &str) -> Result<Descriptor> {
    let platform = |descriptor: &Descriptor| {
        descriptor.platform().as_ref().map(|platform| (platform.os().to_string(), platform.architecture().to_string()))
    };
    let all = index.manifests();
    let matching = all.iter().find(|descriptor| {
        platform(descriptor).is_some_and(|(os, architecture)| os == "linux" && architecture == wanted)
    });
    let only = all.first().filter(|descriptor| all.len() == 1 && descriptor.platform().is_none());
    matching.or(only).cloned().ok_or_else(|| {
        let offered: Vec<_> = all.iter().filter_map(platform).map(|(os, name)| format!("{os}/{name}")).collect();
        let offered = if offered.is_empty() { "no named platform".to_owned() } else { offered.join(", ") };
        Error::Platform { reference: reference.clone(), wanted: wanted.to_owned(), offered }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(entries: &[(Option<&str>, Option<&str>)]) -> ImageIndex {
        let manifests: Vec<_> = entries
            .iter()
            .enumerate()
            .map(|(number, (tag, platform))| {
                let mut entry = serde_json::json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": format!("sha256:{number:064}"), "size": 1,
                });
                if let Some(tag) = tag {
                    entry["annotations"] = serde_json::json!({REF_NAME: tag});
                }
                if let Some(architecture) = platform {
                    entry["platform"] = serde_json::json!({"os": "linux", "architecture": architecture});
                }
                entry
            })
            .collect();
        serde_json::from_value(serde_json::json!({"schemaVersion": 2, "manifests": manifests})).unwrap()
    }

    fn number(descriptor: Result<Descriptor>) -> std::result::Result<usize, String> {
        descriptor.map(|found| found.digest().digest().parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_tag_chooses_and_without_one_there_must_be_one_image() {
        let reference = "oci:d".parse().unwrap();
        let two = index(&[(Some("v1"), None), (Some("v2"), None)]);
        assert_eq!(number(by_tag(&reference, &two, Some("v2"))), Ok(1));
        assert!(number(by_tag(&reference, &two, Some("v3"))).unwrap_err().contains("v1, v2"));
        assert!(number(by_tag(&reference, &two, None)).unwrap_err().contains("v1, v2"));
        assert_eq!(number(by_tag(&reference, &index(&[(None, None)]), None)), Ok(0));
        assert!(number(by_tag(&reference, &index(&[]), None)).unwrap_err().contains("empty"));
    }

    #[test]
    fn a_platform_chooses_and_attestations_do_not_count() {
        let reference = "oci:d".parse().unwrap();
        let both = index(&[(None, Some("unknown")), (None, Some("arm64")), (None, Some("amd64"))]);
        assert_eq!(number(by_platform(&reference, &both, "amd64")), Ok(2));
        let error = number(by_platform(&reference, &both, "riscv64")).unwrap_err();
        assert!(error.contains("linux/riscv64") && error.contains("linux/arm64"), "{error}");
    }
}
