//! What `status` tells: the state of a host, as data. The JSON form is stable: fields are added, never changed.

use cfs_init::fallback::RefusalRecord;
use serde::{Deserialize, Serialize};

use super::bound::BoundImage;
use super::update::{DeniedImage, Note, Staged, Trial};
use super::Digest;

/// Everything that is known about this host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `cfs-host/v1`.
    pub api_version: &'static str,
    /// `Status`.
    pub kind: &'static str,
    /// What `/init` booted and verified; absent if it was not `/init`.
    pub booted: Option<Booted>,
    /// What is verified on this host.
    pub tier: Tier,
    /// What stops an older signed UKI from booting (rule 5).
    pub rollback_protection: RollbackProtection,
    /// The firmware's state, as it is now.
    pub firmware: Firmware,
    /// Whether these are mounted writable; absent if they are no mounts of their own.
    pub writable: Writable,
    /// What the next start takes; absent if no entry is known.
    pub next: Option<Next>,
    /// What waits for the shutdown.
    pub staged: Option<Staged>,
    /// The deployment that waits for its promotion.
    pub trial: Option<Trial>,
    /// Every deployment on the disk.
    pub deployments: Vec<Deployment>,
    /// Images that failed here, newest last.
    pub denied: Vec<DeniedImage>,
    /// What programs without a terminal had to say, newest last.
    pub notes: Vec<Note>,
    /// Why an earlier boot stopped. Unverified: anyone with root can write it.
    pub refusal_hint: Option<RefusalRecord>,
    /// Whatever is odd; empty on a healthy host.
    pub conditions: Vec<Condition>,
}

/// How much of the running system is covered by signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Nothing is known to be.
    None,
    /// Code verified, configuration (`/etc`) not.
    Verified,
}

/// What keeps revoked versions from coming back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollbackProtection {
    /// Neither dbx updates nor a floor in the TPM: said, because the attacker picks the UKI.
    None,
}

/// `/run/cfs-host/booted.json`: what `/init` did. Fields that are missing count as empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Booted {
    /// 1.
    pub version: u32,
    /// `enforce` or `permissive`.
    pub mode: String,
    /// The deployment.
    pub deployment: String,
    /// The digest that was measured.
    pub image: Option<Digest>,
    /// The UKI that decided.
    pub uki_id: Option<Digest>,
    /// Its security version.
    pub security_version: u32,
    /// What was signed; absent if no signature held (permissive mode).
    pub claims: Option<SignedClaims>,
    /// Who signed, by the policy's names.
    pub signers: Vec<String>,
    /// Whether the firmware verified the UKI.
    pub secure_boot: bool,
    /// Which hint chose the deployment.
    pub chosen_by: String,
    /// The loader's entry.
    pub entry: String,
    /// The check of the objects.
    pub objects: Objects,
    /// Hints that did not count.
    pub ignored: Vec<String>,
    /// Why the boot before this one stopped.
    pub refusal: Option<RefusalRecord>,
    /// Failed checks that permissive mode overlooked.
    pub problems: Vec<String>,
    /// Steps and milliseconds.
    pub timings: Vec<Timing>,
}

/// The claims of the signature that held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"), default)]
pub struct SignedClaims {
    /// `host-bootable`.
    pub role: String,
    /// The product.
    pub product: String,
    /// The image's security version.
    #[serde(alias = "securityVersion")]
    pub security_version: u32,
}

/// How many objects were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Objects {
    /// Named by the image.
    pub total: u64,
    /// Given fs-verity by this boot.
    pub enabled: u64,
}

/// One timed step of `/init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Its name.
    pub step: String,
    /// Milliseconds.
    pub ms: u64,
}

/// The firmware's own variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Firmware {
    /// Whether Secure Boot is on; absent without EFI.
    pub secure_boot: Option<bool>,
    /// Whether keys can be enrolled by anyone.
    pub setup_mode: Option<bool>,
    /// The loader's name and version.
    pub loader: Option<String>,
}

/// What the next start takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The entry's id.
    pub entry: String,
    /// Its deployment; absent if the entry is not one of ours.
    pub deployment: Option<String>,
    /// Why this one.
    pub because: Because,
}

/// Why an entry is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// `LoaderEntryOneShot` names it.
    OneShot,
    /// `LoaderEntryDefault`, which cfs-host never sets, names it.
    LoaderEntryDefault,
    /// It has the highest order: the default.
    HighestOrder,
}

/// Mounted writable?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Writable {
    /// `/etc`
    pub etc: Option<bool>,
    /// `/var`
    pub var: Option<bool>,
}

/// One deployment on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its name.
    pub id: String,
    /// Whether it runs.
    pub booted: bool,
    /// Whether it has the highest order: what boots if nothing else is said.
    pub default: bool,
    /// Whether it was promoted: it has an entry above order 0.
    pub good: bool,
    /// Whether it waits for the shutdown.
    pub staged: bool,
    /// Whether it waits for its promotion.
    pub on_trial: bool,
    /// Whether `rollback` takes it if no other is named.
    pub rollback_target: bool,
    /// Whether `prune` leaves it alone.
    pub pinned: bool,
    /// Whether its image failed here.
    pub denied: bool,
    /// The last verdict of the health checks.
    pub health: Option<Verdict>,
    /// Its boot entries, as far as is known.
    pub entries: Vec<String>,
    /// The image that it follows; absent if its origin cannot be read.
    pub reference: Option<String>,
    /// OCI digest of the manifest.
    pub manifest_digest: Option<String>,
    /// The image digest.
    pub image: Option<Digest>,
    /// `org.opencontainers.image.version`, if the image says one.
    pub image_version: Option<String>,
    /// When the image was built, if it says so.
    pub image_created: Option<String>,
    /// Container images that it binds.
    pub bound_images: Vec<BoundImage>,
    /// When.
    pub deployed_at: Option<String>,
}

/// A verdict of the health checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether all required checks passed.
    pub healthy: bool,
    /// RFC 3339, UTC.
    pub at: String,
    /// The checks that did not pass, required ones first.
    pub failed: Vec<String>,
}

/// How much a condition matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// What this tool promises does not hold here.
    Alarm,
}

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// A stable word for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// For people.
    pub message: String,
}
