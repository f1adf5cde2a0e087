//! Authenticode: the signature that firmware checks on a loader or UKI (security rules 4 and 17).
//!
//! Signing takes two steps, so that the key may be anywhere: [`prepare`] gives the bytes to be signed,
//! [`Unsigned::attach`] takes the signature. SHA-256, one signer, no time in it: the same input and key give the
//! same file. References: Microsoft's "Windows Authenticode Portable Executable Signature Format", UEFI 32.2.4.

use authenticode::{
    authenticode_digest, AttributeCertificateIterator, AuthenticodeSignature, DigestInfo,
    SpcAttributeTypeAndOptionalValue, SpcIndirectDataContent, SPC_INDIRECT_DATA_OBJID,
};
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::db::{rfc5911, rfc5912};
use const_oid::ObjectIdentifier;
use der::asn1::{Null, OctetString, SetOfVec};
use der::{Any, Decode, Encode, SliceReader};
use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use openssl::x509::X509;
use sha2::{Digest as _, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use x509_cert::Certificate;

use super::pe::{BadPe, Pe};

const SPC_PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
/// `SpcPeImageData`: no flags, and the file link that every signer writes and nobody reads.
const PE_IMAGE_DATA: [u8; 11] = [0x30, 0x09, 0x03, 0x01, 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00];
const REVISION_2: u16 = 0x0200;
const PKCS_SIGNED_DATA: u16 = 0x0002;

/// Why a file cannot be signed, or its signature is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a PE file of the right form.
    #[error(transparent)]
    Pe(#[from] BadPe),
    /// No DER, or not of the right shape.
    #[error("its signature or the certificate is malformed: {0}")]
    Der(#[from] der::Error),
    /// OpenSSL does not take the certificate.
    #[error("the certificate is not usable: {0}")]
    Certificate(#[from] openssl::error::ErrorStack),
    /// Nothing to check.
    #[error("it is not signed")]
    NotSigned,
    /// Signed, but by none of the certificates.
    #[error("{0}")]
    NotBelieved(String),
}

/// A file about to be signed.
#[derive(Debug)]
pub struct Unsigned<'a> {
    pe: Pe<'a>,
    bytes: Vec<u8>,
    certificate: Certificate,
    content: Any,
    attributes: SignedAttributes,
    message: Vec<u8>,
}

/// Computes what must be signed; an older signature is dropped.
pub fn prepare<'a>(pe: &'a [u8], certificate: &[u8]) -> Result<Unsigned<'a>, Error> {
    let certificate = Certificate::from_der(certificate)?;
    let pe = Pe::parse(pe)?;
    let bytes = pe.unsigned()?;
    let content = SpcIndirectDataContent {
        data: SpcAttributeTypeAndOptionalValue { value_type: SPC_PE_IMAGE_DATA, value: Any::from_der(&PE_IMAGE_DATA)? },
        message_digest: DigestInfo {
            digest_algorithm: sha256()?,
            digest: OctetString::new(digest(&Pe::parse(&bytes)?)?)?,
        },
    };
    let content = Any::encode_from(&content)?;
    // PKCS#7 1.5, 9.3: the digest is over the content's value, without tag and length.
    let message_digest = OctetString::new(Sha256::digest(content.value()).to_vec())?;
    let attributes = SetOfVec::try_from(vec![
        attribute(rfc5911::ID_CONTENT_TYPE, Any::encode_from(&SPC_INDIRECT_DATA_OBJID)?)?,
        attribute(rfc5911::ID_MESSAGE_DIGEST, Any::encode_from(&message_digest)?)?,
    ])?;
    let message = attributes.to_der()?;
    Ok(Unsigned { pe, bytes, certificate, content, attributes, message })
}

