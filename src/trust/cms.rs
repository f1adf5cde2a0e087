//! Image signatures: PKCS#7 over the formatted digest, with signed claims (`docs/formats.md`, "Signature").
//!
//! Whether one is believed is decided by `cfs_init::signature` alone; here they are only made.

use cfs_init::claims::{Claims, OID_CLAIMS};
use cfs_init::profile::SignedData;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignerIdentifier, SignerInfo, SignerInfos};
use const_oid::db::{rfc5911, rfc5912};
use const_oid::ObjectIdentifier;
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Decode, Encode};
use sha2::{Digest as _, Sha256, Sha384};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;

use super::certificate::{Algorithm, Certificate};
use super::signer::Signer;
use super::{Error, Result};

/// Signs the claims and, through them, their digest.
pub fn sign(claims: &Claims, signer: &dyn Signer) -> Result<Vec<u8>> {
    let claims_der = claims.to_der()?;
    let info = signer_info(claims, &claims_der, signer)?;
    wrap(vec![embedded(signer.certificate())?], vec![info]).map_err(cannot_build)
}

/// Adds another signer to a signature; its claims are those that are signed already.
pub fn append(signature: &[u8], signer: &dyn Signer) -> Result<Vec<u8>> {
    let (mut certificates, mut infos) = unwrap(signature)?;
    let claims_der = infos.first().and_then(claims_of).ok_or_else(|| refuse("its first signer makes no claims"))?;
    let claims = Claims::from_der(&claims_der)?;
    let new = signer_info(&claims, &claims_der, signer)?;
    if infos.iter().any(|info| info.sid == new.sid) {
        return Err(refuse(&format!("{} has signed it already", signer.certificate().name())));
    }
    infos.push(new);
    certificates.push(embedded(signer.certificate())?);
    wrap(certificates, infos).map_err(cannot_build)
}

/// The claims of the first signer, believed by nobody yet: for `inspect`, and for signing them too.
pub fn unverified_claims(signature: &[u8]) -> Result<Claims> {
    let (_, infos) = unwrap(signature)?;
    let der = infos.first().and_then(claims_of).ok_or_else(|| refuse("its first signer makes no claims"))?;
    Ok(Claims::from_der(&der)?)
}

fn signer_info(claims: &Claims, claims_der: &[u8], signer: &dyn Signer) -> Result<SignerInfo> {
    let certificate = signer.certificate();
    let algorithms = algorithms(certificate)?;
    let content = claims.digest.formatted();
    let message_digest = match certificate.algorithm() {
        Algorithm::EcdsaP384 => Sha384::digest(content).to_vec(),
        _ => Sha256::digest(content).to_vec(),
    };
    let attributes = attributes(&message_digest, claims_der).map_err(cannot_build)?;
    let message = attributes.to_der().map_err(cannot_build)?;
    let signature = OctetString::new(signer.sign(&message)?).map_err(cannot_build)?;
    let tbs = &certificate.parsed().tbs_certificate;
    Ok(SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: tbs.issuer.clone(),
            serial_number: tbs.serial_number.clone(),
        }),
        digest_alg: algorithms.0,
        signed_attrs: Some(attributes),
        signature_algorithm: algorithms.1,
        signature,
        unsigned_attrs: None,
    })
}

fn algorithms(certificate: &Certificate) -> Result<(AlgorithmIdentifierOwned, AlgorithmIdentifierOwned)> {
    let (digest, signature) = match certificate.algorithm() {
        Algorithm::EcdsaP256 => (rfc5912::ID_SHA_256, rfc5912::ECDSA_WITH_SHA_256),
        Algorithm::EcdsaP384 => (rfc5912::ID_SHA_384, rfc5912::ECDSA_WITH_SHA_384),
        Algorithm::Rsa => {
            let why = "it is RSA, and images are signed with ECDSA on P-256 or P-384 (is this the Secure Boot key?)";
            return Err(Error::Key(certificate.name().to_owned(), why));
        }
    };
    let plain = |oid| AlgorithmIdentifierOwned { oid, parameters: None };
    Ok((plain(digest), plain(signature)))
}

