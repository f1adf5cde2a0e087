//! install: fetch ► import ► image ► trust ► deploy into a staging directory ► plan; then, once shown, the disk.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::admit::{admit, Admitted};
use super::bound;
use super::import::{import, Imported, Keep};
use super::verify::Trust;
use crate::boot::esp::{EnrollKeys, EspFile, NewEsp};
use crate::deploy::{layout, populate};
use crate::fetch;
pub use crate::install::geometry::parse_size;
use crate::install::geometry::{self, Wish};
use crate::install::target::{observe, Target};
use crate::install::{disk, enroll, Error};
use crate::model::arch::{self, Arch};
use crate::model::disk::{DiskPlan, InstallPlan};
use crate::model::reference::Reference;
use crate::model::{DeploymentId, EntryName};
use crate::seal::files::{Files, ImageFiles};
use crate::seal::LOADER_DIR;
use crate::store::Store;
use crate::sys::{ScratchDir, Sys};

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image to install.
    pub image: Reference,
    /// The image that the host will follow, if another.
    pub follow: Option<Reference>,
    /// File or block device.
    pub target: PathBuf,
    /// Size of a new file; `None`: as large as the content asks for.
    pub size: Option<u64>,
    /// Size of the ESP.
    pub esp_size: u64,
    /// Replace a file, or destroy what is on a device.
    pub wipe: bool,
    /// A directory with `PK.auth`, `KEK.auth`, `db.auth`.
    pub enroll_keys: Option<PathBuf>,
    /// What the image must satisfy beyond its own policy.
    pub trust: Trust,
    /// Where the staging directory is made.
    pub scratch: Option<PathBuf>,
    /// How to fetch.
    pub fetch: fetch::Options,
    /// Where the images are read that it binds.
    pub bound_from: bound::From,
}

/// Ready to be written: the plan, and all that it needs.
#[derive(Debug)]
pub struct Prepared {
    /// What will be done.
    pub plan: InstallPlan,
    staged: ScratchDir,
    esp: Vec<EspFile>,
}

/// An image that was verified and lies in the store of a staging directory.
struct Verified {
    admitted: Admitted,
    arch: Arch,
    loader: Vec<u8>,
}

/// Everything up to the plan. Writes to the staging directory only.
pub fn prepare(request: &Request, sys: &Sys, say: &dyn Fn(&str)) -> anyhow::Result<Prepared> {
    let ground = Ground::survey(request, sys)?;
    say(&format!("Importing {}", request.image));
    let source = fetch::open(&request.image, &request.fetch)?;
    let imported = import(source.as_ref(), &ground.store, sys, Keep::Untagged, &|_| ())?;
    ground.build(request, imported, sys, say)
}

/// What is known and made before anything is fetched.
struct Ground {
    target: Target,
    keys: EnrollKeys,
    staged: ScratchDir,
    store: Store,
}

impl Ground {
    /// Refuses all that can be refused without the image, then makes the staging directory.
    fn survey(request: &Request, sys: &Sys) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NotRoot.into());
        }
        let target = observe(&request.target, request.wipe)?;
        if let (Some(_), Some(_)) = (target.capacity, request.size) {
            return Err(Error::SizeOfDevice(target.path).into());
        }
        let keys = request.enroll_keys.as_deref().map(enroll::read).transpose()?.unwrap_or_default();
        let staged = staging(request, &target, sys)?;
        layout::create(sys, staged.path())?;
        let store = Store::open_or_create(&staged.path().join(layout::REPOSITORY), sys)?;
        Ok(Self { target, keys, staged, store })
    }

    /// From the imported image to the plan.
    fn build(self, request: &Request, imported: Imported, sys: &Sys, say: &dyn Fn(&str)) -> anyhow::Result<Prepared> {
        say("Verifying the image");
        let mut verified = verified(request, imported, &self.store, sys)?;
        bind(request, &mut verified.admitted, &self.store, sys, say)?;
        say("Staging the root file system");
        let id = deploy(request, &verified.admitted, &self.store, self.staged.path(), sys)?;
        plan(request, &self.target, verified, id, self.keys, self.staged)
    }
}

/// Writes the disk.
pub fn apply(prepared: &Prepared, sys: &Sys, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let disk = &prepared.plan.disk;
    say(&format!("Writing {}", disk.target.display()));
    disk::write(sys, disk, prepared.staged.path(), &prepared.esp)
        .with_context(|| format!("{} was not installed", disk.target.display()))
}

