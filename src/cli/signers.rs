//! Whom to trust, and which keys sign: key files, or commands that reach the keys.

use std::path::{Path, PathBuf};

use crate::flow::verify::Trust;
use crate::sys::Sys;
use crate::trust::certificate::Certificate;
use crate::trust::efi_auth::Variable;
use crate::trust::keys::KeyDir;
use crate::trust::policy_file::LoadedPolicy;
use crate::trust::signer::{KeyFile, SignCommand, Signer};
use crate::trust::Result;

/// The image signer, a key file unless a command is given.
#[derive(Debug, clap::Args)]
pub(super) struct ImageSigner {
    /// Sign the image by this command instead of DIR/image/image.key: it is run by `sh -c`, takes the message on its
    /// standard input and prints the signature, ECDSA in DER: `openssl dgst -sha256 -sign KEY` is one
    #[arg(long, value_name = "COMMAND")]
    image_sign_command: Option<String>,
    /// The certificate of the image signing key, if it is not DIR/image/image.crt
    #[arg(long, value_name = "FILE")]
    image_certificate: Option<PathBuf>,
}

impl ImageSigner {
    pub(super) fn open<'a>(&self, keys: &KeyDir, sys: &'a Sys) -> Result<Box<dyn Signer + 'a>> {
        let certificate = self.image_certificate.clone().unwrap_or_else(|| keys.image_certificate());
        signer(self.image_sign_command.as_deref(), &keys.image_key(), &certificate, sys)
    }
}

/// The signer of UKI and loader, likewise.
#[derive(Debug, clap::Args)]
pub(super) struct SecureBootSigner {
    /// Sign UKI and loader by this command instead of DIR/secureboot/db.key: RSA, PKCS#1 v1.5, SHA-256
    #[arg(long, value_name = "COMMAND")]
    sb_sign_command: Option<String>,
    /// The certificate of the Secure Boot signing key, if it is not DIR/secureboot/db.crt
    #[arg(long, value_name = "FILE")]
    sb_certificate: Option<PathBuf>,
}

impl SecureBootSigner {
    pub(super) fn open<'a>(&self, keys: &KeyDir, sys: &'a Sys) -> Result<Box<dyn Signer + 'a>> {
        let certificate = self.sb_certificate.clone().unwrap_or_else(|| keys.secure_boot(Variable::Db, "crt"));
        signer(self.sb_sign_command.as_deref(), &keys.secure_boot(Variable::Db, "key"), &certificate, sys)
    }
}

fn signer<'a>(command: Option<&str>, key: &Path, certificate: &Path, sys: &'a Sys) -> Result<Box<dyn Signer + 'a>> {
    Ok(match command {
        Some(command) => Box::new(SignCommand::new(command, certificate, sys)?),
        None => Box::new(KeyFile::load(key, certificate)?),
    })
}

/// Whom the caller trusts.
#[derive(Debug, clap::Args)]
pub(super) struct TrustArgs {
    /// Trust this key directory: its policy, beside that of the image's own UKI, and its db certificate for UKI and loader
    #[arg(long, value_name = "DIR")]
    pub(super) keys: Option<PathBuf>,
    /// Trust this policy file (instead of DIR/policy.json)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl TrustArgs {
    pub(super) fn load(&self) -> Result<Trust> {
        let keys = self.keys.as_deref().map(KeyDir::new);
        let policy = self.policy.clone().or_else(|| keys.as_ref().map(KeyDir::policy));
        let db = keys.map(|keys| Certificate::load(&keys.secure_boot(Variable::Db, "crt"))).transpose()?;
        Ok(Trust {
            policy: policy.map(|path| LoadedPolicy::load(&path)).transpose()?,
            db: db.into_iter().collect(),
            ..Trust::default()
        })
    }
}
