use std::fs;

use super::diff::against_annotated;
use super::*;
use crate::deploy::layout::{self, REPOSITORY};
use crate::flow::fsck::{fsck, require as clean};
use crate::flow::import::{import, keep_images, manifest_stream, stored_tree, Keep};
use crate::flow::prune::{look_at_store, prune_store};
use crate::flow::testing::stored::{HostDir, InMemory};
use crate::model::Digest;
use crate::store::Store;
use crate::sys::Sys;

fn image(number: usize) -> InMemory {
    let own = format!("usr/own-{number}");
    InMemory::new(&[&[("usr/shared", 5000)], &[(&own, 3000 + number)]])
}

fn store(host: &HostDir) -> Store {
    Store::open(&host.sysroot().join(REPOSITORY)).unwrap()
}

/// Pulls it: with a tag and EROFS images.
fn tagged(host: &HostDir, image: InMemory) -> String {
    let (sys, store) = (Sys::real(), store(host));
    let imported = import(&image, &store, &sys, Keep::Tagged, &|_| ()).unwrap();
    keep_images(&imported, &store, &sys).unwrap();
    image.digest()
}

#[test]
fn a_deployments_image_is_listed_and_no_rm_takes_it() {
    let host = HostDir::new();
    let id = host.deploy(&mut image(1), b"uki", Some(1));
    tagged(&host, image(2));
    let listed = list(&store(&host), &host.sysroot()).unwrap();
    let kept: Vec<_> = listed.iter().map(|image| (image.references.len(), image.deployments.clone())).collect();
    assert_eq!(kept, [(0, vec![id.to_string()]), (1, vec![])]);
    assert!(listed.iter().all(|image| image.problem.is_none() && image.unique_bytes < image.bytes));
    let error = remove(&store(&host), &Sys::real(), &[image(1).digest()]).unwrap_err();
    assert!(error.to_string().contains("no tag keeps"), "{error}");
    // All or none.
    let names = ["oci:/in-memory".to_owned(), image(1).digest()];
    assert!(remove(&store(&host), &Sys::real(), &names).is_err());
    assert_eq!(list(&store(&host), &host.sysroot()).unwrap().len(), 2);
    assert_eq!(remove(&store(&host), &Sys::real(), &names[..1]).unwrap(), names[..1]);
    assert_eq!(list(&store(&host), &host.sysroot()).unwrap().len(), 1);
}

#[test]
fn an_image_that_is_not_whole_is_listed_with_what_is_wrong() {
    let host = HostDir::new();
    let digest = tagged(&host, image(1));
    let (store, sysroot) = (store(&host), host.sysroot());
    let stream = store.stream(&manifest_stream(&digest)).unwrap().unwrap();
    fs::remove_file(store.path().join(stream.object_path())).unwrap();
    let listed = list(&store, &sysroot).unwrap();
    assert!(listed[0].problem.as_ref().is_some_and(|why| why.contains("missing")), "{listed:?}");
}

#[test]
fn fsck_looks_at_what_deployments_need() {
    let host = HostDir::new();
    let id = host.deploy(&mut image(1), b"uki", Some(1));
    let directory = layout::deployment(&host.sysroot(), &id);
    let checked = fsck(&host.sysroot(), true).unwrap();
    assert_eq!((checked.deployments, checked.findings.as_slice()), (1, &[][..]));
    clean(&host.sysroot(), &checked).unwrap();
    let origin = host.running(&id).origin(&id).unwrap();
    let repository = host.sysroot().join(REPOSITORY);
    let manifest = repository.join("streams").join(manifest_stream(&origin.manifest_digest));
    let image = repository.join("images").join(origin.image.to_hex());
    let signature = directory.join(layout::SIGNATURE);
    for (lost, told) in [(&signature, "image.sig"), (&manifest, "manifest"), (&image, "its image")] {
        let aside = directory.join("aside");
        fs::rename(lost, &aside).unwrap();
        let checked = fsck(&host.sysroot(), true).unwrap();
        assert_eq!(checked.findings.len(), 1, "{:?}", checked.findings);
        assert!(checked.findings[0].what.contains(told) && checked.findings[0].path == directory.display().to_string());
        let fault = crate::fault::Fault::from(anyhow::Error::from(clean(&host.sysroot(), &checked).unwrap_err()));
        assert_eq!(fault.exit_code(), 6);
        fs::rename(&aside, lost).unwrap();
    }
    fs::write(directory.join(layout::ORIGIN), "{").unwrap();
    assert_eq!(fsck(&host.sysroot(), true).unwrap().findings.len(), 1);
}

