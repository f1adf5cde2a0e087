//! switch, upgrade: fetch ► plan ► import ► trust ► deploy ► ESP ► staged.json. Nothing that boots is touched.

mod bind;
mod plan;
mod unstage;

use anyhow::Context;

use super::admit::{admit, Admitted, SignedUki};
use super::bound;
use super::host::{Host, REBOOT_REQUIRED};
use super::import::{import, stored_tree, Keep, Stats};
use super::pin::pin;
use super::prune;
use super::trial;
use super::verify::{acceptable_to, Trust};
use super::Refused;
use crate::boot::efivar::{self, GLOBAL};
use crate::boot::running_esp::RunningEsp;
use crate::boot::signature_db::{self, SignatureDb};
use crate::deploy::layout::{self, Deployment};
use crate::deploy::origin::now;
use crate::deploy::records::{self, STAGED};
use crate::etc;
use crate::fetch::{self, ImageMeta, Options, Source};
use crate::model::bound::PlannedBound;
use crate::model::progress::Event;
use crate::model::reference::Reference;
use crate::model::update::{DeniedImage, FailureKind, Staged, UpdatePlan};
use crate::seal::annotations::Seal;
use crate::store::Store;
use crate::sys::Sys;
use plan::plan;
pub use unstage::{disarm, unstage};

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The image to follow from now on; `None`: the one that is followed already.
    pub switch_to: Option<Reference>,
    /// Follow this tag of it from now on.
    pub tag: Option<String>,
    /// Take an image that failed here before, or that was rolled back from.
    pub force: bool,
    /// Leave it for a later `--from-downloaded`.
    pub download_only: bool,
    /// Pin the deployment that runs.
    pub retain: bool,
    /// How to fetch.
    pub fetch: Options,
}

/// What there is to do.
pub enum Found {
    /// The image runs already.
    Unchanged,
    /// It is staged already.
    Staged(Box<Staged>),
    /// It failed here, or was rolled back from.
    Denied(Box<DeniedImage>),
    /// It can be staged.
    New(Box<Offer>),
}

/// An image that can be staged, and what that will take.
pub struct Offer {
    source: Box<dyn Source>,
    /// Shown before it is done.
    pub plan: UpdatePlan,
}

/// What was staged.
pub struct Done {
    /// The record.
    pub staged: Staged,
    /// The images that it binds.
    pub bound: Vec<PlannedBound>,
    /// What all of it took.
    pub stats: Stats,
}

/// Looks at what the reference names now: fetches its manifest and no more.
pub fn look(host: &Host, request: &Request, esp: &RunningEsp) -> anyhow::Result<Found> {
    let reference = reference(host, request)?;
    let source = fetch::open(&reference, &request.fetch)?;
    let (meta, followed) = (source.image(), reference.to_string());
    let digest = meta.manifest_digest.to_string();
    if let Some(staged) = host.staged()? {
        if staged.manifest_digest == digest && staged.reference == followed {
            return Ok(Found::Staged(Box::new(staged)));
        }
    }
    let booted = host.origin(&host.deployment)?;
    if booted.manifest_digest == digest && booted.reference == followed {
        return Ok(Found::Unchanged);
    }
    if let Some(denied) = records::denial(&host.sysroot(), &digest)?.filter(|denied| stops(denied, request)) {
        return Ok(Found::Denied(Box::new(denied)));
    }
    let plan = plan(host, esp, meta, &host.store()?)?;
    Ok(Found::New(Box::new(Offer { source, plan })))
}

/// What is followed: what was asked for, else what is staged, else what runs.
fn reference(host: &Host, request: &Request) -> anyhow::Result<Reference> {
    let reference = match (&request.switch_to, host.staged()?) {
        (Some(reference), _) => reference.clone(),
        (None, Some(staged)) => staged.reference.parse()?,
        (None, None) => host.origin(&host.deployment)?.reference.parse()?,
    };
    Ok(request.tag.as_ref().map_or(reference.clone(), |tag| reference.with_tag(tag)))
}

/// Whoever names an image that he went back from wants it now; one that failed here needs a harder word.
fn stops(denied: &DeniedImage, request: &Request) -> bool {
    !request.force && (request.switch_to.is_none() || denied.kind != FailureKind::RolledBack)
}

