//! An OCI image layout being written: blobs first, the index last.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{json, Map, Value};
use sha2::{Digest as _, Sha256};

use super::manifest::{Blob, MANIFEST_TYPE};
use super::{Error, Result};
use crate::sys::Sys;

/// The name of a blob whose digest is not known yet.
const INCOMING: &str = "incoming";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A layout's directory.
#[derive(Clone, Debug)]
pub struct Layout {
    path: PathBuf,
}

impl Layout {
    /// Opens a layout, or makes an empty one in a new or empty directory.
    pub fn open_or_create(path: &Path, sys: &Sys) -> Result<Self> {
        for directory in [path.to_owned(), path.join("blobs"), path.join("blobs/sha256")] {
            sys.create_dir(&directory, 0o755)?;
        }
        sys.remove_leftovers(&path.join("blobs/sha256"), INCOMING)?;
        let marker = path.join("oci-layout");
        if !marker.exists() {
            sys.write_file(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Opens a blob.
    pub fn blob(&self, digest: &str) -> Result<File> {
        let path = self.blob_path(digest)?;
        File::open(&path).map_err(|error| malformed(&path, &error))
    }

    /// Whether a blob of this digest and size is there.
    pub fn has(&self, blob: &Blob) -> Result<bool> {
        Ok(std::fs::metadata(self.blob_path(&blob.digest)?).is_ok_and(|found| found.len() == blob.size))
    }

    /// Copies a blob of any digest; gives the one that it has.
    pub fn put(&self, media_type: &str, reader: &mut dyn Read, sys: &Sys) -> Result<Blob> {
        let incoming = self.path.join("blobs/sha256").join(INCOMING);
        let mut file = sys.new_file(&incoming, 0o644)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut size = 0;
        loop {
            let read = reader.read(&mut buffer).map_err(|error| malformed(&incoming, &error))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            file.write_all(&buffer[..read]).map_err(|error| malformed(&incoming, &error))?;
            size += read as u64;
        }
        let digest = format!("sha256:{}", hex::encode(hasher.finalize()));
        let blob = Blob { media_type: media_type.to_owned(), digest, size };
        file.publish_as(&self.blob_path(&blob.digest)?, sys)?;
        Ok(blob)
    }

    /// Names a manifest in the index; an older one of that name goes. Its blobs must be there.
    pub fn tag(&self, manifest: &Blob, tag: Option<&str>, sys: &Sys) -> Result<()> {
        let path = self.path.join("index.json");
        let mut index: Map<String, Value> = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| malformed(&path, &error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(malformed(&path, &error)),
        };
        index.entry("schemaVersion").or_insert_with(|| 2.into());
        index.entry("mediaType").or_insert_with(|| "application/vnd.oci.image.index.v1+json".into());
        let mut descriptor = json!({"mediaType": MANIFEST_TYPE, "digest": manifest.digest, "size": manifest.size});
        if let Some(tag) = tag {
            descriptor["annotations"] = json!({REF_NAME: tag});
        }
        let name = |descriptor: &Value| {
            descriptor.get("annotations").and_then(|all| all.get(REF_NAME)).and_then(Value::as_str).map(String::from)
        };
        match index.entry("manifests").or_insert_with(|| json!([])) {
            Value::Array(manifests) => {
                manifests.retain(|known| name(known).as_deref() != tag);
                manifests.push(descriptor);
            }
            _ => return Err(malformed(&path, &"its manifests are not a list")),
        }
        let bytes = serde_json::to_vec(&index).map_err(|error| malformed(&path, &error))?;
        Ok(sys.write_file(&path, &bytes, 0o644)?)
    }

    fn blob_path(&self, digest: &str) -> Result<PathBuf> {
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let hex = hex.ok_or_else(|| malformed(&self.path, &format!("{digest:?} is not a SHA-256 digest")))?;
        Ok(self.path.join("blobs/sha256").join(hex))
    }
}

fn malformed(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Malformed(path.display().to_string(), why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_replaced_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let sys = Sys::real();
        let layout = Layout::open_or_create(dir.path(), &sys).unwrap();
        let put = |bytes: &[u8]| layout.put(MANIFEST_TYPE, &mut &bytes[..], &sys).unwrap();
        let (one, two) = (put(b"one"), put(b"two"));
        layout.tag(&one, Some("a"), &sys).unwrap();
        layout.tag(&one, Some("b"), &sys).unwrap();
        layout.tag(&two, Some("a"), &sys).unwrap();
        layout.tag(&two, None, &sys).unwrap();
        let index: Value = serde_json::from_slice(&std::fs::read(dir.path().join("index.json")).unwrap()).unwrap();
        let digests: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|m| m["digest"].clone()).collect();
        assert_eq!(digests, [one.digest.clone(), two.digest.clone(), two.digest.clone()]);
        assert!(layout.has(&one).unwrap() && !layout.has(&Blob { size: 9, ..one }).unwrap());
    }

    #[test]
    fn a_digest_that_is_a_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open_or_create(dir.path(), &Sys::real()).unwrap();
        assert!(layout.blob("sha256:../../oci-layout").is_err());
    }

    #[test]
    fn a_reader_that_fails_leaves_no_blob() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("wrong digest"))
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open_or_create(dir.path(), &Sys::real()).unwrap();
        let error = layout.put("x", &mut Broken, &Sys::real()).unwrap_err();
        assert!(error.to_string().contains("wrong digest"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().count(), 0);
    }
}
