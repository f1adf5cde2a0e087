//! `cfs-host fsck`.

use super::print_json;
use super::sysroot::Sysroot;
use crate::flow::fsck::{fsck, require};
use crate::ui;

/// Check the store and what deployments need of it: every object, stream, image and name
///
/// Reads only. Exits with 6 if anything is wrong, one line for each finding.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sysroot: Sysroot,
    /// Read the content of objects too whose digest the kernel measures by fs-verity
    #[arg(long)]
    contents: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Checks, tells, fails if something is wrong.
pub fn run(args: Args) -> anyhow::Result<()> {
    let checked = fsck(args.sysroot.path(), args.contents)?;
    match args.json {
        true => print_json("Fsck", &checked)?,
        false => print!("{}", ui::fsck::checked(&checked)),
    }
    Ok(require(args.sysroot.path(), &checked)?)
}
