//! Makes signatures and certificates, sound and malformed, for the tests of this crate.

use std::str::FromStr;

use cms::cert::IssuerAndSerialNumber;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos};
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, ID_SHA_256, ID_SHA_384, SECP_256_R_1, SECP_384_R_1,
};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{BitString, OctetString, SetOfVec};
use der::{Any, Decode, Encode};
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256, Sha384};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectKeyIdentifier};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Validity;
use x509_cert::{Certificate, TbsCertificate, Version};

use crate::claims::{Claims, Role, OID_CLAIMS, OID_EKU_IMAGE_SIGNING};
use crate::digest::Digest;
use crate::policy::{Policy, Signer};

/// A private key.
#[derive(Clone)]
pub(crate) enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

/// A person with a key and a certificate.
#[derive(Clone)]
pub(crate) struct Person {
    pub name: String,
    pub key: Key,
    pub certificate: Certificate,
}

/// The image that the tests sign.
pub(crate) const IMAGE: Digest = Digest::new([0x1a; 32]);

/// What the tests' signatures claim, unless a test says otherwise; the policy of [`policy`] accepts it.
pub(crate) fn claims() -> Claims {
    Claims {
        role: Role::HostBootable,
        product: "example".into(),
        security_version: 1,
        digest: IMAGE,
        uki_ids: vec![Digest::new([9; 32]), Digest::new([2; 32])],
    }
}

/// A policy that trusts these people.
pub(crate) fn policy(people: &[&Person], threshold: u8) -> Policy {
    let signers = people.iter().map(|person| Signer { name: person.name.clone(), certificate: person.der() }).collect();
    Policy { signers, threshold, ..crate::policy::tests::example() }
}

pub(crate) fn p256(seed: u8) -> Key {
    Key::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
}

pub(crate) fn p384(seed: u8) -> Key {
    Key::P384(p384::ecdsa::SigningKey::from_slice(&[seed; 48]).unwrap())
}

pub(crate) fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: None }
}

pub(crate) fn extension<T: AssociatedOid + Encode>(value: &T, critical: bool) -> Extension {
    Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der().unwrap()).unwrap() }
}

/// An OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Any {
    Any::new(der::Tag::OctetString, bytes).unwrap()
}

pub(crate) fn attribute(oid: ObjectIdentifier, values: &[Any]) -> Attribute {
    Attribute { oid, values: SetOfVec::try_from(values.to_vec()).unwrap() }
}

impl Key {
    fn point(&self) -> Vec<u8> {
        match self {
            Key::P256(key) => key.verifying_key().to_encoded_point(false).as_bytes().to_vec(),
            Key::P384(key) => key.verifying_key().to_encoded_point(false).as_bytes().to_vec(),
        }
    }

    fn algorithms(&self) -> (ObjectIdentifier, ObjectIdentifier, ObjectIdentifier) {
        match self {
            Key::P256(_) => (ID_SHA_256, ECDSA_WITH_SHA_256, SECP_256_R_1),
            Key::P384(_) => (ID_SHA_384, ECDSA_WITH_SHA_384, SECP_384_R_1),
        }
    }

    fn hash(&self, content: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(_) => Sha256::digest(content).to_vec(),
            Key::P384(_) => Sha384::digest(content).to_vec(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Key::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
        }
    }
}

