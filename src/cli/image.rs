//! `cfs-host image`: images in a store and elsewhere.

mod diff;
mod digest;
mod inspect;
mod list;
mod mount;
mod pull;
mod rm;
mod share;

use clap::Subcommand;

/// Pull, list, look at, compare and mount images, and show them to podman
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Pull(pull::Args),
    #[command(alias = "ls")]
    List(list::Args),
    Inspect(inspect::Inspect),
    Verify(inspect::Verify),
    Digest(digest::Args),
    Diff(diff::Args),
    Mount(mount::Args),
    #[command(alias = "remove")]
    Rm(rm::Args),
    Share(share::Share),
    Unshare(share::Unshare),
    Shared(share::List),
}

/// Calls the verb.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.verb {
        Verb::Pull(args) => pull::run(args),
        Verb::List(args) => list::run(args),
        Verb::Inspect(args) => inspect::inspect(args),
        Verb::Verify(args) => inspect::verify(args),
        Verb::Digest(args) => digest::run(args),
        Verb::Diff(args) => diff::run(args),
        Verb::Mount(args) => mount::run(args),
        Verb::Rm(args) => rm::run(args),
        Verb::Share(args) => share::share(args),
        Verb::Unshare(args) => share::unshare(args),
        Verb::Shared(args) => share::list(args),
    }
}