fn staging(request: &Request, target: &Target, sys: &Sys) -> anyhow::Result<ScratchDir> {
    let parent = request.scratch.as_deref().unwrap_or_else(|| target.scratch_parent());
    for ended in target.temporary_names() {
        sys.remove_leftovers(target.scratch_parent(), &ended)?;
    }
    sys.remove_leftovers(parent, "cfs-install")?;
    sys.scratch_dir(parent, "cfs-install").context("the staging directory cannot be made; name another with --scratch")
}

/// Lets the code that decides at boot decide, and writes the image into the store.
fn verified(request: &Request, imported: Imported, store: &Store, sys: &Sys) -> anyhow::Result<Verified> {
    let name = imported.meta.config.architecture().to_string();
    let arch = arch::by_oci_name(&name).ok_or(Error::Architecture(name))?;
    let admitted = admit(imported, store, &request.trust, &|_, _| Ok(()), sys)?;
    let files = ImageFiles { tree: &admitted.imported.tree, store };
    let loader = files.require(&format!("{LOADER_DIR}/{}", arch.systemd_boot), "seal the image again")?;
    Ok(Verified { admitted, arch, loader })
}

/// Brings the images that it binds into the store.
fn bind(
    request: &Request,
    admitted: &mut Admitted,
    store: &Store,
    sys: &Sys,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let opened = bound::open(&admitted.imported, store, request.bound_from, &request.fetch, &|text| say(&text))?;
    admitted.bound_images = bound::bring(&opened, store, sys, &mut Default::default(), &|_| ())?;
    Ok(())
}

/// The first deployment, and `/var` as the image has it.
fn deploy(
    request: &Request,
    verified: &Admitted,
    store: &Store,
    root: &Path,
    sys: &Sys,
) -> anyhow::Result<DeploymentId> {
    let id = layout::next_id(root, &verified.image);
    let tree = &verified.imported.tree;
    let origin = verified.origin(request.follow.as_ref().unwrap_or(&request.image).to_string());
    let subtree = |name: &str, target: &Path| {
        populate::populate(sys, store, name, &tree.walk(name), target)?;
        tree.get(name).map_or(Ok(()), |(_, stat)| populate::own(sys, &stat, target))
    };
    subtree("var", &root.join(layout::VAR))?;
    let new = layout::Deployment { id: &id, origin: &origin, signature: &verified.signature };
    layout::write(sys, root, &new, &|etc| subtree("etc", etc))?;
    Ok(id)
}

fn plan(
    request: &Request,
    target: &Target,
    verified: Verified,
    id: DeploymentId,
    keys: EnrollKeys,
    staged: ScratchDir,
) -> anyhow::Result<Prepared> {
    let entry = EntryName { deployment: id.clone(), order: 1 };
    let Verified { admitted: Admitted { uki, system, image, signers, bound_images, .. }, arch, loader } = verified;
    let (name, kernel, enforces) = (entry.to_string(), uki.kernel, uki.policy.enforces());
    let esp = NewEsp { arch, loader, uki: uki.bytes, entry, system: &system, enroll: keys }.files();

    let mut content = geometry::measure(staged.path())?;
    content.esp_bytes = esp.iter().map(|file| file.bytes.len() as u64).sum();
    let shown = target.path.display().to_string();
    let wish = Wish { size: target.capacity.or(request.size), esp_size: request.esp_size };
    let laid_out = geometry::plan(&shown, &wish, &content)?;
    let disk = DiskPlan {
        target: target.path.clone(),
        kind: target.kind,
        size: laid_out.size,
        esp: laid_out.esp,
        root: laid_out.root,
        inodes: laid_out.inodes,
        arch,
    };
    let plan = InstallPlan {
        api_version: "cfs-host/v1",
        kind: "Install",
        reference: request.image.to_string(),
        target_reference: request.follow.as_ref().unwrap_or(&request.image).to_string(),
        image,
        deployment: id.to_string(),
        entry: name,
        system,
        kernel,
        signers,
        bound_images,
        content_bytes: content.bytes,
        enforces,
        disk,
    };
    Ok(Prepared { plan, staged, esp })
}

#[cfg(test)]
mod tests;