impl Unsigned<'_> {
    /// What the key signs, with RSA PKCS#1 v1.5 and SHA-256.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The signed file.
    pub fn attach(self, signature: &[u8]) -> Result<Vec<u8>, Error> {
        let tbs = &self.certificate.tbs_certificate;
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: tbs.issuer.clone(),
                serial_number: tbs.serial_number.clone(),
            }),
            digest_alg: sha256()?,
            signed_attrs: Some(self.attributes),
            signature_algorithm: with_null(rfc5912::RSA_ENCRYPTION)?,
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        let signed_data = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::try_from(vec![sha256()?])?,
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: SPC_INDIRECT_DATA_OBJID,
                econtent: Some(self.content),
            },
            certificates: Some(CertificateSet(SetOfVec::try_from(vec![CertificateChoices::Certificate(
                self.certificate,
            )])?)),
            crls: None,
            signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
        };
        let content_info =
            ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content: Any::encode_from(&signed_data)? };
        let table = win_certificate(&content_info.to_der()?)?;
        Ok(self.pe.with_signature(self.bytes, &table)?)
    }
}

/// `WIN_CERTIFICATE`: length, revision, type, data; padded to 8.
fn win_certificate(data: &[u8]) -> Result<Vec<u8>, BadPe> {
    let length = u32::try_from(data.len() + 8).map_err(|_| BadPe::TooLarge)?;
    let mut table = length.to_le_bytes().to_vec();
    table.extend_from_slice(&REVISION_2.to_le_bytes());
    table.extend_from_slice(&PKCS_SIGNED_DATA.to_le_bytes());
    table.extend_from_slice(data);
    table.resize(table.len().next_multiple_of(8), 0);
    Ok(table)
}

/// The first of the trusted certificates (DER) that signed the file; the index of it.
///
/// As firmware does with certificates in db, but without chains: the signer's own certificate must be listed.
pub fn signer(pe: &[u8], trusted: &[Vec<u8>]) -> Result<usize, Error> {
    let pe = Pe::parse(pe)?;
    let expected = digest(&pe)?;
    let not_believed = |error: &dyn std::fmt::Display| Error::NotBelieved(error.to_string());
    let table = AttributeCertificateIterator::new(&pe).map_err(|error| not_believed(&error))?;
    let mut why = Error::NotSigned;
    for entry in table.into_iter().flatten() {
        let signature = entry
            .map_err(|error| not_believed(&error))?
            .get_authenticode_signature()
            .map_err(|error| not_believed(&error))?;
        why = Error::NotBelieved("it is signed, but by none of the trusted certificates".into());
        let Some(content) = signature.encapsulated_content() else { continue };
        if signature.digest() != expected || signature.digest_algorithm().oid != rfc5912::ID_SHA_256 {
            return Err(Error::NotBelieved("its contents are not those that were signed".into()));
        }
        for (index, certificate) in trusted.iter().enumerate() {
            if signed_by(&signature, content, certificate)? {
                return Ok(index);
            }
        }
    }
    Err(why)
}

/// The certificates (DER) that the file's signatures carry. They prove nothing: anybody can put any there.
pub fn embedded_certificates(pe: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let pe = Pe::parse(pe)?;
    let malformed = |error: &dyn std::fmt::Display| Error::NotBelieved(error.to_string());
    let table = AttributeCertificateIterator::new(&pe).map_err(|error| malformed(&error))?;
    let mut found = Vec::new();
    for entry in table.into_iter().flatten() {
        let mut reader = SliceReader::new(entry.map_err(|error| malformed(&error))?.data)?;
        let signed_data: SignedData = ContentInfo::decode(&mut reader)?.content.decode_as()?;
        for choice in signed_data.certificates.iter().flat_map(|set| set.0.iter()) {
            if let CertificateChoices::Certificate(certificate) = choice {
                found.push(certificate.to_der()?);
            }
        }
    }
    Ok(found)
}

