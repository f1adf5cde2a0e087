//! What is known about an update on its way: staged, on trial, denied. Data only; the files are those of `docs/update.md`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::text;
use super::{DeploymentId, Digest, EntryName};

/// `/run/cfs-host/staged.json`: what shutdown will finalize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Staged {
    /// 1.
    pub version: u32,
    /// The deployment; its directory and its UKI are there, an entry is not.
    #[serde(with = "text")]
    pub deployment: DeploymentId,
    /// The reference that it follows.
    pub reference: String,
    /// OCI digest of the manifest.
    pub manifest_digest: String,
    /// The image digest.
    pub image: Digest,
    /// File name of its UKI below `EFI/cfs/`.
    pub uki: String,
    /// The system's name, for the entry's title.
    pub system: String,
    /// `org.opencontainers.image.version`, if the image says one.
    pub image_version: Option<String>,
    /// Names in `/etc` where machine and image changed the same thing.
    pub etc_conflicts: Vec<String>,
    /// Fetched only: shutdown leaves it alone until it is asked for (`upgrade --from-downloaded`).
    pub download_only: bool,
    /// RFC 3339, UTC.
    pub at: String,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How far a trial has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The shutdown step has begun; the one-shot may be missing.
    Arming,
    /// The loader was told.
    Armed,
    /// It runs, or ran.
    Running,
    /// Its health checks failed.
    Unhealthy,
    /// Its health checks passed, and it is being promoted.
    Healthy,
    /// A newer program wrote another word.
    #[serde(other)]
    Other,
}

/// `cfs/trial.json`: the deployment that waits for its promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// 1.
    pub version: u32,
    /// Which one.
    #[serde(with = "text")]
    pub deployment: DeploymentId,
    /// Its entry, of order 0.
    #[serde(with = "text")]
    pub entry: EntryName,
    /// The reference that it follows.
    pub reference: String,
    /// OCI digest of the manifest.
    pub manifest_digest: String,
    /// The image digest.
    pub image: Digest,
    /// How far it came.
    pub phase: Phase,
    /// Why it failed, as far as it could say itself.
    pub why: Option<String>,
    /// RFC 3339, UTC: the last change.
    pub at: String,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How a trial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// `/init` refused it.
    Refused,
    /// Its health checks failed.
    Unhealthy,
    /// The kernel panicked.
    Panic,
    /// It began to start and was not heard of again: hang, reset or power cut.
    Stopped,
    /// It never started: firmware or loader refused it, or the power went.
    NotStarted,
    /// Somebody gave it up before it was promoted.
    RolledBack,
    /// A newer program wrote another word.
    #[serde(other)]
    Other,
}

/// An image that failed here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeniedImage {
    /// OCI digest of the manifest: what is not fetched again.
    pub manifest_digest: String,
    /// The image digest.
    pub image: Digest,
    /// Where it came from.
    pub reference: String,
    /// The deployment that failed.
    #[serde(with = "text")]
    pub deployment: DeploymentId,
    /// How.
    pub kind: FailureKind,
    /// For people.
    pub why: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl DeniedImage {
    /// The image of a trial.
    pub fn of_trial(trial: &Trial, kind: FailureKind, why: String, at: String) -> Self {
        Self {
            manifest_digest: trial.manifest_digest.clone(),
            image: trial.image,
            reference: trial.reference.clone(),
            deployment: trial.deployment.clone(),
            kind,
            why,
            at,
            unknown: Map::new(),
        }
    }
}

/// `cfs/denied.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denied {
    /// 1.
    pub version: u32,
    /// Newest last.
    pub images: Vec<DeniedImage>,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Something that people should hear of later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// What did not work.
    pub what: String,
    /// Why.
    pub why: String,
    /// RFC 3339, UTC.
    pub at: String,
}

/// `cfs/notes.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    /// 1.
    pub version: u32,
    /// Newest last.
    pub notes: Vec<Note>,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What came of one health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It did not end in time and was stopped.
    TimedOut,
    /// A newer program wrote another word.
    #[serde(other)]
    Other,
}

/// One health check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Path of the program.
    pub name: String,
    /// Whether its failure makes the deployment unhealthy.
    pub required: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
    /// The end of what it printed; of a failure, first how it ended.
    pub output: String,
}

/// `deploy/<id>/health.json`: the last verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// 1.
    pub version: u32,
    /// Whether all required checks passed.
    pub healthy: bool,
    /// RFC 3339, UTC.
    pub at: String,
    /// In the order in which they ran.
    pub checks: Vec<Check>,
    /// What newer programs wrote.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// `/run/cfs-host/entries.json`: our entries on the ESP as the last writer of this boot left them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntriesNow {
    /// 1.
    pub version: u32,
    /// Entry names without `.conf`.
    pub entries: Vec<String>,
    /// The entry that the next start takes once, if one is set.
    pub one_shot: Option<String>,
}

/// What an update is going to do, shown before it is done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdatePlan {
    /// `cfs-host/v1`.
    pub api_version: &'static str,
    /// `Update`.
    pub kind: &'static str,
    /// The image that is wanted.
    pub reference: String,
    /// OCI digest of its manifest.
    pub manifest_digest: String,
    /// `org.opencontainers.image.version`, if the image says one.
    pub image_version: Option<String>,
    /// Layers of the image.
    pub layers: usize,
    /// Layers that the store does not have.
    pub new_layers: usize,
    /// Bytes of those, as the manifest says.
    pub bytes_to_fetch: u64,
    /// About how much the store grows; an estimate from above.
    pub store_growth: u64,
    /// Free bytes on the root file system.
    pub store_free: u64,
    /// What the ESP needs at its fullest, beyond what is on it.
    pub esp_peak: u64,
    /// Free bytes on the ESP.
    pub esp_free: u64,
    /// References of the images that it binds; absent as long as it has not been fetched, for only the image itself tells.
    pub bound_images: Option<Vec<String>>,
    /// Deployments that go.
    pub remove: Vec<String>,
}

/// What a rollback changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    /// The default before.
    pub before: Option<String>,
    /// The default now.
    pub now: String,
    /// The trial that was given up; its image is not taken again without `--force`.
    pub gave_up: Option<String>,
    /// Whether something staged was dropped.
    pub discarded: bool,
    /// Whether the default is another one than what runs: a restart is needed.
    pub restart: bool,
}
