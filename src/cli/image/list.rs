//! `cfs-host image list`.

use crate::cli::print_json;
use crate::cli::sysroot::Sysroot;
use crate::flow::images::list;
use crate::model::image::Images;
use crate::ui;

/// List the images that tags, deployments and `image share` keep in the store
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sysroot: Sysroot,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Lists.
pub fn run(args: Args) -> anyhow::Result<()> {
    let images = list(&args.sysroot.store()?, args.sysroot.path())?;
    match args.json {
        true => print_json("ImageList", &Images { images })?,
        false => print!("{}", ui::image::list(&images)),
    }
    Ok(())
}