impl Person {
    /// Somebody with a sound certificate; `serial` and `name` tell people apart.
    pub(crate) fn new(name: &str, serial: u8, key: Key) -> Self {
        let (_, signing, curve) = key.algorithms();
        let subject = Name::from_str(&format!("CN={name}")).unwrap();
        let tbs = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&[serial]).unwrap(),
            signature: algorithm(signing),
            issuer: subject.clone(),
            validity: Validity::from_now(std::time::Duration::from_secs(1)).unwrap(),
            subject,
            subject_public_key_info: SubjectPublicKeyInfoOwned {
                algorithm: AlgorithmIdentifierOwned { oid: ID_EC_PUBLIC_KEY, parameters: Some(Any::from(&curve)) },
                subject_public_key: BitString::from_bytes(&key.point()).unwrap(),
            },
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(vec![
                extension(&ExtendedKeyUsage(vec![OID_EKU_IMAGE_SIGNING]), true),
                extension(&SubjectKeyIdentifier(OctetString::new(vec![serial; 20]).unwrap()), false),
            ]),
        };
        let signature = BitString::from_bytes(&key.sign(&tbs.to_der().unwrap())).unwrap();
        let certificate = Certificate { tbs_certificate: tbs, signature_algorithm: algorithm(signing), signature };
        Self { name: name.into(), key, certificate }
    }

    /// The same person with a changed certificate.
    pub(crate) fn with(&self, change: impl FnOnce(&mut TbsCertificate)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.certificate.tbs_certificate);
        changed
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap()
    }

    pub(crate) fn by_issuer(&self) -> SignerIdentifier {
        let tbs = &self.certificate.tbs_certificate;
        SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: tbs.issuer.clone(),
            serial_number: tbs.serial_number.clone(),
        })
    }

    pub(crate) fn by_key_id(&self) -> SignerIdentifier {
        let tbs = &self.certificate.tbs_certificate;
        SignerIdentifier::SubjectKeyIdentifier(tbs.get::<SubjectKeyIdentifier>().unwrap().unwrap().1)
    }

    /// The three attributes that a sound signer signs.
    pub(crate) fn attributes(&self, claims: &Claims, content: &[u8]) -> Vec<Attribute> {
        vec![
            attribute(ID_CONTENT_TYPE, &[Any::from(&ID_DATA)]),
            attribute(ID_MESSAGE_DIGEST, &[octets(&self.key.hash(content))]),
            attribute(OID_CLAIMS, &[Any::from_der(&claims.to_der().unwrap()).unwrap()]),
        ]
    }

    /// Signs these attributes, whatever they are.
    pub(crate) fn sign_attributes(&self, attributes: Vec<Attribute>) -> SignerInfo {
        let (hash, signing, _) = self.key.algorithms();
        let attributes = SetOfVec::try_from(attributes).unwrap();
        SignerInfo {
            version: CmsVersion::V1,
            sid: self.by_issuer(),
            digest_alg: algorithm(hash),
            signature: OctetString::new(self.key.sign(&attributes.to_der().unwrap())).unwrap(),
            signed_attrs: Some(attributes),
            signature_algorithm: algorithm(signing),
            unsigned_attrs: None,
        }
    }

    /// Signs the claims as a sound signer does.
    pub(crate) fn sign(&self, claims: &Claims) -> SignerInfo {
        self.sign_attributes(self.attributes(claims, &claims.digest.formatted()))
    }
}

/// The signature file of these signers.
pub(crate) fn bundle(signers: Vec<SignerInfo>) -> Vec<u8> {
    bundle_with(signers, |_| ())
}

/// The signature file of these signers, after a change.
pub(crate) fn bundle_with(signers: Vec<SignerInfo>, change: impl FnOnce(&mut SignedData)) -> Vec<u8> {
    let mut digest_algorithms: Vec<_> = signers.iter().map(|signer| signer.digest_alg.clone()).collect();
    digest_algorithms.sort_by_key(|one| one.oid);
    digest_algorithms.dedup();
    let mut data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(digest_algorithms).unwrap(),
        encap_content_info: EncapsulatedContentInfo { econtent_type: ID_DATA, econtent: None },
        certificates: None,
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(signers).unwrap()),
    };
    change(&mut data);
    wrap(ID_SIGNED_DATA, &data.to_der().unwrap())
}

/// A `ContentInfo` around these bytes.
pub(crate) fn wrap(content_type: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    ContentInfo { content_type, content: Any::from_der(content).unwrap() }.to_der().unwrap()
}
