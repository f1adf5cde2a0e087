//! The name of an image in a registry: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`. Parts of it become a URL and a path of
//! files, so nothing but the letters that registries take gets through.

use std::fmt;

use oci_spec::image::Digest as OciDigest;

use crate::fetch::meta::sha256;

/// Where names without a registry once belonged, and what it answers to.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A name that says its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Host, and port if written.
    pub host: String,
    /// `library/debian`.
    pub repository: String,
    /// Present unless there is a digest.
    pub tag: Option<String>,
    /// Of the manifest or the index.
    pub digest: Option<OciDigest>,
}

impl Name {
    /// Takes the text apart; a digest wins over a tag.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{text:?} is no image name: {why}");
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(parse_digest(digest).ok_or_else(|| bad("its digest is no SHA-256"))?)),
            None => (text, None),
        };
        let (path, tag) = split_tag(name);
        let (host, repository) = path.split_once('/').ok_or_else(|| bad("it has no registry"))?;
        if !is_host(host) {
            return Err(bad("its registry is no host name"));
        }
        if !is_repository(repository) {
            return Err(bad("repositories have small letters, digits, and . _ - / between them"));
        }
        if !tag.is_none_or(is_tag) {
            return Err(bad("its tag has letters that no tag may have"));
        }
        let tag = (digest.is_none()).then(|| tag.unwrap_or("latest").to_owned());
        Ok(normal(Self { host: host.to_owned(), repository: repository.to_owned(), tag, digest }))
    }

    /// The name without tag and digest.
    pub(super) fn bare(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// What a manifest is asked for by.
    pub(super) fn version(&self) -> &str {
        self.digest.as_ref().map_or_else(|| self.tag.as_deref().unwrap_or("latest"), |digest| digest.as_ref())
    }

    /// The host that speaks for the registry.
    pub(super) fn api(&self) -> &str {
        match self.host.as_str() {
            DOCKER_HUB => DOCKER_HUB_API,
            host => host,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        write!(f, "{}{separator}{}", self.bare(), self.version())
    }
}

/// Whether the text leaves out the registry: its first part is no host name.
pub(super) fn is_short(text: &str) -> bool {
    let name = text.split_once('@').map_or(text, |(name, _)| name);
    match name.split_once('/') {
        Some((first, _)) => !first.contains(['.', ':']) && first != "localhost",
        None => true,
    }
}

/// Splits off a tag; a colon before the last slash belongs to a port.
pub(super) fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    }
}

/// Docker's own registry has several names, and a folder for names without one.
fn normal(mut name: Name) -> Name {
    if name.host == "index.docker.io" || name.host == DOCKER_HUB_API {
        name.host = DOCKER_HUB.to_owned();
    }
    if name.host == DOCKER_HUB && !name.repository.contains('/') {
        name.repository = format!("library/{}", name.repository);
    }
    name
}

fn parse_digest(text: &str) -> Option<OciDigest> {
    let digest: OciDigest = text.parse().ok()?;
    sha256(&digest).map(|_| digest)
}

fn is_host(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| match port.parse::<u16>() {
        Ok(_) => name,
        Err(_) => host,
    });
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            name.len() <= NAME_MAX && name.split('.').all(|part| !part.is_empty() && part.chars().all(plain))
        }
    }
}

fn is_repository(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || "._-".contains(c))
    };
    path.len() <= NAME_MAX && path.split('/').all(part)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= TAG_MAX && tag.starts_with(word) && tag.chars().all(|c| word(c) || ".-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_taken_apart_and_written_in_full() {
        let digest = format!("sha256:{}", "07".repeat(32));
        for (text, full) in [
            ("example.org/host", "example.org/host:latest".to_owned()),
            ("localhost/a/b:v1", "localhost/a/b:v1".to_owned()),
            ("127.0.0.1:5000/host:v1", "127.0.0.1:5000/host:v1".to_owned()),
            ("[::1]:5000/host:v1", "[::1]:5000/host:v1".to_owned()),
            ("docker.io/debian", "docker.io/library/debian:latest".to_owned()),
            ("index.docker.io/x/debian:13", "docker.io/x/debian:13".to_owned()),
            (&format!("example.org/host:v1@{digest}"), format!("example.org/host@{digest}")),
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), full);
        }
        assert_eq!(Name::parse("docker.io/debian").unwrap().api(), "registry-1.docker.io");
    }

    #[test]
    fn what_would_be_another_path_or_host_is_refused() {
        for bad in [
            "host",
            "example.org/",
            "example.org/../x",
            "example.org/a//b",
            "example.org/a?b",
            "example.org/A",
            "user@example.org/a",
            "example.org:99999/a",
            "example.org/a:",
            "example.org/a:b c",
            "example.org/a:../b",
            "example.org/a@sha256:00",
            "../a/b",
        ] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_short_name_has_no_host() {
        for (text, short) in [
            ("debian", true),
            ("debian:13", true),
            ("fedora/httpd", true),
            ("localhost/x", false),
            ("a.b/x", false),
            ("a:5000/x", false),
        ] {
            assert_eq!(is_short(text), short, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[a-zA-Z0-9.:/@_\\[\\] ?#%-]{0,60}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(&name.to_string()).unwrap(), name);
            }
        }
    }
}
