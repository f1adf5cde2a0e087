//! Manifests and indexes as registries serve them: which of the two it is, and that it is what was asked for.

use oci_spec::image::Digest as OciDigest;
use serde::de::IgnoredAny;
use serde::Deserialize;
use ureq::http::header;

use super::endpoint::Endpoint;
use super::failure::{small, Cause, Failure};
use crate::fetch::meta::{digest_of, MANIFEST_MAX};

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
/// Said of everything by servers that keep files.
const ANYTHING: [&str; 3] = ["application/json", "application/octet-stream", "text/plain"];

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Index,
}

/// One attempt; `digest` is what was asked for, if it was asked for by that.
pub(super) fn fetch(
    endpoint: &Endpoint,
    version: &str,
    digest: Option<&OciDigest>,
) -> Result<(Vec<u8>, Kind), Failure> {
    let accept = [INDEXES, IMAGES].concat().join(", ");
    let response = endpoint.get(&format!("manifests/{version}"), &[(header::ACCEPT, &accept)])?;
    let (parts, body) = response.into_parts();
    let announced = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let announced = announced.map(|text| text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase());
    let bytes = small(body, MANIFEST_MAX, "it", endpoint.client.idle)?;
    check(&bytes, digest)?;
    let kind = kind(&bytes, announced.as_deref()).map_err(|why| Failure::new(Cause::Damaged, why))?;
    Ok((bytes, kind))
}

/// By a digest nothing else will do.
pub(super) fn check(bytes: &[u8], digest: Option<&OciDigest>) -> Result<(), Failure> {
    let found = digest_of(bytes);
    match digest {
        Some(wanted) if *wanted != found => {
            Err(Failure::new(Cause::Damaged, format!("it has the digest {found}, not {wanted}")))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
}

/// Bytes that could be read as both are neither (CVE-2021-41190).
pub(super) fn kind(bytes: &[u8], announced: Option<&str>) -> Result<Kind, String> {
    let known = |media_type: &str| match media_type {
        _ if INDEXES.contains(&media_type) => Some(Kind::Index),
        _ if IMAGES.contains(&media_type) => Some(Kind::Image),
        _ => None,
    };
    let announced = match announced.filter(|it| !ANYTHING.contains(it)) {
        Some(media_type) => Some(known(media_type).ok_or_else(|| format!("the registry says it is {media_type}"))?),
        None => None,
    };
    let probe: Probe = serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest ({error})"))?;
    if probe.schema_version != Some(2) {
        return Err("it is not of schema version 2 (push the image anew with a tool of this decade)".to_owned());
    }
    let inside = match (probe.manifests, probe.layers.is_some() || probe.config.is_some()) {
        (Some(_), false) => Kind::Index,
        (None, true) => Kind::Image,
        (Some(_), true) => return Err("it is an index and a manifest at once".to_owned()),
        (None, false) => return Err("it is neither an index nor a manifest".to_owned()),
    };
    let said = match probe.media_type.as_deref() {
        Some(text) => Some(known(text).ok_or_else(|| format!("its type is {text}"))?),
        None => None,
    };
    match [announced, said].into_iter().flatten().all(|kind| kind == inside) {
        true => Ok(inside),
        false => Err("its type is not what it holds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn type_and_content_must_agree() {
        let image = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(kind(image, None), Ok(Kind::Image));
        assert_eq!(kind(image, Some("application/octet-stream")), Ok(Kind::Image));
        assert_eq!(kind(index, Some(INDEXES[1])), Ok(Kind::Index));
        for (bytes, announced, why) in [
            (&image[..], Some(INDEXES[0]), "not what it holds"),
            (index, Some(IMAGES[0]), "not what it holds"),
            (image, Some("text/html"), "text/html"),
            (br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, None, "at once"),
            (br#"{"schemaVersion":2}"#, None, "neither"),
            (br#"{"schemaVersion":1,"layers":[]}"#, None, "version 2"),
            (
                br#"{"schemaVersion":2,"layers":[],"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
                None,
                "not what it holds",
            ),
            (br#"{"schemaVersion":2,"layers":[],"mediaType":"x"}"#, None, "its type is x"),
            (b"<html>", None, "no manifest"),
        ] {
            assert!(kind(bytes, announced).unwrap_err().contains(why), "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_of_a_kind_or_refused(bytes: Vec<u8>, text in "\\{\"schemaVersion\":2[a-z\":,{}\\[\\]]{0,30}") {
            let _ = kind(&bytes, None);
            let _ = kind(text.as_bytes(), None);
        }
    }
}
