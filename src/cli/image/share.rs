//! `cfs-host image share`, `unshare` and `shared`: what podman sees of the store.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::flow::host::Host;
use crate::flow::share::{self, Place, User, DIRECTORY, USERS};
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
    /// Whose podman: this user's, who runs podman without root; else root's
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where images are shown, in memory: the additional image store that podman's storage.conf names, by default
    /// /run/cfs-host/containers; with --user the directory that it is made in, by default /run/cfs-host/users/UID
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
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
        sys: &Sys,
        act: impl FnOnce(&Place<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if let Some(name) = &self.user {
            let user = User::find(sys, name)?;
            let to = self.to.clone().unwrap_or_else(|| user.below(&Path::new("/").join(USERS)));
            return act(&Place::of_user(store, &to, user));
        }
        let host = if sysroot.is_given() { None } else { Host::read(Path::new("/")).ok() };
        let to = self.to.clone().unwrap_or_else(|| Path::new("/").join(DIRECTORY));
        act(&Place::new(store, &to, host.as_ref()))
    }
}

impl Shown {
    /// Fails if an image could not be shown, before anything is fetched for it.
    pub fn check(&self, sysroot: &Sysroot, store: &Store, sys: &Sys) -> anyhow::Result<()> {
        self.at.with(sysroot, store, sys, |place| share::require_form(place, sys))
    }

    /// Shows an image that is in the store; gives its name.
    pub fn share(&self, sysroot: &Sysroot, store: &Store, sys: &Sys, image: &str) -> anyhow::Result<String> {
        self.at.with(sysroot, store, sys, |place| {
            let name = share::share(place, sys, image, self.name.as_deref())?;
            share::configure(place, sys)?;
            Ok(name)
        })
    }
}

/// Shows one, or all that should be.
pub fn share(args: Share) -> anyhow::Result<()> {
    share::require_root()?;
    let (store, sys) = (args.sysroot.store()?, Sys::from_env()?);
    let name = args.image.as_ref().map(|image| args.shown.share(&args.sysroot, &store, &sys, image)).transpose()?;
    let shared = args.shown.at.with(&args.sysroot, &store, &sys, |place| match &name {
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
    let hidden = args.at.with(&args.sysroot, &store, &sys, |place| share::unshare(place, &sys, &args.images))?;
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
    let shared = args.at.with(&args.sysroot, &store, &sys, |place| share::status(place, &sys))?;
    match args.json {
        true => print_json("ImageShared", &shared)?,
        false => print!("{}", ui::share::list(&shared)),
    }
    Ok(())
}

fn warn_if_unread(shared: &Shared) {
    if !shared.configured {
        eprintln!("warning: {}", ui::share::unread(shared));
    }
}
