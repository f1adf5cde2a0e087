//! The second disk of all days: an image for containers, as an OCI directory and as an archive, and what it holds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::object_of;
use crate::cache::{self, Input};
use crate::{cmd, command};

/// Made by `tests/vm/make-sharing`.
const IMAGE: &str = "localhost/cfs-sharing-app:v1";

/// Every file's content, mode and owner in one digest: what a container prints that has the image's `usr` as it was built.
pub const TREE: &str = "cd / && { find usr -type f | sort | xargs sha256sum; find usr | sort | xargs stat -c '%a %u:%g %n'; } | sha256sum | cut -d' ' -f1";

/// The disk.
pub struct Media {
    /// An ext4 image with `app` and `app.tar`.
    pub image: PathBuf,
    /// What [`TREE`] prints.
    pub tree: String,
}

impl Media {
    /// Made once for each image.
    pub fn get() -> Result<Self> {
        let id = command::text(&mut cmd!("podman", "image", "inspect", "--format", "{{.Id}}", IMAGE))
            .with_context(|| format!("there is no image {IMAGE}: run ci/images target/release/cfs-host sharing"))?;
        let made = cache::artifact("media-sharing", &[Input::Text(&id), Input::Text(TREE)], make)?;
        let tree = fs::read_to_string(made.join("tree")).context("cannot read what the image holds")?;
        Ok(Self { image: made.join("media.img"), tree: tree.trim().to_owned() })
    }
}

fn make(dir: &Path) -> Result<()> {
    let files = dir.join("files");
    fs::create_dir(&files)?;
    let from = format!("containers-storage:{IMAGE}");
    for to in [
        format!("oci:{}:v1", files.join("app").display()),
        format!("oci-archive:{}:v1", files.join("app.tar").display()),
    ] {
        command::run(&mut cmd!("skopeo", "copy", "--quiet", &from, to))?;
    }
    command::run(&mut cmd!("mke2fs", "-q", "-t", "ext4", "-d", &files, dir.join("media.img"), "128M"))?;
    // A directory that podman mounts is the image as somebody else unpacked it.
    let mounted = command::text(&mut cmd!("podman", "image", "mount", IMAGE))?;
    let script = TREE.replacen("cd /", &format!("cd '{}'", mounted.trim()), 1);
    let tree = command::text(cmd!("sh", "-c", script).env("LC_ALL", "C"));
    command::run(&mut cmd!("podman", "image", "unmount", IMAGE))?;
    fs::write(dir.join("tree"), tree?).context("cannot write what the image holds")
}

/// `usr/share/app/large`, and where its object lies.
pub fn large() -> Result<(Vec<u8>, String)> {
    let content: String = (1..=500_000).map(|n| format!("{n:015}\n")).collect();
    let object = object_of(content.as_bytes())?;
    Ok((content.into_bytes(), object))
}
