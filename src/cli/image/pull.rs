//! `cfs-host image pull`.

use super::share::Shown;
use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::cli::transport::Transport;
use crate::fault::BadUsage;
use crate::fetch::Options;
use crate::flow::images::pull;
use crate::model::reference::Reference;
use crate::sys::Sys;
use crate::ui::{self, progress};

/// Bring an image into the store, without deploying it
///
/// It stays until `image rm`. What is there already is not fetched again. Its EROFS images are made, and its objects get fs-verity
/// where the file system has it. No root is needed for a store of one's own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    image: Reference,
    /// Show it to podman as well, as `image share` does
    #[arg(long)]
    share: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    sysroot: Sysroot,
    #[command(flatten)]
    transport: Transport,
    /// Print nothing but errors and the digest
    #[arg(long, short)]
    quiet: bool,
    /// Write progress as JSON lines to this file descriptor
    #[arg(long, value_name = "FD")]
    progress_fd: Option<i32>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Pulls, shows what it took.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mode = progress::Mode { quiet: args.quiet || args.json, fd: args.progress_fd };
    let progress = progress::Progress::open(mode).map_err(|error| BadUsage(format!("--progress-fd: {error}")))?;
    let sys = Sys::from_env()?;
    let store = args.sysroot.store_or_create(&sys)?;
    if args.share {
        args.shown.check(&args.sysroot, &store, &sys)?;
    }
    let watch = |event| progress.event(event);
    let pulled = pull(&args.image, &Options::from(args.transport), &store, &sys, &watch)?;
    progress.finish();
    let name = match args.share {
        true => Some(args.shown.share(&args.sysroot, &store, &sys, &args.image.to_string())?),
        false => None,
    };
    match (args.json, args.quiet) {
        (true, _) => print_json("ImagePull", &pulled)?,
        (_, true) => println!("{}", pulled.manifest_digest),
        _ => {
            print!("{}", ui::image::pulled(&pulled));
            name.iter().for_each(|name| println!("{}", ui::share::shown(name)));
        }
    }
    Ok(())
}
