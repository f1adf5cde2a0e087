//! Arguments of every verb that builds a UKI.

use std::path::{Path, PathBuf};

use super::signers::SecureBootSigner;
use crate::boot::init_program::is_static;
use crate::fault::BadUsage;
use crate::flow::uki::Ingredients;
use crate::seal::uki::check_argument;
use crate::sys::Sys;
use crate::trust::keys::KeyDir;
use crate::trust::policy_file::LoadedPolicy;
use crate::trust::signer::Signer;

const INSTALLED_INIT: &str = "/usr/lib/cfs-host/cfs-init";

#[derive(Debug, clap::Args)]
pub(super) struct IngredientArgs {
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
    #[command(flatten)]
    secure_boot: SecureBootSigner,
}

/// What the arguments name, read and checked.
pub(super) struct Opened<'a> {
    pub(super) keys: KeyDir,
    policy: LoadedPolicy,
    signer: Box<dyn Signer + 'a>,
    init: Vec<u8>,
    arguments: Vec<String>,
    modules: Vec<String>,
}

impl IngredientArgs {
    pub(super) fn open(self, sys: &Sys) -> anyhow::Result<Opened<'_>> {
        for argument in &self.karg {
            check_argument(argument).map_err(|why| BadUsage(format!("--karg {argument:?}: {why}")))?;
        }
        let keys = KeyDir::new(&self.keys);
        Ok(Opened {
            policy: LoadedPolicy::load(&self.policy.unwrap_or_else(|| keys.policy()))?,
            signer: self.secure_boot.open(&keys, sys)?,
            init: read_init(&self.init.unwrap_or_else(default_init))?,
            arguments: self.karg,
            modules: self.module,
            keys,
        })
    }
}

impl Opened<'_> {
    pub(super) fn ingredients(&self) -> Ingredients<'_> {
        Ingredients {
            policy: &self.policy,
            signer: self.signer.as_ref(),
            init: &self.init,
            arguments: &self.arguments,
            modules: &self.modules,
        }
    }
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
