//! One file per verb: arguments, the call of a flow, the print-out.

pub mod called_as;
pub mod elsewhere;
pub mod etc;
pub mod fsck;
pub mod image;
mod ingredients;
pub mod install;
pub mod internals;
pub mod keys;
pub mod pin;
pub mod prune;
pub mod rollback;
pub mod seal;
pub mod sign;
mod signers;
pub mod status;
pub mod storage;
pub mod switch;
mod sysroot;
mod transport;
pub mod uki;
mod update;
pub mod upgrade;

use clap::{Parser, Subcommand};

use crate::fault::Fault;
use called_as::CalledAs;

/// A Linux host that is an OCI image, verified at every boot.
///
/// Exit codes: 0 done, 2 usage, 3 this machine or its files, 4 network, 5 not trusted, 6 damaged, 70 our mistake.
#[derive(Debug, Parser)]
#[command(name = "cfs-host", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Keys(keys::Args),
    Seal(seal::Args),
    Sign(sign::Args),
    Image(image::Args),
    Uki(uki::Args),
    Install(install::Args),
    Status(status::Args),
    Switch(switch::Args),
    #[command(alias = "update")]
    Upgrade(upgrade::Args),
    Rollback(rollback::Args),
    Pin(pin::Args),
    Prune(prune::Args),
    Fsck(fsck::Args),
    Storage(storage::Args),
    Etc(etc::Args),
    #[command(hide = true)]
    Internals(internals::Args),
}

/// Runs one verb.
pub fn run(cli: Cli, called_as: CalledAs) -> Result<(), Fault> {
    let outcome = match cli.verb {
        Verb::Keys(args) => keys::run(args),
        Verb::Seal(args) => seal::run(args),
        Verb::Sign(args) => sign::run(args),
        Verb::Image(args) => image::run(args),
        Verb::Uki(args) => uki::run(args),
        Verb::Install(args) => install::run(args),
        Verb::Status(args) => status::run(args, called_as),
        Verb::Switch(args) => switch::run(args),
        Verb::Upgrade(args) => upgrade::run(args),
        Verb::Rollback(args) => rollback::run(args),
        Verb::Pin(args) => pin::run(args),
        Verb::Prune(args) => prune::run(args),
        Verb::Fsck(args) => fsck::run(args),
        Verb::Storage(args) => storage::run(args),
        Verb::Etc(args) => etc::run(args),
        Verb::Internals(args) => internals::run(args),
    };
    Ok(outcome?)
}

/// The JSON form of a result: what kind it is, then its fields.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, T> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    content: &'a T,
}

fn print_json<T: serde::Serialize>(kind: &'static str, content: &T) -> anyhow::Result<()> {
    print!("{}", crate::ui::json(&Document { api_version: "cfs-host/v1", kind, content })?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
