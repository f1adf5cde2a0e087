//! The policy's signers: their certificates and keys (security rule 13).
//!
//! A certificate is pinned: it lies in the signed `/init`, so no chain is built, no signature on it is
//! checked, and `notAfter` is ignored (an initrd has no clock to believe). What it says about its own
//! use is obeyed all the same, so that a key made for something else never signs images by mistake.

use cms::signed_data::SignerIdentifier;
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, ID_SHA_256, ID_SHA_384, SECP_256_R_1, SECP_384_R_1,
};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::OctetString;
use der::Decode;
use p256::ecdsa::signature::Verifier;
use sha2::{Digest as _, Sha256, Sha384};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::{Certificate, TbsCertificate, Version};

use crate::claims::OID_EKU_IMAGE_SIGNING;
use crate::policy::{Policy, Signer};
use crate::profile::Statement;
use crate::refusal::Refusal;

/// Somebody whom the policy trusts to sign images.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// For messages.
    pub name: String,
    /// Who they are (m-of-n counts keys, not certificates).
    pub key: PublicKey,
    issuer: Name,
    serial: SerialNumber,
    key_id: Option<OctetString>,
}

/// A key that may sign, with the one hash that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// ECDSA P-256 with SHA-256.
    P256(p256::ecdsa::VerifyingKey),
    /// ECDSA P-384 with SHA-384.
    P384(p384::ecdsa::VerifyingKey),
}

/// All signers of the policy; one bad certificate refuses the policy.
pub fn trusted(policy: &Policy) -> Result<Vec<Trusted>, Refusal> {
    policy.signers.iter().map(Trusted::new).collect()
}

impl Trusted {
    fn new(signer: &Signer) -> Result<Self, Refusal> {
        let refuse = |why: String| {
            Refusal::new(13, format!("the policy's certificate of {:?} can not sign images: {why}", signer.name))
        };
        let certificate = Certificate::from_der(&signer.certificate).map_err(|bad| refuse(bad.to_string()))?;
        let tbs = certificate.tbs_certificate;
        if let Some(why) = unfit(&tbs).map_err(|bad| refuse(bad.to_string()))? {
            return Err(refuse(why.to_owned()));
        }
        let key_id = tbs.get::<SubjectKeyIdentifier>().map_err(|bad| refuse(bad.to_string()))?;
        let key = PublicKey::of(&tbs).ok_or_else(|| refuse("its key is neither ECDSA P-256 nor P-384".to_owned()))?;
        Ok(Self {
            name: signer.name.clone(),
            key,
            issuer: tbs.issuer,
            serial: tbs.serial_number,
            key_id: key_id.map(|(_, id)| id.0),
        })
    }

    /// Whether the signature says that it is theirs; proves nothing.
    pub fn is_named_by(&self, signer: &SignerIdentifier) -> bool {
        match signer {
            SignerIdentifier::IssuerAndSerialNumber(id) => id.issuer == self.issuer && id.serial_number == self.serial,
            SignerIdentifier::SubjectKeyIdentifier(id) => self.key_id.as_ref() == Some(&id.0),
        }
    }
}

impl PublicKey {
    fn of(tbs: &TbsCertificate) -> Option<Self> {
        let info = &tbs.subject_public_key_info;
        let curve = info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
        let point = info.subject_public_key.as_bytes()?;
        match (info.algorithm.oid, curve) {
            (ID_EC_PUBLIC_KEY, SECP_256_R_1) => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P256),
            (ID_EC_PUBLIC_KEY, SECP_384_R_1) => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P384),
            _ => None,
        }
    }

    /// Whether this key signed the statement, with the algorithms that go with it.
    pub fn signed(&self, statement: &Statement) -> bool {
        let algorithms = (statement.digest_algorithm, statement.signature_algorithm);
        match self {
            Self::P256(key) => {
                algorithms == (ID_SHA_256, ECDSA_WITH_SHA_256)
                    && p256::ecdsa::Signature::from_der(&statement.signature)
                        .is_ok_and(|signature| key.verify(&statement.signed, &signature).is_ok())
            }
            Self::P384(key) => {
                algorithms == (ID_SHA_384, ECDSA_WITH_SHA_384)
                    && p384::ecdsa::Signature::from_der(&statement.signature)
                        .is_ok_and(|signature| key.verify(&statement.signed, &signature).is_ok())
            }
        }
    }

    /// The hash of the signed content that goes with this key.
    pub fn message_digest(&self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(_) => Sha256::digest(content).to_vec(),
            Self::P384(_) => Sha384::digest(content).to_vec(),
        }
    }
}

/// Why a certificate must not sign images; `None` if it may.
fn unfit(tbs: &TbsCertificate) -> der::Result<Option<&'static str>> {
    const KNOWN: [ObjectIdentifier; 3] = [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID];
    let critical = |unknown: &x509_cert::ext::Extension| unknown.critical && !KNOWN.contains(&unknown.extn_id);
    let extensions = tbs.extensions.as_deref().unwrap_or_default();
    let times = |id| extensions.iter().filter(|one| one.extn_id == id).count();
    if extensions.iter().any(|one| times(one.extn_id) > 1) {
        return Ok(Some("it has an extension twice"));
    }
    let usage = tbs.get::<ExtendedKeyUsage>()?;
    let may_sign = tbs.get::<KeyUsage>()?.is_none_or(|(_, usage)| usage.digital_signature());
    let rules = [
        (tbs.version != Version::V3, "it is not of version 3"),
        (extensions.iter().any(critical), "it has a critical extension that is not known here"),
        (tbs.get::<BasicConstraints>()?.is_some_and(|(_, is)| is.ca), "it is one of a certificate authority"),
        (!may_sign, "its key usage does not allow digital signatures"),
        (
            !usage.is_some_and(|(_, usage)| usage.0.contains(&OID_EKU_IMAGE_SIGNING)),
            "it lacks the extended key usage for image signing (docs/formats.md)",
        ),
    ];
    Ok(rules.iter().find(|(broken, _)| *broken).map(|(_, why)| *why))
}
