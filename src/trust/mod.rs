//! Who is believed: keys and policy files on the build side; the check itself is cfs-init's.
//!
//! Takes key directories, policy files, signing commands; gives certificates, policies, signatures. Never decides
//! whether an image boots. On disk: a key directory (`docs/keys.md`).

pub mod certificate;
pub mod cms;
pub mod efi_auth;
pub mod fsverity;
pub mod keys;
pub mod policy_file;
pub mod signer;

use std::path::PathBuf;

/// Why there is no key, policy or signature.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A key directory is complete or half there.
    #[error("{} exists already: keys are never overwritten; choose another directory or move it away", .0.display())]
    Exists(PathBuf),
    /// A key of a kind that nobody would accept.
    #[error("the certificate {0} holds a key that cannot be used here: {1}")]
    Key(String, &'static str),
    /// The signature is not by the certificate's key.
    #[error("{0} gave a signature that the certificate {1} does not confirm: key and certificate do not belong together, or the signature has another form (ECDSA in DER, RSA PKCS#1 v1.5, with SHA-256 or, for P-384, SHA-384)")]
    Mismatch(String, String),
    /// A signature that should be extended is none of ours.
    #[error("the signature cannot be extended: {0}")]
    Append(String),
    /// A durable operation or a signing command failed.
    #[error(transparent)]
    Sys(#[from] crate::sys::Error),
    /// DER that does not encode or decode.
    #[error("{0}: {1}")]
    Der(&'static str, der::Error),
    /// OpenSSL failed.
    #[error("OpenSSL cannot {0}: {1}")]
    OpenSsl(&'static str, openssl::error::ErrorStack),
    /// Values that no policy or claims may have.
    #[error(transparent)]
    Claims(#[from] cfs_init::claims::BadClaims),
    /// The completed policy is refused by the program that would obey it.
    #[error(transparent)]
    Policy(#[from] cfs_init::policy::BadPolicy),
}

/// What this folder returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads a file that a person named.
pub(crate) fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
