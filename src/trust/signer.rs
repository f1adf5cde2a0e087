//! Who signs: a key file, or a command that reaches the key wherever it is (security rule 21).

use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign;

use super::certificate::{Algorithm, Certificate};
use super::{read, Error, Result};
use crate::sys::Sys;

/// A certificate and a way to its private key.
pub trait Signer {
    /// Whose signature it will be.
    fn certificate(&self) -> &Certificate;

    /// The raw signature over the message: ECDSA in DER, or RSA PKCS#1 v1.5.
    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>>;

    /// What messages call the key.
    fn describe(&self) -> String;

    /// A signature that the certificate confirms: a wrong key is found here and not at the next boot.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.raw_signature(message)?;
        if confirms(self.certificate(), message, &signature)? {
            return Ok(signature);
        }
        Err(Error::Mismatch(self.describe(), self.certificate().name().to_owned()))
    }
}

/// A private key in a PEM file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    certificate: Certificate,
    key: PKey<Private>,
}

impl KeyFile {
    /// Reads an unencrypted key; the passphrase of an encrypted one would have to come from somewhere: use a command.
    pub fn load(key: &Path, certificate: &Path) -> Result<Self> {
        let pem = read(key)?;
        let parsed = PKey::private_key_from_pem_callback(&pem, |_| Ok(0)).map_err(|error| Error::File {
            path: key.to_owned(),
            why: format!("not an unencrypted private key in PEM ({error}); for any other key give a signing command"),
        })?;
        Ok(Self { path: key.to_owned(), certificate: Certificate::load(certificate)?, key: parsed })
    }
}

impl Signer for KeyFile {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>> {
        sign::Signer::new(hash(self.certificate.algorithm()), &self.key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(message))
            .map_err(|error| Error::OpenSsl("sign", error))
    }

    fn describe(&self) -> String {
        format!("the key {}", self.path.display())
    }
}

/// A command that is run by `sh -c`, with the message on its standard input and the signature on its standard output.
/// `openssl dgst -sha256 -sign KEY` is one; with a provider or engine it reaches a token.
#[derive(Debug)]
pub struct SignCommand<'a> {
    command: String,
    certificate: Certificate,
    sys: &'a Sys,
}

impl<'a> SignCommand<'a> {
    /// The certificate says what the command is expected to do.
    pub fn new(command: &str, certificate: &Path, sys: &'a Sys) -> Result<Self> {
        Ok(Self { command: command.to_owned(), certificate: Certificate::load(certificate)?, sys })
    }
}

impl Signer for SignCommand<'_> {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>> {
        Ok(self.sys.run(Command::new("sh").arg("-c").arg(&self.command), message)?.stdout)
    }

    fn describe(&self) -> String {
        format!("the signing command {:?}", self.command)
    }
}

/// Whether the certificate's key made this signature.
pub fn confirms(certificate: &Certificate, message: &[u8], signature: &[u8]) -> Result<bool> {
    let mut verifier = sign::Verifier::new(hash(certificate.algorithm()), certificate.key())
        .map_err(|error| Error::OpenSsl("use the certificate's key", error))?;
    // An error is a signature of another form or length: not this key's.
    Ok(verifier.verify_oneshot(signature, message).unwrap_or(false))
}

fn hash(algorithm: Algorithm) -> MessageDigest {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::Rsa => MessageDigest::sha256(),
        Algorithm::EcdsaP384 => MessageDigest::sha384(),
    }
}