/// Does it. The caller holds the writer's lock.
pub fn stage(
    host: &Host,
    esp: &RunningEsp,
    offer: Offer,
    request: &Request,
    sys: &Sys,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<Done> {
    if trial::of_this_boot(host)?.is_some() {
        let why = "this boot is a trial that is not found good yet: wait for its health checks, or give it up with `cfs-host rollback`";
        return Err(Refused(why.to_owned()).into());
    }
    let sysroot = host.sysroot();
    esp.remove_leftovers(sys)?;
    if request.retain {
        pin(host, sys, &host.deployment, true)?;
    }
    let keep = prune::Also { streams: bind::builds_on(&offer, &host.store()?)?, ..prune::Also::default() };
    let need = prune::Need { esp: offer.plan.esp_peak, store: offer.plan.store_growth, keep };
    make_room(host, sys, esp, &need, watch)?;
    records::allow(sys, &sysroot, &offer.plan.manifest_digest)?;
    let mut store = host.store()?;
    let imported = import(offer.source.as_ref(), &store, sys, Keep::Untagged, watch)?;
    let mut stats = imported.stats;
    watch(Event::Step("Verifying the image".into()));
    let running = host.policy(esp)?;
    let ask = |uki: &SignedUki, seal: &Seal| {
        acceptable_to(&running, &uki.policy, &seal.signature, &seal.bootable)?;
        firmware_takes(host, &uki.bytes)
    };
    let mut admitted = admit(imported, &store, &Trust::default(), &ask, sys)?;
    watch(Event::Step("Protecting the objects".into()));
    store.protect(sys, &admitted.image)?;
    // Only now: an image that nobody may boot does not choose what is fetched.
    let tell = |text| watch(Event::Step(text));
    let opened = bound::open(&admitted.imported, &store, bound::From::References, &request.fetch, &tell)?;
    if !opened.is_empty() {
        let need = bind::need(&admitted, &opened, &offer.plan, &store)?;
        // The store is swept by one who has it alone.
        drop(store);
        make_room(host, sys, esp, &need, watch)?;
        store = host.store()?;
    }
    admitted.bound_images = bound::bring(&opened, &store, sys, &mut stats, watch)?;
    watch(Event::Step("Staging the deployment".into()));
    // Only now: what was staged before is not lost to an image that cannot be fetched, or that nobody may boot.
    unstage(host, esp, sys)?;
    let staged = deploy(host, esp, &store, &admitted, &offer.plan, request, sys)?;
    let bound = opened.into_iter().map(|opened| opened.plan).collect();
    Ok(Done { staged, bound, stats })
}

fn make_room(
    host: &Host,
    sys: &Sys,
    esp: &RunningEsp,
    need: &prune::Need,
    watch: &(dyn Fn(Event) + Sync),
) -> anyhow::Result<()> {
    let pruned = prune::make_room(host, sys, esp, need)?;
    pruned.left_alone.into_iter().for_each(|why| watch(Event::Step(why)));
    Ok(())
}

/// Directory ► UKI ► staged.json.
fn deploy(
    host: &Host,
    esp: &RunningEsp,
    store: &Store,
    admitted: &Admitted,
    plan: &UpdatePlan,
    request: &Request,
    sys: &Sys,
) -> anyhow::Result<Staged> {
    let sysroot = host.sysroot();
    let id = layout::next_id(&sysroot, &admitted.image);
    let origin = admitted.origin(plan.reference.clone());
    let base = stored_tree(store, &host.origin(&host.deployment)?.manifest_digest)
        .context("the image that runs cannot be read, so its /etc cannot be merged")?;
    let conflicts = std::cell::RefCell::new(Vec::new());
    let new = Deployment { id: &id, origin: &origin, signature: &admitted.signature };
    layout::write(sys, &sysroot, &new, &|target| {
        let image = &admitted.imported.tree;
        let found = etc::stage(sys, store, &base, image, &host.etc(), host.root(), target);
        *conflicts.borrow_mut() = found.map_err(|error| crate::deploy::Error::Etc(error.into()))?;
        Ok(())
    })?;
    let uki = esp.put_uki(sys, &admitted.uki.bytes)?;
    let staged = Staged {
        version: 1,
        deployment: id,
        reference: plan.reference.clone(),
        manifest_digest: plan.manifest_digest.clone(),
        image: admitted.image,
        uki,
        system: admitted.system.clone(),
        image_version: plan.image_version.clone(),
        etc_conflicts: conflicts.into_inner(),
        download_only: request.download_only,
        at: now(),
        unknown: Default::default(),
    };
    announce(host, sys, &staged)?;
    Ok(staged)
}

/// What was downloaded only is from now on what shutdown finalizes.
pub fn unlock(host: &Host, sys: &Sys) -> anyhow::Result<Staged> {
    let nothing = || Refused("nothing was downloaded: run `cfs-host upgrade --download-only` first".to_owned());
    let staged = Staged { download_only: false, ..host.staged()?.ok_or_else(nothing)? };
    announce(host, sys, &staged)?;
    Ok(staged)
}

fn announce(host: &Host, sys: &Sys, staged: &Staged) -> anyhow::Result<()> {
    records::write(sys, &host.root().join(STAGED), staged)?;
    match staged.download_only {
        true => Ok(()),
        false => Ok(sys.write_file(&host.root().join(REBOOT_REQUIRED), b"", 0o644)?),
    }
}

/// Rule 17: a firmware that would not start the UKI is asked before, not after.
fn firmware_takes(host: &Host, uki: &[u8]) -> Result<(), String> {
    let on = efivar::read(host.root(), "SecureBoot", GLOBAL).and_then(|variable| variable.as_bool());
    if on != Some(true) {
        return Ok(());
    }
    let (db, dbx) = SignatureDb::of_firmware(host.root()).map_err(|error| error.to_string())?;
    match signature_db::bootable(uki, &db, &dbx) {
        Ok(_) => Ok(()),
        Err(why) => Err(format!("the firmware of this machine would not start the image's UKI: {why}")),
    }
}

/// Says no, for verbs whose user asked for exactly this image.
pub fn refuse_denied(denied: &DeniedImage) -> anyhow::Error {
    Refused(format!(
        "{} ({}) failed on this host on {}: {}; --force takes it all the same",
        denied.reference, denied.manifest_digest, denied.at, denied.why
    ))
    .into()
}

/// `org.opencontainers.image.version` of an image.
pub fn image_version(meta: &ImageMeta) -> Option<String> {
    let labels = meta.config.config().as_ref()?.labels().as_ref()?;
    labels.get("org.opencontainers.image.version").cloned()
}