/// Whether this certificate's key made the signature over the attributes, and these name the content.
fn signed_by(signature: &AuthenticodeSignature, content: &[u8], certificate: &[u8]) -> Result<bool, Error> {
    let info = signature.signer_info();
    let Some(attributes) = &info.signed_attrs else { return Ok(false) };
    let content_digest = Any::encode_from(&OctetString::new(Sha256::digest(content).to_vec())?)?;
    let content_type = Any::encode_from(&SPC_INDIRECT_DATA_OBJID)?;
    let has = |oid, value: &Any| {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
        found.next().is_some_and(|attribute| attribute.values.iter().eq([value])) && found.next().is_none()
    };
    if !has(rfc5911::ID_MESSAGE_DIGEST, &content_digest)
        || !has(rfc5911::ID_CONTENT_TYPE, &content_type)
        || info.digest_alg.oid != rfc5912::ID_SHA_256
    {
        return Ok(false);
    }
    let key = X509::from_der(certificate)?.public_key()?;
    if key.id() != openssl::pkey::Id::RSA {
        return Ok(false);
    }
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key)?;
    // An error is a signature of another form or length: not this key's.
    Ok(verifier.verify_oneshot(info.signature.as_bytes(), &attributes.to_der()?).unwrap_or(false))
}

/// The Authenticode digest of a file, with SHA-256.
pub fn digest(pe: &Pe<'_>) -> Result<[u8; 32], BadPe> {
    let mut hasher = Sha256::new();
    authenticode_digest(pe, &mut hasher).map_err(|_| BadPe::Format("its sections do not cover it"))?;
    Ok(hasher.finalize().into())
}

fn sha256() -> Result<AlgorithmIdentifierOwned, der::Error> {
    with_null(rfc5912::ID_SHA_256)
}

fn with_null(oid: ObjectIdentifier) -> Result<AlgorithmIdentifierOwned, der::Error> {
    Ok(AlgorithmIdentifierOwned { oid, parameters: Some(Any::encode_from(&Null)?) })
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, der::Error> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::pe::tests::tiny;
    use openssl::pkey::{PKey, Private};
    use openssl::sign::Signer;

    fn identity(name: &str) -> (PKey<Private>, Vec<u8>) {
        let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
        let mut subject = openssl::x509::X509Name::builder().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&openssl::asn1::Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&openssl::asn1::Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        (key, builder.build().to_der().unwrap())
    }

    fn sign(pe: &[u8], key: &PKey<Private>, certificate: &[u8]) -> Vec<u8> {
        let unsigned = prepare(pe, certificate).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        let signature = signer.sign_oneshot_to_vec(unsigned.message()).unwrap();
        unsigned.attach(&signature).unwrap()
    }

    #[test]
    fn the_signer_is_found_among_the_trusted() {
        let ((key, certificate), (_, other)) = (identity("db"), identity("other"));
        let signed = sign(&tiny(), &key, &certificate);
        assert_eq!(signer(&signed, &[other.clone(), certificate.clone()]).unwrap(), 1);
        let error = signer(&signed, &[other]).unwrap_err().to_string();
        assert!(error.contains("none of the trusted"), "{error}");
        assert_eq!(embedded_certificates(&signed).unwrap(), vec![certificate.clone()]);
        assert!(matches!(signer(&tiny(), &[certificate]), Err(Error::NotSigned)));
    }

    #[test]
    fn signing_again_gives_the_same_file() {
        let (key, certificate) = identity("db");
        let once = sign(&tiny(), &key, &certificate);
        assert_eq!(sign(&once, &key, &certificate), once);
    }

    #[test]
    fn every_flipped_byte_outside_the_checksum_is_noticed() {
        let (key, certificate) = identity("db");
        let signed = sign(&tiny(), &key, &certificate);
        let end = tiny().len();
        for at in (0..end).filter(|at| !(0x58 + 64..0x58 + 68).contains(at)) {
            let mut bad = signed.clone();
            bad[at] ^= 1;
            assert!(signer(&bad, std::slice::from_ref(&certificate)).is_err(), "byte {at:#x}");
        }
    }

    #[test]
    fn sbverify_accepts_the_signature() {
        let (key, certificate) = identity("db");
        let dir = tempfile::tempdir().unwrap();
        let (file, cert) = (dir.path().join("a.efi"), dir.path().join("db.crt"));
        std::fs::write(&file, sign(&tiny(), &key, &certificate)).unwrap();
        std::fs::write(&cert, X509::from_der(&certificate).unwrap().to_pem().unwrap()).unwrap();
        let output = std::process::Command::new("sbverify").arg("--cert").args([&cert, &file]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
