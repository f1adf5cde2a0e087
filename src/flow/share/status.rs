//! What podman sees, in which form and why. Reads only.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;

use super::{decide, of_host, users, Place};
use crate::fetch::Stores;
use crate::model::share::{Shared, SharedImage};
use crate::share::{consider, Ground};
use crate::store::Store;
use crate::sys::Sys;

const TMPFS: u64 = 0x0102_1994;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683e;

/// Tells all.
pub fn status(place: &Place<'_>, sys: &Sys) -> anyhow::Result<Shared> {
    let considered = consider(&ground(place, sys)?);
    let wanted = decide(place, sys, of_host(place.host)?, &[])?;
    let image = |image: &crate::share::Image| {
        let manifest = &image.record.digest;
        SharedImage {
            id: image.record.id.clone(),
            manifest_digest: manifest.clone(),
            names: image.record.names.clone(),
            hidden_names: wanted.hidden.get(manifest).cloned().unwrap_or_default(),
            because: wanted.because.get(manifest).cloned().unwrap_or_default(),
            layers: image.layers.len(),
            listed: image.listed,
            in_place: place.directory.has(image),
        }
    };
    let mut images: Vec<SharedImage> = wanted.images.iter().map(image).collect();
    images.sort_by(|one, two| (&one.names, &one.id).cmp(&(&two.names, &two.id)));
    let directory = place.directory.path();
    Ok(Shared {
        directory: directory.display().to_string(),
        form: considered.iter().find(|form| form.chosen).map(|form| form.form),
        considered,
        verity: has_verity(place.store),
        podman: podman(sys).map(|(text, _)| text),
        configured: match &place.user {
            Some(user) => user.reads(sys, directory)?,
            None => Stores::read()?.additional.iter().any(|store| store == directory),
        },
        users: match &place.user {
            Some(user) => user.name.clone(),
            None => [vec!["root".to_owned()], users(place.store)?].concat().join(", "),
        },
        images,
        broken: wanted.broken,
    })
}

/// What this machine can do.
pub(super) fn ground(place: &Place<'_>, sys: &Sys) -> anyhow::Result<Ground> {
    let kind = rustix::fs::statfs(place.store.path()).map_or(0, |held| held.f_type as u64);
    Ok(Ground {
        kernel: numbers(&rustix::system::uname().release().to_string_lossy()).unwrap_or_default(),
        in_memory: kind == TMPFS,
        root: rustix::process::geteuid().is_root(),
        verity: has_verity(place.store),
        reflinks: [XFS, BTRFS].contains(&kind),
        podman: podman(sys).and_then(|(_, version)| version),
        user: place.user.as_ref().map(|user| user.ground(sys)).transpose()?,
    })
}

/// Whether the file system of the store has fs-verity: asked of any file, on or not.
fn has_verity(store: &Store) -> bool {
    let any = File::open(store.path().join("meta.json"));
    any.is_ok_and(|file| cfs_init::verity::measure(file.as_fd()).is_ok())
}

/// podman's version, as it says it and in numbers.
fn podman(sys: &Sys) -> Option<(String, Option<(u32, u32)>)> {
    let output = sys.run(Command::new("podman").arg("--version"), b"").ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().trim_start_matches("podman version ").to_owned();
    let version = numbers(&text);
    Some((text, version))
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_write_them() {
        for (text, version) in
            [("6.18.44-fc", Some((6, 18))), ("5.4.2", Some((5, 4))), ("6.12+deb13-amd64", Some((6, 12))), ("x", None)]
        {
            assert_eq!(numbers(text), version, "{text}");
        }
    }
}
