//! Where an image lies: `TRANSPORT:NAME`, as skopeo and bootc write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A parsed image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `docker://host/name:tag` or a bare `host/name:tag`; kept as written after the `//`.
    Registry(String),
    /// `oci:DIR[:TAG]`: an OCI image layout.
    OciDir {
        /// The layout's directory.
        path: PathBuf,
        /// `org.opencontainers.image.ref.name` in its index; the only image if absent.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`: the same as a tar file.
    OciArchive {
        /// The tar file.
        path: PathBuf,
        /// As above.
        tag: Option<String>,
    },
    /// `containers-storage:NAME`: podman's storage of this user.
    ContainersStorage(String),
}

/// The text is not a reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an image reference: write [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME")]
pub struct BadReference(pub String);

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = || BadReference(text.to_owned());
        let reference = match text.split_once(':') {
            Some(("oci", rest)) => {
                let (path, tag) = path_and_tag(rest);
                Self::OciDir { path, tag }
            }
            Some(("oci-archive", rest)) => {
                let (path, tag) = path_and_tag(rest);
                Self::OciArchive { path, tag }
            }
            Some(("containers-storage", rest)) => Self::ContainersStorage(rest.to_owned()),
            Some(("docker", rest)) => Self::Registry(rest.strip_prefix("//").ok_or_else(bad)?.to_owned()),
            Some(("docker-archive" | "docker-daemon" | "dir" | "ostree" | "atomic" | "sif", _)) => return Err(bad()),
            _ => Self::Registry(text.to_owned()),
        };
        let name_is_missing = match &reference {
            Self::Registry(name) | Self::ContainersStorage(name) => {
                name.is_empty() || name.contains(char::is_whitespace)
            }
            Self::OciDir { path, .. } | Self::OciArchive { path, .. } => path.as_os_str().is_empty(),
        };
        if name_is_missing {
            return Err(bad());
        }
        Ok(reference)
    }
}

impl Reference {
    /// The same image under another tag.
    pub fn with_tag(&self, tag: &str) -> Self {
        let named = |name: &String| {
            let name = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
            // A colon before the last slash belongs to a port.
            let bare = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(bare, _)| bare);
            format!("{bare}:{tag}")
        };
        match self {
            Self::Registry(name) => Self::Registry(named(name)),
            Self::ContainersStorage(name) => Self::ContainersStorage(named(name)),
            Self::OciDir { path, .. } => Self::OciDir { path: path.clone(), tag: Some(tag.to_owned()) },
            Self::OciArchive { path, .. } => Self::OciArchive { path: path.clone(), tag: Some(tag.to_owned()) },
        }
    }
}

/// Splits `PATH[:TAG]` at the first colon, as containers/image does.
fn path_and_tag(text: &str) -> (PathBuf, Option<String>) {
    match text.split_once(':') {
        Some((path, tag)) if !tag.is_empty() => (path.into(), Some(tag.to_owned())),
        Some((path, _)) => (path.into(), None),
        None => (text.into(), None),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_tag = |f: &mut fmt::Formatter<'_>, transport, path: &PathBuf, tag: &Option<String>| {
            write!(f, "{transport}:{}", path.display())?;
            tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
        };
        match self {
            Self::Registry(name) => write!(f, "docker://{name}"),
            Self::OciDir { path, tag } => with_tag(f, "oci", path, tag),
            Self::OciArchive { path, tag } => with_tag(f, "oci-archive", path, tag),
            Self::ContainersStorage(name) => write!(f, "containers-storage:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_is_replaced_and_a_port_is_none() {
        for (from, to) in [
            ("example.org/host:v1", "docker://example.org/host:v2"),
            ("example.org:5000/host", "docker://example.org:5000/host:v2"),
            ("example.org/host@sha256:00", "docker://example.org/host:v2"),
            ("oci:/media/images:v1", "oci:/media/images:v2"),
        ] {
            assert_eq!(from.parse::<Reference>().unwrap().with_tag("v2").to_string(), to);
        }
    }

    #[test]
    fn every_transport_is_read_and_written_back() {
        for (text, canonical) in [
            ("oci:dir/x:v1", "oci:dir/x:v1"),
            ("oci:dir", "oci:dir"),
            ("oci-archive:/a.tar:v1", "oci-archive:/a.tar:v1"),
            ("containers-storage:localhost/host:v1", "containers-storage:localhost/host:v1"),
            ("docker://127.0.0.1:5000/host:v1", "docker://127.0.0.1:5000/host:v1"),
            ("127.0.0.1:5000/host:v1", "docker://127.0.0.1:5000/host:v1"),
            ("example.org/host@sha256:00", "docker://example.org/host@sha256:00"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_forms() {
        for bad in ["", "oci:", "docker:x", "dir:/x", "containers-storage:", "a b"] {
            let error = bad.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains("oci:DIR"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text: String) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
            }
        }
    }
}
