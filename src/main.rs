//! The `cfs-host` program.

use clap::Parser;

#[derive(Parser)]
enum Verb {
    Install(cfs_host::cli::install::Args),
    Status(cfs_host::cli::status::Args),
}

fn main() -> anyhow::Result<()> {
    match Verb::parse() {
        Verb::Install(args) => cfs_host::cli::install::run(args),
        Verb::Status(args) => cfs_host::cli::status::run(args),
    }
}
