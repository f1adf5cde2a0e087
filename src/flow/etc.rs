//! etc diff: the stored image's `/etc` ► the machine's ► what differs, and what waits for a person. Writes nothing, needs no root.

use anyhow::Context;

use super::host::Host;
use super::import::stored_tree;
use crate::etc;
use crate::image::Tree;
use crate::model::etc::EtcDiff;

/// What this machine changed in `/etc` against the image that runs.
pub fn diff(host: &Host) -> anyhow::Result<EtcDiff> {
    let manifest_digest = host.origin(&host.deployment)?.manifest_digest;
    let image = stored_tree(&host.store()?, &manifest_digest)
        .context("the image that runs cannot be read, so its /etc is not known")?;
    against(host, &image)
}

fn against(host: &Host, image: &Tree) -> anyhow::Result<EtcDiff> {
    let (machine, unreadable) = etc::readable(&host.etc())?;
    let (changes, waiting) = etc::report(&etc::of_image(image), &machine, &unreadable);
    Ok(EtcDiff {
        deployment: host.deployment.to_string(),
        reference: host.origin(&host.deployment)?.reference,
        changes,
        waiting,
        unreadable: unreadable.iter().map(|path| etc::shown(path)).collect(),
        staged_conflicts: host.staged()?.map(|staged| staged.etc_conflicts).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::layout;
    use crate::import::{Entry, Item, Metadata};
    use crate::model::etc::{Change, Changed, Waiting};
    use std::fs;

    fn entry(path: &str, mode: u32, item: Item) -> Entry {
        Entry { path: path.into(), meta: Metadata { mode, ..Metadata::default() }, item }
    }

    #[test]
    fn a_hosts_changes_and_what_waits_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef.0";
        let etc = dir.path().join("sysroot").join(layout::DEPLOYMENTS).join(id).join(layout::ETC);
        fs::create_dir_all(&etc).unwrap();
        fs::create_dir_all(dir.path().join("run/cfs-host")).unwrap();
        fs::write(dir.path().join(super::super::host::BOOTED), format!(r#"{{"deployment":"{id}"}}"#)).unwrap();
        let hex = "01".repeat(32);
        let origin = format!(
            r#"{{"version":1,"reference":"docker://example.org/host:v1","manifestDigest":"sha256:{hex}","configDigest":"sha256:{hex}",
            "image":"{hex}","uki":"{hex}","ukiPath":"usr/lib/modules/1/cfs-host.efi","deployedAt":"2026-01-01T00:00:00Z",
            "deployedBy":"cfs-host 0.1.0"}}"#
        );
        fs::write(etc.with_file_name(layout::ORIGIN), origin).unwrap();
        for name in ["hosts", "hosts.cfs-new", "mine"] {
            fs::write(etc.join(name), "mine").unwrap();
        }
        let tree = Tree::from_layers(vec![vec![
            entry("usr", 0o755, Item::Directory),
            entry("etc", 0o755, Item::Directory),
            entry("etc/hosts", 0o644, Item::Inline(b"image".to_vec())),
            entry("etc/gone", 0o644, Item::Inline(b"image".to_vec())),
        ]])
        .unwrap();
        let found = against(&Host::read(dir.path()).unwrap(), &tree).unwrap();
        let changed = |path: &str, change| Changed { path: path.into(), change };
        let wanted = EtcDiff {
            deployment: id.into(),
            reference: "docker://example.org/host:v1".into(),
            changes: vec![
                changed("/etc/gone", Change::Removed),
                changed("/etc/hosts", Change::Content),
                changed("/etc/mine", Change::Added),
            ],
            waiting: vec![Waiting { path: "/etc/hosts.cfs-new".into(), of: "/etc/hosts".into() }],
            unreadable: vec![],
            staged_conflicts: vec![],
        };
        assert_eq!(found, wanted);
    }
}
