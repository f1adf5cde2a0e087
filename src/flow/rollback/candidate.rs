//! A deployment that may become the default: whole, and good once. Examined before anything is written.

use anyhow::Context;
use cfs_init::names::uki_file_name;

use crate::boot::entry::Entry;
use crate::boot::order;
use crate::boot::running_esp::RunningEsp;
use crate::boot::uki::{self, Uki};
use crate::deploy::layout;
use crate::deploy::origin::Origin;
use crate::deploy::records::{self, HEALTH};
use crate::deploy::{os_release, whole};
use crate::flow::host::Host;
use crate::flow::import::stored_tree;
use crate::flow::Refused;
use crate::model::update::Health;
use crate::model::{DeploymentId, EntryName};
use crate::seal::files::{Files, ImageFiles};
use crate::store::Store;
use crate::sys::Sys;

/// One that passed.
#[derive(Debug)]
pub struct Candidate {
    entry: Entry,
    /// The UKI's bytes, if the ESP lost it.
    lost_uki: Option<Vec<u8>>,
}

impl Candidate {
    /// Refuses what would not boot, and names what it lacks.
    pub fn examine(host: &Host, esp: &RunningEsp, id: &DeploymentId) -> anyhow::Result<Self> {
        let sysroot = host.sysroot();
        let refuse = |why: String| Refused(format!("{id} cannot become the default: {why}"));
        if !layout::deployment(&sysroot, id).is_dir() {
            return Err(refuse("there is no such deployment; `cfs-host status` lists them".into()).into());
        }
        let entries = esp.entries()?;
        let names: Vec<EntryName> = entries.iter().map(|entry| entry.name.clone()).collect();
        let promoted = order::promoted(&names).any(|entry| entry.deployment == *id);
        if !promoted && !was_healthy(host, id)? {
            let why = "it was never promoted, so nothing says that it works; its health checks promote it".to_owned();
            return Err(refuse(why).into());
        }
        let origin = host.origin(id)?;
        let missing = whole::missing(&sysroot, id, &origin);
        if !missing.is_empty() {
            return Err(refuse(format!("it lacks {}", missing.join(", "))).into());
        }
        let store = host.store()?;
        store.read(&origin.image).with_context(|| refuse("its image cannot be used".into()))?;
        let file = uki_file_name(origin.uki.as_bytes());
        let on_esp = esp.read_uki(&file)?;
        let bytes = match &on_esp {
            Some(bytes) if uki::sha256(bytes) == origin.uki => bytes.clone(),
            Some(_) => return Err(refuse(format!("its UKI {file} on the EFI system partition is damaged")).into()),
            None => stored_uki(&store, &origin)
                .with_context(|| refuse(format!("its UKI {file} is not on the EFI system partition")))?,
        };
        let known = entries.into_iter().find(|entry| entry.name.deployment == *id && entry.uki == file);
        let entry = known.unwrap_or_else(|| new_entry(id, &bytes, file));
        Ok(Self { entry, lost_uki: on_esp.is_none().then_some(bytes) })
    }

    /// UKI ► entry under the highest order ► its other entries go.
    pub fn promote(&self, esp: &RunningEsp, sys: &Sys) -> anyhow::Result<()> {
        if let Some(bytes) = &self.lost_uki {
            esp.put_uki(sys, bytes)?;
        }
        esp.promote(sys, &self.entry)?;
        Ok(())
    }
}

/// Without an entry only its last verdict says that it was good.
fn was_healthy(host: &Host, id: &DeploymentId) -> anyhow::Result<bool> {
    let verdict = records::read::<Health>(&layout::deployment(&host.sysroot(), id).join(HEALTH))?;
    Ok(verdict.is_some_and(|verdict| verdict.healthy))
}

/// The UKI out of the image.
fn stored_uki(store: &Store, origin: &Origin) -> anyhow::Result<Vec<u8>> {
    let tree = stored_tree(store, &origin.manifest_digest)?;
    let bytes = ImageFiles { tree: &tree, store }.require(&origin.uki_path, "fetch the image again")?;
    match uki::sha256(&bytes) == origin.uki {
        true => Ok(bytes),
        false => Err(Refused(format!("/{} of the image is another UKI", origin.uki_path)).into()),
    }
}

/// Its order is chosen when it is promoted.
fn new_entry(id: &DeploymentId, uki: &[u8], file: String) -> Entry {
    let system = Uki::parse(uki).ok().and_then(|uki| os_release::system_name(uki.osrel));
    let name = EntryName { deployment: id.clone(), order: 0 };
    Entry::new(name, system.as_deref().unwrap_or("Linux"), file)
}
