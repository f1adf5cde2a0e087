//! Bound images: which container images a host's image names, and how they come into the store with it.
//!
//! They lie there as an import leaves them, with what podman will read of each layer, so that the boot has nothing left to make. No
//! tag keeps them: a deployment's record does, by [`keep_with`].

use anyhow::Context;

use super::import::{
    growth, import_container, known_config, known_layers, manifest_stream, unknown_layers, Imported, Stats,
};
use super::Refused;
use crate::deploy::bound::parse;
use crate::deploy::origin::Origin;
use crate::fetch::{self, Options, Source};
use crate::image::Node;
use crate::model::bound::{BoundImage, PlannedBound};
use crate::model::progress::Event;
use crate::model::reference::Reference;
use crate::seal::files::{Files, ImageFiles};
use crate::share::published;
use crate::store::{Roots, Store};
use crate::sys::Sys;

/// Where an image links the quadlet files of those that it binds.
pub const DIRECTORY: &str = "usr/lib/bootc/bound-images.d";

/// Where bound images are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// Where their references say.
    #[default]
    References,
    /// In podman's storage, under the same names; the network is not asked.
    Podman,
}

/// A container image, and the files that bind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As the first of the files has it.
    pub reference: Reference,
    /// Their paths in the image.
    pub files: Vec<String>,
}

/// A bound image whose manifest is here, and what the rest of it will take.
pub struct Opened {
    source: Box<dyn Source>,
    /// Shown before it is done.
    pub plan: PlannedBound,
}

/// What an image binds, each once. A file that says no image is refused: all or nothing.
pub fn named(files: &ImageFiles<'_>) -> anyhow::Result<Vec<Named>> {
    let names = match files.tree.get(DIRECTORY) {
        None => return Ok(Vec::new()),
        Some((Node::Directory, _)) => files.tree.list(DIRECTORY).unwrap_or_default(),
        Some(_) => return Err(Refused(format!("/{DIRECTORY} of the image is no directory: make it one")).into()),
    };
    let mut found: Vec<Named> = Vec::new();
    for name in names {
        let file = format!("{DIRECTORY}/{}", String::from_utf8_lossy(&name));
        let bytes = files.read(&file)?.ok_or_else(|| {
            Refused(format!(
                "/{file} of the image leads to no file of it: link the quadlet file by its own path, or remove the link"
            ))
        })?;
        let reference = parse(&file, &bytes).map_err(Refused)?;
        match found.iter_mut().find(|known| known.reference == reference) {
            Some(known) => known.files.push(file),
            None => found.push(Named { reference, files: vec![file] }),
        }
    }
    Ok(found)
}

/// Fetches the manifests of those that a host's image binds, for its architecture, and no more; tells each.
pub fn open(
    host: &Imported,
    store: &Store,
    from: From,
    options: &Options,
    tell: &dyn Fn(String),
) -> anyhow::Result<Vec<Opened>> {
    let architecture = Some(host.meta.config.architecture().to_string());
    let options = Options { architecture, ..options.clone() };
    let named = named(&ImageFiles { tree: &host.tree, store })?;
    let opened: Vec<_> =
        named.into_iter().map(|one| open_one(one, from, &options, store)).collect::<anyhow::Result<_>>()?;
    opened.iter().for_each(|one| tell(one.plan.text()));
    Ok(opened)
}

fn open_one(named: Named, from: From, options: &Options, store: &Store) -> anyhow::Result<Opened> {
    let reference = named.reference.to_string();
    let other = match (from, named.reference.clone()) {
        (From::Podman, Reference::Registry(name)) => Some(Reference::ContainersStorage(name)),
        _ => None,
    };
    let known = |digest: &oci_spec::image::Digest| known_config(store, digest.as_ref());
    // No signature speaks for a tag: only a registry whose settings say so is believed without TLS.
    let insecure_transport = options.insecure_transport && reference.contains('@');
    let options = &Options { insecure_transport, ..options.clone() };
    let source = fetch::open_knowing(other.as_ref().unwrap_or(&named.reference), options, &known);
    let source = source.with_context(|| not_bound(&reference, &named.files))?;
    let meta = source.image();
    let unknown = unknown_layers(meta, store)?;
    let plan = PlannedBound {
        image: BoundImage {
            reference,
            manifest_digest: meta.manifest_digest.to_string(),
            read_from: other.map(|other| other.to_string()),
        },
        files: named.files,
        layers: meta.manifest.layers().len(),
        new_layers: unknown.len(),
        bytes_to_fetch: unknown.iter().map(|(_, size)| size).sum(),
    };
    Ok(Opened { source, plan })
}

fn not_bound(reference: &str, files: &[String]) -> String {
    format!("nothing was deployed: {reference}, which /{} of the image binds, cannot be had", files.join(" and /"))
}

/// How the store grows with them, and the streams in it that they build on.
pub fn need(opened: &[Opened], store: &Store) -> anyhow::Result<(u64, Vec<String>)> {
    let (mut bytes, mut streams) = (0u64, Vec::new());
    for Opened { source, .. } in opened {
        bytes = bytes.saturating_add(growth(source.image(), store)?);
        streams.extend(known_layers(source.image(), store)?);
    }
    Ok((bytes, streams))
}

/// Brings them into the store, each whole before the next; adds to `stats`.
pub fn bring(
    opened: &[Opened],
    store: &Store,
    sys: &Sys,
    stats: &mut Stats,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<Vec<BoundImage>> {
    let mut brought = Vec::new();
    for Opened { source, plan } in opened {
        let one = import_container(source.as_ref(), store, sys, watch);
        let one = one.with_context(|| not_bound(&plan.image.reference, &plan.files))?;
        *stats = stats.and(one);
        brought.push(plan.image.clone());
    }
    Ok(brought)
}

/// What the store keeps for a deployment: its image, its manifest, and the images that it binds with what podman reads of them.
pub fn keep_with(roots: &mut Roots, origin: &Origin) {
    roots.image(origin.image).stream(manifest_stream(&origin.manifest_digest));
    for bound in &origin.bound_images {
        roots.stream(manifest_stream(&bound.manifest_digest)).stream(published::stream_name(&bound.manifest_digest));
    }
}
