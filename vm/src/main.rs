//! `cfs-vm`: the harness on the command line, for `ci/demo` and for looking at one machine by hand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cli;

/// Virtual machines under enforced Secure Boot.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Boot(cli::boot::Args),
    Firmware(cli::firmware::Args),
    Tamper(cli::tamper::Args),
    Scenario(cli::scenario::Args),
    Road(cli::road::Args),
    Share(cli::share::Args),
    Play(cli::play::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Boot(args) => cli::boot::run(&args),
        Verb::Firmware(args) => cli::firmware::run(&args),
        Verb::Tamper(args) => cli::tamper::run(&args),
        Verb::Scenario(args) => cli::scenario::run(&args),
        Verb::Road(args) => cli::road::run(&args),
        Verb::Share(args) => cli::share::run(&args),
        Verb::Play(args) => cli::play::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cfs-vm: {error:#}");
            ExitCode::FAILURE
        }
    }
}
