//! list: what tags, deployments and publishing keep in a store, and how much of it is each one's own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::flow::import::{images_of, manifest_of, manifest_stream, TAGS};
use crate::flow::prune::deployments;
use crate::flow::share::{folder_of, users};
use crate::model::image::Listed;
use crate::model::Digest;
use crate::share::published;
use crate::store::Store;

/// Every image that a tag or a deployment of this root file system keeps or that is published, by reference.
pub fn list(store: &Store, sysroot: &Path) -> anyhow::Result<Vec<Listed>> {
    let mut found: BTreeMap<String, Listed> = BTreeMap::new();
    for tag in store.tags(TAGS)? {
        if let Some(digest) = manifest_of(&tag.stream) {
            entry(&mut found, digest).references.push(tag.text);
        }
    }
    let of_users = users(store)?.into_iter().map(|user| (folder_of(&user), format!(" ({user})")));
    for (folder, whose) in std::iter::once((published::ASKED.to_owned(), String::new())).chain(of_users) {
        for tag in store.tags(&folder)? {
            if let Some(digest) = published::manifest_of(&tag.stream) {
                entry(&mut found, digest).published.push(tag.text + &whose);
            }
        }
    }
    for (id, directory) in deployments(sysroot)? {
        if let Ok(origin) = directory.origin {
            entry(&mut found, &origin.manifest_digest).deployments.push(id.to_string());
            for bound in origin.bound_images {
                let listed = entry(&mut found, &bound.manifest_digest);
                listed.bound_by.push(id.to_string());
                if !listed.bound_as.contains(&bound.reference) {
                    listed.bound_as.push(bound.reference);
                }
            }
        }
    }
    let mut all = Vec::new();
    for mut listed in found.into_values() {
        let objects = look(store, &mut listed).unwrap_or_else(|error| {
            listed.problem = Some(format!("{error:#}"));
            HashSet::new()
        });
        all.push((listed, objects));
    }
    Ok(measure(store, all))
}

fn entry<'a>(found: &'a mut BTreeMap<String, Listed>, digest: &str) -> &'a mut Listed {
    found.entry(digest.to_owned()).or_insert_with(|| Listed {
        references: Vec::new(),
        manifest_digest: digest.to_owned(),
        image_digest: None,
        bootable_digest: None,
        objects: 0,
        bytes: 0,
        unique_bytes: 0,
        deployments: Vec::new(),
        bound_as: Vec::new(),
        bound_by: Vec::new(),
        published: Vec::new(),
        problem: None,
    })
}

/// Its EROFS images, and all objects that it needs.
fn look(store: &Store, listed: &mut Listed) -> anyhow::Result<HashSet<Digest>> {
    let images = images_of(store, &listed.manifest_digest)?;
    listed.image_digest = images.plain.filter(|digest| store.has_image(digest));
    listed.bootable_digest = images.bootable.filter(|digest| store.has_image(digest));
    let stream = store.stream(&manifest_stream(&listed.manifest_digest))?;
    Ok(stream.map_or(Ok(HashSet::new()), |stream| store.needed_by(&stream))?)
}

/// Sizes, and what is nobody else's.
fn measure(store: &Store, all: Vec<(Listed, HashSet<Digest>)>) -> Vec<Listed> {
    let mut users: HashMap<Digest, (u64, u32)> = HashMap::new();
    for digest in all.iter().flat_map(|(_, objects)| objects) {
        users.entry(*digest).or_insert_with(|| (store.object_size(digest).unwrap_or(0), 0)).1 += 1;
    }
    let mut listed: Vec<Listed> = all
        .into_iter()
        .map(|(mut listed, objects)| {
            let sizes = || objects.iter().filter_map(|digest| users.get(digest));
            listed.objects = objects.len() as u64;
            listed.bytes = sizes().map(|(size, _)| size).sum();
            listed.unique_bytes = sizes().filter(|(_, users)| *users == 1).map(|(size, _)| size).sum();
            listed
        })
        .collect();
    listed.sort_by(|one, two| order(one).cmp(&order(two)));
    listed
}

fn order(one: &Listed) -> (&[String], &[String], &str) {
    (&one.references, &one.bound_as, &one.manifest_digest)
}
