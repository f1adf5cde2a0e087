//! `cfs-host seal`: an image becomes one that boots verified.

use super::ingredients::IngredientArgs;
use super::print_json;
use super::signers::ImageSigner;
use super::transport::Transport;
use crate::fetch::{self, Options};
use crate::flow::seal::{seal, Request, Sealed};
use crate::model::reference::Reference;
use crate::sys::Sys;
use crate::ui;

/// Seal an image: build and sign its UKI, sign the image, add both to it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    source: Reference,
    /// Where the sealed image goes, in the same forms
    destination: Reference,
    #[command(flatten)]
    uki: IngredientArgs,
    /// The new layer's time in seconds since 1970; that of the image's newest file if absent
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    epoch: Option<u64>,
    #[command(flatten)]
    image: ImageSigner,
    #[command(flatten)]
    transport: Transport,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

/// Seals, says what was made.
pub fn run(args: Args) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let opened = args.uki.open(&sys)?;
    let image = args.image.open(&opened.keys, &sys)?;
    let options = Options::from(args.transport);
    let request = Request {
        destination: &args.destination,
        options: &options,
        uki: &opened.ingredients(),
        image: image.as_ref(),
        epoch: args.epoch,
    };
    let source = fetch::open(&args.source, &options)?;
    let sealed = seal(source.as_ref(), &request, &sys)?;
    match args.json {
        true => print_json("Sealed", &sealed)?,
        false => print(&sealed),
    }
    Ok(())
}

fn print(sealed: &Sealed) {
    for directory in &sealed.added_directories {
        println!("added the empty directory /{directory}");
    }
    println!("{} is sealed", sealed.reference);
    println!("  manifest  {}", sealed.manifest_digest);
    println!("  image     {}", sealed.image);
    println!("  uki-id    {}", sealed.uki_id);
    println!("  kernel    {} with {} modules in the initrd", sealed.kernel, sealed.modules.len());
    println!("  cmdline   {}", sealed.cmdline);
    for reference in &sealed.bound_images {
        println!("  binds     {}", ui::plain(reference));
    }
    if let Some(why) = &sealed.not_bindable {
        println!("  NO HOST WILL TAKE IT: {}", ui::plain(why));
    }
    if sealed.missing_signatures > 0 {
        let count = sealed.missing_signatures;
        println!("  it does not boot yet: {count} more signatures are needed (cfs-host sign --append)");
    }
}