#[test]
fn a_store_alone_is_pruned_to_what_tags_and_deployments_need() {
    let host = HostDir::new();
    let id = host.deploy(&mut image(1), b"uki", None);
    let (sys, sysroot) = (Sys::real(), host.sysroot());
    let kept = tagged(&host, image(2));
    image(3).import(&store(&host), &|_| ()).unwrap();
    let foreseen = look_at_store(&sysroot).unwrap();
    assert!(foreseen.dry_run && foreseen.objects > 0 && foreseen.stay[0].deployment == id.to_string());
    assert!(stored_tree(&store(&host), &image(3).digest()).is_ok());
    let pruned = prune_store(&sysroot, &sys).unwrap();
    assert_eq!((pruned.objects, pruned.dry_run), (foreseen.objects, false));
    assert!(stored_tree(&store(&host), &image(3).digest()).is_err());
    for digest in [kept, image(1).digest()] {
        stored_tree(&store(&host), &digest).unwrap();
    }
    assert_eq!(fsck(&sysroot, true).unwrap().findings, []);
    assert_eq!(prune_store(&sysroot, &sys).unwrap().objects, 0);
}

#[test]
fn a_store_alone_keeps_everything_while_a_deployment_cannot_be_read() {
    let host = HostDir::new();
    let id = host.deploy(&mut image(1), b"uki", None);
    image(3).import(&store(&host), &|_| ()).unwrap();
    fs::write(layout::deployment(&host.sysroot(), &id).join(layout::ORIGIN), "{").unwrap();
    let pruned = prune_store(&host.sysroot(), &Sys::real()).unwrap();
    assert_eq!((pruned.objects, pruned.left_alone.len()), (0, 1));
    stored_tree(&store(&host), &image(3).digest()).unwrap();
}

#[test]
fn another_digest_explains_itself_by_path_if_the_store_has_the_image_that_was_meant() {
    let host = HostDir::new();
    let store = store(&host);
    let [old, new] = [1, 2].map(|number| image(number).import(&store, &|_| ()).unwrap().tree.plain_image().unwrap());
    let told = against_annotated(&store, &old.digest, &new.bytes);
    assert!(told.contains("cfs-host image diff"), "{told}");
    store.put_image(&Sys::real(), &old.bytes).unwrap();
    let told = against_annotated(&store, &old.digest, &new.bytes);
    assert_eq!(told, "/usr/own-1 is missing; /usr/own-2 is new");
    let nothing = against_annotated(&store, &Digest::new([9; 32]), &new.bytes);
    assert!(nothing.contains("cfs-host image diff"));
}

#[test]
fn a_digest_is_found_by_its_beginning_if_that_is_no_other_ones() {
    let host = HostDir::new();
    let digest = tagged(&host, image(1));
    let store = store(&host);
    for name in [&digest[..], &digest[7..], &digest[..19], "oci:/in-memory"] {
        assert_eq!(require(&store, name).unwrap(), Found::Manifest(digest.clone()), "{name}");
    }
    for name in [&digest[..18], "sha256:", "", "oci:/in", "ABCDEFABCDEFABCDEF"] {
        assert!(require(&store, name).is_err(), "{name}");
    }
}
