//! The `cfs-host` program.

use std::process::ExitCode;

use cfs_host::cli::called_as::CalledAs;
use cfs_host::cli::{elsewhere, run};

fn main() -> ExitCode {
    let called_as = CalledAs::of(std::env::args_os().next().as_deref());
    match run(elsewhere::parse(), called_as) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(fault.exit_code())
        }
    }
}
