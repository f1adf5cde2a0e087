//! `cfs-host install to-disk`: an image onto a new disk.

use std::path::PathBuf;

use clap::Subcommand;

use crate::fetch;
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
    /// Check the image against this policy file too, not only against the policy that its own UKI carries
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    policy: Option<PathBuf>,
    /// The same with the policy of a key directory, and check UKI and loader against its db key
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Where to make the staging directory; beside a file, or in /var/tmp for a device, if absent
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Credentials for the registry, as podman's --authfile
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Talk plain HTTP, or accept any certificate of the registry: the image's signature is checked all the same
    #[arg(long)]
    insecure_transport: bool,
    /// Which image of a list of several architectures: amd64 or arm64
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
    /// File or block device
    target: PathBuf,
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
    let prepared = prepare(&args.into(), &sys, &say)?;
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

impl From<ToDisk> for Request {
    fn from(args: ToDisk) -> Self {
        Self {
            image: args.image,
            follow: args.target_imgref,
            target: args.target,
            size: args.size.0,
            esp_size: args.esp_size,
            wipe: args.wipe,
            enroll_keys: args.enroll_keys,
            policy: args.policy,
            keys: args.keys,
            scratch: args.scratch,
            fetch: fetch::Options {
                authfile: args.authfile,
                insecure_transport: args.insecure_transport,
                architecture: args.arch,
            },
        }
    }
}
