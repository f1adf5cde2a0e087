//! The firmware's db and dbx: whether it would start a UKI, asked before the UKI is the only thing to start (rule 17).
//!
//! Format: `EFI_SIGNATURE_LIST`, UEFI specification 32.4.1. The firmware decides; this is a forecast, so what it does not know
//! (other types of signatures) it leaves out.

use std::path::Path;

use openssl::x509::X509;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use uuid::{uuid, Uuid};
use x509_cert::der::{Decode, Encode};

use super::authenticode::{self, embedded_certificates, signer};
use super::efivar;
use super::pe::Pe;

/// `EFI_IMAGE_SECURITY_DATABASE_GUID`.
pub const SECURITY_DATABASE: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const X509_TYPE: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
const SHA256_TYPE: Uuid = uuid!("c1c41626-504c-4092-aca9-41f936934328");
const TBS_TYPES: [(Uuid, usize); 3] = [
    (uuid!("3bd2a492-96c0-4079-b420-fcf98ef103ed"), 32),
    (uuid!("7076876e-80c2-4ee6-aad2-28b349a6865b"), 48),
    (uuid!("446dbf63-2502-4cda-bcfa-2465d2b0fe9d"), 64),
];
/// Type, and the sizes of list, header and signature.
const LIST_HEADER: usize = 28;
/// The owner's GUID before each signature.
const OWNER: usize = 16;

/// The lists of one variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureDb {
    /// Certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Authenticode digests of files.
    pub files: Vec<[u8; 32]>,
    /// Digests over what certificates sign (SHA-256, 384 or 512): revoked ones.
    pub tbs: Vec<Vec<u8>>,
}

/// The variable is not made of signature lists.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} of the firmware is malformed (at byte {1})")]
pub struct Malformed(pub &'static str, pub usize);

impl SignatureDb {
    /// db and dbx as the firmware has them now.
    pub fn of_firmware(root: &Path) -> Result<(Self, Self), Malformed> {
        let read = |name| match efivar::read_large(root, name, SECURITY_DATABASE) {
            Some(variable) => Self::parse(name, &variable.value),
            None => Ok(Self::default()),
        };
        Ok((read("db")?, read("dbx")?))
    }

    /// Parses untrusted bytes; `name` is for the message.
    pub fn parse(name: &'static str, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut db = Self::default();
        let mut at = 0;
        while at < bytes.len() {
            let list = &bytes[at..];
            let (kind, header, size, whole) = list_header(list).ok_or(Malformed(name, at))?;
            for signature in list[LIST_HEADER + header..whole].chunks_exact(size) {
                db.add(kind, &signature[OWNER..]);
            }
            at += whole;
        }
        Ok(db)
    }

    fn add(&mut self, kind: Uuid, data: &[u8]) {
        if kind == X509_TYPE {
            self.certificates.push(data.to_vec());
        } else if kind == SHA256_TYPE {
            self.files.extend(<[u8; 32]>::try_from(data));
        } else if let Some((_, length)) = TBS_TYPES.iter().find(|(known, _)| *known == kind) {
            // The time of revocation follows.
            self.tbs.extend(data.get(..*length).map(<[u8]>::to_vec));
        }
    }
}

/// Type, size of the header, size of a signature, size of the whole list; `None` if they do not fit together.
fn list_header(list: &[u8]) -> Option<(Uuid, usize, usize, usize)> {
    let field = |at: usize| Some(u32::from_le_bytes(list.get(at..at + 4)?.try_into().ok()?) as usize);
    let kind = Uuid::from_bytes_le(list.get(..16)?.try_into().ok()?);
    let (whole, header, size) = (field(16)?, field(20)?, field(24)?);
    let data = whole.checked_sub(LIST_HEADER)?.checked_sub(header)?;
    (size > OWNER && data % size == 0 && whole <= list.len()).then_some((kind, header, size, whole))
}

/// Whether a firmware with these lists would start the file; who signed it.
pub fn bootable(file: &[u8], db: &SignatureDb, dbx: &SignatureDb) -> Result<String, String> {
    let words = |error: authenticode::Error| error.to_string();
    let digest = Pe::parse(file).and_then(|pe| authenticode::digest(&pe)).map_err(|error| error.to_string())?;
    if dbx.files.contains(&digest) {
        return Err("dbx revokes this very file".to_owned());
    }
    let chain = match signer(file, &db.certificates) {
        Ok(index) => vec![db.certificates[index].clone()],
        Err(direct) => {
            let embedded = embedded_certificates(file).map_err(words)?;
            let leaf = signer(file, &embedded).map(|index| embedded[index].clone()).map_err(words)?;
            let issuer = db.certificates.iter().find(|issuer| issued_by(&leaf, issuer));
            let issuer = issuer.ok_or_else(|| format!("{direct} of db"))?.clone();
            vec![leaf, issuer]
        }
    };
    if let Some(revoked) = chain.iter().find(|certificate| is_revoked(certificate, dbx)) {
        return Err(format!("dbx revokes the certificate {}", name(revoked)));
    }
    Ok(name(&chain[0]))
}

/// Whether the issuer's key signed the certificate.
fn issued_by(certificate: &[u8], issuer: &[u8]) -> bool {
    let pair = X509::from_der(certificate).and_then(|leaf| Ok((leaf, X509::from_der(issuer)?.public_key()?)));
    pair.and_then(|(leaf, key)| leaf.verify(&key)).unwrap_or(false)
}

fn is_revoked(certificate: &[u8], dbx: &SignatureDb) -> bool {
    let parsed = x509_cert::Certificate::from_der(certificate);
    let Ok(tbs) = parsed.and_then(|certificate| certificate.tbs_certificate.to_der()) else { return true };
    let digests: [Vec<u8>; 3] =
        [Sha256::digest(&tbs).to_vec(), Sha384::digest(&tbs).to_vec(), Sha512::digest(&tbs).to_vec()];
    dbx.certificates.iter().any(|known| known == certificate) || dbx.tbs.iter().any(|known| digests.contains(known))
}

fn name(certificate: &[u8]) -> String {
    x509_cert::Certificate::from_der(certificate)
        .map_or_else(|_| "?".to_owned(), |certificate| certificate.tbs_certificate.subject.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(kind: Uuid, signatures: &[&[u8]]) -> Vec<u8> {
        let size = OWNER + signatures[0].len();
        let mut list = kind.to_bytes_le().to_vec();
        for field in [LIST_HEADER + size * signatures.len(), 0, size] {
            list.extend_from_slice(&(field as u32).to_le_bytes());
        }
        for signature in signatures {
            list.extend_from_slice(&[7; OWNER]);
            list.extend_from_slice(signature);
        }
        list
    }

    #[test]
    fn lists_of_all_known_types_are_read_and_others_left_out() {
        let hash = [5u8; 32];
        let tbs = [[6u8; 32].as_slice(), &[0; 16]].concat();
        let unknown = Uuid::from_u128(1);
        let bytes = [
            list(X509_TYPE, &[b"cert"]),
            list(SHA256_TYPE, &[&hash, &hash]),
            list(TBS_TYPES[0].0, &[&tbs]),
            list(unknown, &[b"x"]),
        ]
        .concat();
        let db = SignatureDb::parse("db", &bytes).unwrap();
        assert_eq!(
            db,
            SignatureDb { certificates: vec![b"cert".to_vec()], files: vec![hash; 2], tbs: vec![vec![6; 32]] }
        );
        assert_eq!(SignatureDb::parse("db", &bytes[..bytes.len() - 1]), Err(Malformed("db", bytes.len() - 45)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = SignatureDb::parse("db", &bytes);
        }
    }
}
