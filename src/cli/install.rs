//! `cfs-host install to-disk`: an image onto a new disk.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::signers::TrustArgs;
use super::transport::Transport;
use crate::fetch::Options;
use crate::flow::bound;
use crate::flow::install::{apply, prepare, Request};
use crate::model::reference::Reference;
use crate::sys::Sys;
use crate::ui;

/// Install an image.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    to: To,
}

/// Where to.
#[derive(Debug, Subcommand)]
enum To {
    /// Make a bootable disk: a new file (raw, or qcow2 by its ending) or a whole block device
    ToDisk(ToDisk),
}

#[derive(Debug, clap::Args)]
struct ToDisk {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    #[arg(long, value_name = "REF")]
    image: Reference,
    /// The image that the host will follow, if it is not the one that is installed
    #[arg(long, value_name = "REF")]
    target_imgref: Option<Reference>,
    /// Size of a new file, 4G for one; auto: as large as the image twice and 1 GiB more
    #[arg(long, default_value = "auto", value_parser = disk_size)]
    size: DiskSize,
    /// Size of the EFI system partition
    #[arg(long, default_value = "512M", value_parser = size)]
    esp_size: u64,
    /// Replace an existing file, or destroy all that is on the device
    #[arg(long)]
    wipe: bool,
    /// Let the loader enroll the keys PK.auth, KEK.auth and db.auth of this directory (or of its secureboot/)
    /// into a firmware in setup mode. On a machine whose option ROMs need other keys this can stop it from starting
    #[arg(long, value_name = "DIR")]
    enroll_keys: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Where to make the staging directory; beside a file, or in /var/tmp for a device, if absent
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Where the container images are read that the image binds
    #[arg(long, value_name = "WHERE", default_value = "pull")]
    bound_images: BoundFrom,
    #[command(flatten)]
    transport: Transport,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// File or block device
    target: PathBuf,
}

/// `--bound-images`, in bootc's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BoundFrom {
    /// Where their names say: in a registry
    Pull,
    /// In podman's storage on this machine, under the same names: without network
    Stored,
}

impl From<BoundFrom> for bound::From {
    fn from(words: BoundFrom) -> Self {
        match words {
            BoundFrom::Pull => Self::References,
            BoundFrom::Stored => Self::Podman,
        }
    }
}

/// `--size`: bytes, or `auto`.
#[derive(Clone, Copy, Debug)]
struct DiskSize(Option<u64>);

fn size(text: &str) -> Result<u64, String> {
    crate::flow::install::parse_size(text).map_err(|error| error.to_string())
}

fn disk_size(text: &str) -> Result<DiskSize, String> {
    match text {
        "auto" => Ok(DiskSize(None)),
        _ => size(text).map(|bytes| DiskSize(Some(bytes))),
    }
}

/// Prepares, shows the plan, writes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let To::ToDisk(args) = args.to;
    let (json, sys, progress) = (args.json, Sys::from_env()?, ui::progress::Progress::new());
    let say = |text: &str| progress.step(text);
    let prepared = prepare(&args.request()?, &sys, &say)?;
    if !json {
        progress.suspend(|| print!("{}", ui::install::plan(&prepared.plan)));
    }
    apply(&prepared, &sys, &say)?;
    progress.finish();
    match json {
        true => print!("{}", ui::json(&prepared.plan)?),
        false => println!("{} is ready", prepared.plan.disk.target.display()),
    }
    Ok(())
}

impl ToDisk {
    fn request(self) -> crate::trust::Result<Request> {
        Ok(Request {
            image: self.image,
            follow: self.target_imgref,
            target: self.target,
            size: self.size.0,
            esp_size: self.esp_size,
            wipe: self.wipe,
            enroll_keys: self.enroll_keys,
            trust: self.trust.load()?,
            scratch: self.scratch,
            fetch: Options::from(self.transport),
            bound_from: self.bound_images.into(),
        })
    }
}
