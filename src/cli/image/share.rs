//! `cfs-host image share`, `unshare` and `shared`: what podman sees of the store.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::flow::host::Host;
use crate::flow::share::{self, Place, DIRECTORY};
use crate::model::share::Shared;
use crate::store::Store;
use crate::sys::Sys;
use crate::ui;

/// Show images of the store to podman, without a copy. Needs root
///
/// podman can only read them: run them, build on them, push them. What the host runs and what is staged is shown by itself.
/// It stays so until `image unshare`, also after a restart. Without an image: what should be shown is, once more.
#[derive(Debug, clap::Args)]
pub struct Share {
    /// The image: its reference or digest
    image: Option<String>,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    sysroot: Sysroot,
    /// Print what podman sees as JSON
    #[arg(long)]
    json: bool,
}

/// Hide images from podman again; the store keeps them
///
/// Refused for an image that a container or an image of podman's own builds on.
#[derive(Debug, clap::Args)]
pub struct Unshare {
    /// podman's names, or references or digests of the store: then all names of that image
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    sysroot: Sysroot,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// List what podman sees of the store, in which form and why
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    sysroot: Sysroot,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How an image is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    /// podman's name for it; else that of the reference
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Where podman looks.
#[derive(Debug, clap::Args)]
struct At {
    /// The additional image store; in memory, and named in podman's storage.conf
    #[arg(long, value_name = "DIR", default_value_os_t = Path::new("/").join(DIRECTORY))]
    to: PathBuf,
}

#[derive(Serialize)]
struct Hidden {
    hidden: Vec<String>,
}

impl At {
    /// Calls `act` with the store, the directory, and the host if it is its store.
    fn with<T>(
        &self,
        sysroot: &Sysroot,
        store: &Store,
        act: impl FnOnce(&Place<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let host = if sysroot.is_given() { None } else { Host::read(Path::new("/")).ok() };
        act(&Place::new(store, &self.to, host.as_ref()))
    }
}

impl Shown {
    /// Fails if an image could not be shown, before anything is fetched for it.
    pub fn check(&self, sysroot: &Sysroot, store: &Store, sys: &Sys) -> anyhow::Result<()> {
        self.at.with(sysroot, store, |place| share::require_form(place, sys))
    }

    /// Shows an image that is in the store; gives its name.
    pub fn share(&self, sysroot: &Sysroot, store: &Store, sys: &Sys, image: &str) -> anyhow::Result<String> {
        self.at.with(sysroot, store, |place| share::share(place, sys, image, self.name.as_deref()))
    }
}

/// Shows one, or all that should be.
pub fn share(args: Share) -> anyhow::Result<()> {
    share::require_root()?;
    let (store, sys) = (args.sysroot.store()?, Sys::from_env()?);
    let name = args.image.as_ref().map(|image| args.shown.share(&args.sysroot, &store, &sys, image)).transpose()?;
    let shared = args.shown.at.with(&args.sysroot, &store, |place| match &name {
        Some(_) => share::status(place, &sys),
        None => share::sync(place, &sys),
    })?;
    match (args.json, name) {
        (true, _) => print_json("ImageShare", &shared)?,
        (_, Some(name)) => println!("{}", ui::share::shown(&name)),
        (_, None) => print!("{}", ui::share::list(&shared)),
    }
    warn_if_unread(&shared);
    Ok(())
}

/// Hides, tells.
pub fn unshare(args: Unshare) -> anyhow::Result<()> {
    share::require_root()?;
    let (store, sys) = (args.sysroot.store()?, Sys::from_env()?);
    let hidden = args.at.with(&args.sysroot, &store, |place| share::unshare(place, &sys, &args.images))?;
    match args.json {
        true => print_json("ImageUnshare", &Hidden { hidden })?,
        false => hidden.iter().for_each(|name| println!("podman does not see {} any more", ui::plain(name))),
    }
    Ok(())
}

/// Lists.
pub fn list(args: List) -> anyhow::Result<()> {
    share::require_root()?;
    let (store, sys) = (args.sysroot.store()?, Sys::from_env()?);
    let shared = args.at.with(&args.sysroot, &store, |place| share::status(place, &sys))?;
    match args.json {
        true => print_json("ImageShared", &shared)?,
        false => print!("{}", ui::share::list(&shared)),
    }
    Ok(())
}

fn warn_if_unread(shared: &Shared) {
    if !shared.configured {
        eprintln!("warning: {}", ui::share::unread(&shared.directory));
    }
}
