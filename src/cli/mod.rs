//! One file per verb: arguments, the call of a flow, the print-out.

pub mod image;
mod ingredients;
pub mod install;
pub mod keys;
pub mod seal;
pub mod sign;
mod signers;
pub mod status;
mod transport;
pub mod uki;

use clap::{Parser, Subcommand};

use crate::fault::Fault;

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
}

/// Runs one verb.
pub fn run(cli: Cli) -> Result<(), Fault> {
    let outcome = match cli.verb {
        Verb::Keys(args) => keys::run(args),
        Verb::Seal(args) => seal::run(args),
        Verb::Sign(args) => sign::run(args),
        Verb::Image(args) => image::run(args),
        Verb::Uki(args) => uki::run(args),
        Verb::Install(args) => install::run(args),
        Verb::Status(args) => status::run(args),
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
