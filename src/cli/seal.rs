//! `cfs-host seal`: an image becomes one that boots verified.

use std::path::{Path, PathBuf};

use super::print_json;
use super::signers::{ImageSigner, SecureBootSigner};
use super::transport::Transport;
use crate::boot::init_program::is_static;
use crate::fault::BadUsage;
use crate::fetch::{self, Options};
use crate::flow::seal::{seal, Request, Sealed};
use crate::model::reference::Reference;
use crate::seal::uki::check_argument;
use crate::sys::Sys;
use crate::trust::keys::KeyDir;
use crate::trust::policy_file::LoadedPolicy;

const INSTALLED_INIT: &str = "/usr/lib/cfs-host/cfs-init";

/// Seal an image: build and sign its UKI, sign the image, add both to it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    source: Reference,
    /// Where the sealed image goes, in the same forms
    destination: Reference,
    /// Key directory, as `keys generate` makes it; keys that a command reaches need not be in it
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The policy, if it is not DIR/policy.json
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A kernel argument to add; may be repeated
    #[arg(long, value_name = "ARGUMENT")]
    karg: Vec<String>,
    /// A kernel module that the initrd needs besides the usual ones; may be repeated
    #[arg(long, value_name = "NAME")]
    module: Vec<String>,
    /// The cfs-init program; by default the one beside this program, else the installed one
    #[arg(long, value_name = "FILE", env = "CFS_INIT")]
    init: Option<PathBuf>,
    /// The new layer's time in seconds since 1970; that of the image's newest file if absent
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    epoch: Option<u64>,
    #[command(flatten)]
    secure_boot: SecureBootSigner,
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
    for argument in &args.karg {
        check_argument(argument).map_err(|why| BadUsage(format!("--karg {argument:?}: {why}")))?;
    }
    let sys = Sys::real();
    let keys = KeyDir::new(&args.keys);
    let policy = LoadedPolicy::load(&args.policy.unwrap_or_else(|| keys.policy()))?;
    let (secure_boot, image) = (args.secure_boot.open(&keys, &sys)?, args.image.open(&keys, &sys)?);
    let init = read_init(&args.init.unwrap_or_else(default_init))?;
    let options = Options::from(args.transport);
    let request = Request {
        destination: &args.destination,
        options: &options,
        policy: &policy,
        secure_boot: secure_boot.as_ref(),
        image: image.as_ref(),
        init: &init,
        arguments: &args.karg,
        modules: &args.module,
        epoch: args.epoch,
    };
    let mut source = fetch::open(&args.source, &options)?;
    let sealed = seal(source.as_mut(), &request, &sys)?;
    match args.json {
        true => print_json("Sealed", &sealed)?,
        false => print(&sealed),
    }
    Ok(())
}

fn default_init() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("cfs-init")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(INSTALLED_INIT))
}

fn read_init(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = crate::trust::read(path)?;
    let refuse = |why: String| crate::trust::Error::File { path: path.to_owned(), why };
    match is_static(&bytes) {
        Ok(true) => Ok(bytes),
        Ok(false) => Err(refuse(
            "it is linked with libraries, which the initrd has none of; build it with ci/build-init".into(),
        ))?,
        Err(error) => Err(refuse(format!("{error}; give the cfs-init program by --init")))?,
    }
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
    if sealed.missing_signatures > 0 {
        let count = sealed.missing_signatures;
        println!("  it does not boot yet: {count} more signatures are needed (cfs-host sign --append)");
    }
}