fn attributes(message_digest: &[u8], claims_der: &[u8]) -> der::Result<SetOfVec<Attribute>> {
    let attribute = |oid: ObjectIdentifier, value: Any| {
        Ok::<_, der::Error>(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
    };
    SetOfVec::try_from(vec![
        attribute(rfc5911::ID_CONTENT_TYPE, Any::encode_from(&rfc5911::ID_DATA)?)?,
        attribute(rfc5911::ID_MESSAGE_DIGEST, Any::encode_from(&OctetString::new(message_digest)?)?)?,
        attribute(OID_CLAIMS, Any::from_der(claims_der)?)?,
    ])
}

fn claims_of(info: &SignerInfo) -> Option<Vec<u8>> {
    let attribute = info.signed_attrs.as_ref()?.iter().find(|attribute| attribute.oid == OID_CLAIMS)?;
    attribute.values.get(0)?.to_der().ok()
}

/// Certificates are embedded for `openssl cms -verify`; `/init` ignores them.
fn wrap(certificates: Vec<Any>, infos: Vec<SignerInfo>) -> der::Result<Vec<u8>> {
    let mut digest_algorithms = SetOfVec::new();
    for info in &infos {
        if !digest_algorithms.iter().any(|known| known == &info.digest_alg) {
            digest_algorithms.insert(info.digest_alg.clone())?;
        }
    }
    let signed_data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms,
        content: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent: None },
        certificates: Some(SetOfVec::try_from(certificates)?),
        crls: None,
        signers: SignerInfos(SetOfVec::try_from(infos)?),
    };
    ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content: Any::encode_from(&signed_data)? }.to_der()
}

fn unwrap(signature: &[u8]) -> Result<(Vec<Any>, Vec<SignerInfo>)> {
    let signed_data: SignedData = ContentInfo::from_der(signature)
        .and_then(|info| info.content.decode_as())
        .map_err(|error| refuse(&format!("it is not PKCS#7 SignedData in DER: {error}")))?;
    let certificates = signed_data.certificates.map(SetOfVec::into_vec).unwrap_or_default();
    Ok((certificates, signed_data.signers.0.into_vec()))
}

/// A certificate as a member of the set.
fn embedded(certificate: &Certificate) -> Result<Any> {
    Any::from_der(certificate.der()).map_err(cannot_build)
}

fn refuse(why: &str) -> Error {
    Error::Append(why.to_owned())
}

