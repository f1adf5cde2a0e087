//! `cfs-host upgrade`: a newer version of the image that is followed.

use super::update::{UpdateArgs, Wish};
use crate::flow::stage::Request;

/// Fetch a newer version of the image that this host follows, and stage it for the next boot
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say whether there is one, and what it would take; stage nothing
    #[arg(long, conflicts_with_all = ["apply", "download_only", "from_downloaded"])]
    check: bool,
    /// Stage it, but leave it for a later `--from-downloaded`
    #[arg(long, conflicts_with_all = ["apply", "from_downloaded"])]
    download_only: bool,
    /// Take what `--download-only` left, without asking the registry
    #[arg(long)]
    from_downloaded: bool,
    /// Follow this tag of the image from now on
    #[arg(long, conflicts_with = "from_downloaded")]
    tag: Option<String>,
    #[command(flatten)]
    update: UpdateArgs,
}

/// Stages what is new.
pub fn run(args: Args) -> anyhow::Result<()> {
    let request = Request { tag: args.tag, download_only: args.download_only, ..Request::default() };
    args.update.run(Wish { verb: "upgrade", request, check: args.check, from_downloaded: args.from_downloaded })
}
