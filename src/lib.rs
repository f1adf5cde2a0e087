//! cfs-host: a Linux host that is an OCI image, verified at every boot.
//!
//! The flow is the folder tree: `fetch ► import ► store ► image ► trust ► deploy ► boot`, on the build side
//! `image ► seal`, on a new disk `install`. `docs/architecture.md` has the map and who may use whom.

pub mod boot;
pub mod cli;
pub mod deploy;
pub mod etc;
pub mod fault;
pub mod fetch;
pub mod flow;
pub mod health;
pub mod image;
pub mod import;
pub mod install;
pub mod model;
pub mod seal;
pub mod share;
pub mod store;
pub mod sys;
pub mod trust;
pub mod ui;