fn cannot_build(error: der::Error) -> Error {
    Error::Der("cannot encode the signature", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Role};
    use crate::sys::Sys;
    use crate::trust::keys::tests::generated;
    use crate::trust::signer::{KeyFile, SignCommand};
    use std::process::Command;

    fn claims() -> Claims {
        Claims {
            role: Role::HostBootable,
            product: "example".into(),
            security_version: 7,
            digest: Digest::new([1; 32]),
            uki_ids: vec![Digest::new([2; 32])],
        }
    }

    #[test]
    fn what_is_signed_never_changes() {
        let attributes = attributes(&Sha256::digest(claims().digest.formatted()), &claims().to_der().unwrap()).unwrap();
        let hex = hex::encode(attributes.to_der().unwrap());
        let claims_hex = hex::encode(claims().to_der().unwrap());
        let parts = [
            "301806092a864886f70d010903310b06092a864886f70d010701",
            "302f06092a864886f70d01090431220420",
            &hex::encode(Sha256::digest(claims().digest.formatted())),
        ];
        for part in parts {
            assert!(hex.contains(part), "{part} is not in {hex}");
        }
        assert!(
            hex.starts_with("31") && hex.ends_with(&claims_hex),
            "sorted: the claims, the longest, come last: {hex}"
        );
    }

    #[test]
    fn a_second_signature_is_der_whatever_the_keys() {
        let policy_reads = |signature: &[u8]| cfs_init::profile::statements(signature).map(|signers| signers.len());
        let dirs: Vec<_> = (0..6).map(|_| generated()).collect();
        let signers: Vec<_> =
            dirs.iter().map(|(_, dir)| KeyFile::load(&dir.image_key(), &dir.image_certificate()).unwrap()).collect();
        for first in &signers {
            let once = sign(&claims(), first).unwrap();
            for second in signers.iter().filter(|second| second.certificate().der() != first.certificate().der()) {
                assert_eq!(policy_reads(&append(&once, second).unwrap()), Ok(2));
            }
        }
    }

    #[test]
    fn openssl_accepts_the_signature_of_a_key_file_and_of_a_command() {
        let (temporary, dir) = generated();
        let sys = Sys::real();
        let command = format!("openssl dgst -sha256 -sign {}", dir.image_key().display());
        let signers: [Box<dyn Signer>; 2] = [
            Box::new(KeyFile::load(&dir.image_key(), &dir.image_certificate()).unwrap()),
            Box::new(SignCommand::new(&command, &dir.image_certificate(), &sys).unwrap()),
        ];
        for signer in signers {
            let (signature, content) = (temporary.path().join("sig"), temporary.path().join("content"));
            std::fs::write(&signature, sign(&claims(), signer.as_ref()).unwrap()).unwrap();
            std::fs::write(&content, claims().digest.formatted()).unwrap();
            let verify = |content: &std::path::Path| {
                Command::new("openssl")
                    .args(["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-out", "/dev/null"])
                    .arg("-content")
                    .arg(content)
                    .arg("-in")
                    .arg(&signature)
                    .arg("-CAfile")
                    .arg(dir.image_certificate())
                    .output()
                    .unwrap()
            };
            let output = verify(&content);
            assert!(output.status.success(), "{output:?}");
            std::fs::write(&content, Digest::new([9; 32]).formatted()).unwrap();
            assert!(!verify(&content).status.success(), "another digest must not verify");
        }
    }

    #[test]
    fn a_second_signer_is_added_once_and_signs_the_same_claims() {
        let ((_one, first), (_two, second)) = (generated(), generated());
        let signer =
            |dir: &crate::trust::keys::KeyDir| KeyFile::load(&dir.image_key(), &dir.image_certificate()).unwrap();
        let once = sign(&claims(), &signer(&first)).unwrap();
        let twice = append(&once, &signer(&second)).unwrap();
        let (certificates, infos) = unwrap(&twice).unwrap();
        assert_eq!((certificates.len(), infos.len()), (2, 2));
        assert_eq!(infos.iter().map(claims_of).collect::<Vec<_>>(), vec![claims().to_der().ok(); 2]);
        let error = append(&twice, &signer(&first)).unwrap_err().to_string();
        assert!(error.contains("already"), "{error}");
    }

    #[test]
    fn a_key_of_another_certificate_is_noticed_when_it_signs() {
        let ((_one, first), (_two, second)) = (generated(), generated());
        let wrong = KeyFile::load(&first.image_key(), &second.image_certificate()).unwrap();
        let error = sign(&claims(), &wrong).unwrap_err().to_string();
        assert!(error.contains("do not belong together"), "{error}");
    }

    #[test]
    fn the_secure_boot_key_does_not_sign_images() {
        use crate::trust::efi_auth::Variable;
        let (_temporary, dir) = generated();
        let db = KeyFile::load(&dir.secure_boot(Variable::Db, "key"), &dir.secure_boot(Variable::Db, "crt")).unwrap();
        let error = sign(&claims(), &db).unwrap_err().to_string();
        assert!(error.contains("Secure Boot key?"), "{error}");
    }
}
