//! A UKI taken apart: its sections, the policy inside its `/init`, and its identity (`docs/formats.md`, "UKI").
//!
//! Whether it is signed is [`super::authenticode`]'s question; this asks whether it is what it says.

use cfs_init::policy::{BadPolicy, Policy};
use sha2::{Digest as _, Sha256};

use super::cpio::{self, BadCpio, Entry};
use super::init_program::{self, BadInit};
use super::pe::{BadPe, Pe};
use crate::model::{Digest, UkiId};

/// Why a UKI is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadUki {
    /// Not a PE file.
    #[error(transparent)]
    Pe(#[from] BadPe),
    /// Not a UKI, or not one of ours.
    #[error("it has no section {0}: it is not a UKI of cfs-host")]
    Missing(&'static str),
    /// The initrd cannot be read.
    #[error(transparent)]
    Cpio(#[from] BadCpio),
    /// The initrd's program is none of ours.
    #[error("its /init: {0}")]
    Init(#[from] BadInit),
    /// The policy is not valid.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
    /// Parts that do not belong together.
    #[error("{0}")]
    Inconsistent(String),
}

/// The sections of a UKI.
#[derive(Clone, Copy, Debug)]
pub struct Uki<'a> {
    /// `.osrel`.
    pub osrel: &'a [u8],
    /// `.uname`.
    pub uname: &'a [u8],
    /// `.cmdline`.
    pub cmdline: &'a [u8],
    /// `.initrd`.
    pub initrd: &'a [u8],
    /// `.linux`.
    pub kernel: &'a [u8],
    /// The PE machine.
    pub machine: u16,
}

/// What [`uki_id`] covers.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The command line.
    pub cmdline: &'a str,
    /// `/init` before the policy is filled in.
    pub init: &'a [u8],
    /// The kernel.
    pub kernel: &'a [u8],
    /// The policy; its `uki_id` does not count.
    pub policy: &'a Policy,
    /// os-release.
    pub osrel: &'a [u8],
}

impl<'a> Uki<'a> {
    /// Finds the sections; each must be there once.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadUki> {
        let pe = Pe::parse(bytes)?;
        let section = |name: &'static str| pe.contents(name)?.ok_or(BadUki::Missing(name));
        Ok(Self {
            osrel: section(".osrel")?,
            uname: section(".uname")?,
            cmdline: section(".cmdline")?,
            initrd: section(".initrd")?,
            kernel: section(".linux")?,
            machine: pe.machine()?,
        })
    }

    /// The policy that its `/init` obeys, if all of the UKI agrees with it: the command line, the initrd's files,
    /// the uki-id.
    pub fn policy(&self) -> Result<Policy, BadUki> {
        let entries = cpio::read(self.initrd)?;
        let init = entries.iter().find(|entry| entry.path == "init").ok_or(BadUki::Missing("init in its initrd"))?;
        let policy = Policy::parse(init_program::policy_json(init.data)?)?;
        if self.cmdline != policy.cmdline.as_bytes() {
            return Err(BadUki::Inconsistent("its command line is not the one that its policy names".into()));
        }
        check_files(&entries, &policy)?;
        let unfilled = init_program::unfilled(init.data)?;
        let inputs = Inputs {
            cmdline: &policy.cmdline,
            init: &unfilled,
            kernel: self.kernel,
            policy: &policy,
            osrel: self.osrel,
        };
        let id = uki_id(&inputs)?;
        if id != policy.uki_id {
            let why =
                format!("its uki-id is {id}, its policy says {}: it was changed after it was built", policy.uki_id);
            return Err(BadUki::Inconsistent(why));
        }
        Ok(policy)
    }
}

/// The policy of a UKI file that agrees with itself; see [`Uki::policy`].
pub fn embedded_policy(uki: &[u8]) -> Result<Policy, BadUki> {
    Uki::parse(uki)?.policy()
}

/// The identity of a UKI: SHA-256 over the digests of its inputs.
pub fn uki_id(inputs: &Inputs<'_>) -> Result<UkiId, BadPolicy> {
    let policy = Policy { uki_id: Digest::new([0; Digest::LEN]), ..inputs.policy.clone() }.to_json()?;
    let parts: [(&str, &[u8]); 5] = [
        ("cmdline", inputs.cmdline.as_bytes()),
        ("init", inputs.init),
        ("kernel", inputs.kernel),
        ("policy", &policy),
        ("osrel", inputs.osrel),
    ];
    let mut text = "cfs-host uki-id v1\n".to_owned();
    for (name, bytes) in parts {
        text.push_str(&format!("{name} {}\n", sha256(bytes)));
    }
    Ok(sha256(text.as_bytes()))
}

/// Plain SHA-256, as the policy lists it for the initrd's files.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

/// Every file but `/init` is listed with its digest, and every listed file is there.
fn check_files(entries: &[Entry<'_>], policy: &Policy) -> Result<(), BadUki> {
    let files = || entries.iter().filter(|entry| !entry.is_directory() && entry.path != "init");
    for entry in files() {
        let listed = policy.files.iter().find(|file| file.path.strip_prefix('/') == Some(entry.path));
        if listed.is_none_or(|file| file.sha256 != sha256(entry.data)) {
            let why = format!("its initrd holds /{}, which its policy does not list with this content", entry.path);
            return Err(BadUki::Inconsistent(why));
        }
    }
    let missing = policy.files.iter().find(|file| files().all(|entry| file.path.strip_prefix('/') != Some(entry.path)));
    match missing {
        Some(file) => Err(BadUki::Inconsistent(format!("its initrd lacks {}, which its policy lists", file.path))),
        None => Ok(()),
    }
}
