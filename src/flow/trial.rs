//! After a boot: what became of the trial, and its promotion.

use super::host::Host;
use crate::model::update::Health;
use crate::model::DeploymentId;
use crate::sys::Sys;

/// What an early boot found.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// No trial was on its way.
    Nothing,
    /// This boot is the trial.
    OnTrial,
    /// The trial did not end in a promotion: denied.
    Failed(Box<crate::model::update::DeniedImage>),
    /// The shutdown step was interrupted before the loader was told.
    Interrupted,
}

/// Early in each boot: notes that the trial runs, or why it does not, and removes what ended runs left.
pub fn settle(host: &Host, sys: &Sys) -> anyhow::Result<Settled> {
    let _ = (host, sys);
    todo!()
}

/// Runs the health checks and keeps the verdict; an unhealthy trial is noted as such.
pub fn check_health(host: &Host, sys: &Sys) -> anyhow::Result<Health> {
    let _ = (host, sys);
    todo!()
}

/// The trial that runs was good: it becomes the default. `None`: this boot is no trial.
pub fn promote(host: &Host, sys: &Sys) -> anyhow::Result<Option<DeploymentId>> {
    let _ = (host, sys);
    todo!()
}
