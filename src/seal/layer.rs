//! The one layer that sealing adds: a deterministic tar, gzipped for the widest compatibility.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

use super::{Error, Result};

/// A layer and its names.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The gzipped tar.
    pub blob: Vec<u8>,
    /// `sha256:` of the tar.
    pub diff_id: String,
}

/// What is in the layer.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Paths relative to the root; parents first.
    pub directories: Vec<String>,
    /// Paths and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Packs the layer: owner root, one time for all, no names of users.
pub fn build(contents: &Contents, mtime: u64) -> Result<Layer> {
    let tar = tar(contents, mtime).map_err(|error| Error::Malformed("the new layer".into(), error.to_string()))?;
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
    let blob = gzip.write_all(&tar).and_then(|()| gzip.finish());
    let blob = blob.map_err(|error| Error::Malformed("the new layer".into(), error.to_string()))?;
    Ok(Layer { blob, diff_id: format!("sha256:{}", hex::encode(Sha256::digest(&tar))) })
}

fn tar(contents: &Contents, mtime: u64) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind, mode, size| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(mtime);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    for path in &contents.directories {
        tar.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), format!("{path}/"), std::io::empty())?;
    }
    for (path, bytes) in &contents.files {
        let size = bytes.len() as u64;
        tar.append_data(&mut header(tar::EntryType::Regular, 0o644, size), path, bytes.as_slice())?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_what_went_in_and_the_same_each_time() {
        let long = format!("usr/lib/modules/{}/cfs-host.efi", "6.12.117+deb13-cloud-amd64-".repeat(5));
        let contents = Contents { directories: vec!["boot".into()], files: vec![(long.clone(), vec![7; 1000])] };
        let layer = build(&contents, 1_700_000_000).unwrap();
        assert_eq!(build(&contents, 1_700_000_000).unwrap().blob, layer.blob);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.blob.as_slice()));
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(entry.header().mtime().unwrap(), 1_700_000_000);
                entry.path().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        assert_eq!(names, ["boot/".to_owned(), long]);
    }
}
