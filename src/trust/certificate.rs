//! A certificate of a key directory: its bytes, and what signatures need to know of it.

use std::path::Path;

use der::{Decode, Encode};
use openssl::pkey::{Id, PKey, Public};
use openssl::x509::X509;

use super::{read, Error, Result};

/// How the certificate's key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// RSA, PKCS#1 v1.5, with SHA-256: firmware knows nothing else for sure.
    Rsa,
}

/// A parsed X.509 certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    name: String,
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
    key: PKey<Public>,
    algorithm: Algorithm,
}

impl Certificate {
    /// Reads PEM or DER.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let bad = |why: String| Error::File {
            path: path.to_owned(),
            why: format!("{why}; expected one X.509 certificate in PEM or DER"),
        };
        let x509 = if bytes.starts_with(b"-----") { X509::from_pem(&bytes) } else { X509::from_der(&bytes) };
        let der = x509.and_then(|x509| x509.to_der()).map_err(|error| bad(error.to_string()))?;
        Self::from_der(&der)
    }

    /// Parses DER.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        let parsed =
            x509_cert::Certificate::from_der(der).map_err(|error| Error::Der("not an X.509 certificate", error))?;
        let name = common_name(&parsed);
        let key = X509::from_der(der)
            .and_then(|x509| x509.public_key())
            .map_err(|error| Error::OpenSsl("read the certificate", error))?;
        let algorithm = algorithm(&name, &key)?;
        Ok(Self { name, der: der.to_vec(), parsed, key, algorithm })
    }

    /// The common name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its fields.
    pub fn parsed(&self) -> &x509_cert::Certificate {
        &self.parsed
    }

    /// Its public key.
    pub fn key(&self) -> &PKey<Public> {
        &self.key
    }

    /// How its key signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn algorithm(name: &str, key: &PKey<Public>) -> Result<Algorithm> {
    let refuse = |why| Err(Error::Key(name.to_owned(), why));
    match key.id() {
        Id::RSA if key.bits() >= 2048 => Ok(Algorithm::Rsa),
        Id::RSA => refuse("RSA of less than 2048 bits"),
        Id::EC => match key.ec_key().ok().and_then(|key| key.group().curve_name()) {
            Some(openssl::nid::Nid::X9_62_PRIME256V1) => Ok(Algorithm::EcdsaP256),
            Some(openssl::nid::Nid::SECP384R1) => Ok(Algorithm::EcdsaP384),
            _ => refuse("a curve other than P-256 and P-384"),
        },
        _ => refuse("neither ECDSA nor RSA"),
    }
}

/// The subject's common name, else the whole subject.
fn common_name(certificate: &x509_cert::Certificate) -> String {
    let subject = &certificate.tbs_certificate.subject;
    let common_name = subject.0.iter().flat_map(|part| part.0.iter()).find_map(|attribute| {
        let text = (attribute.oid == const_oid::db::rfc4519::CN).then(|| attribute.value.value().to_vec())?;
        String::from_utf8(text).ok()
    });
    common_name.unwrap_or_else(|| match subject.to_der() {
        Ok(der) if der.len() > 2 => subject.to_string(),
        _ => "(without a name)".to_owned(),
    })
}
