//! The shape of a signature: the narrow profile of PKCS#7 that is read at all (security rule 13).
//!
//! This file decides what the bytes say, never whom to believe: that is [`crate::signature`]. DER in
//! its one encoding, nothing trailing, nothing embedded, 1 to 8 signers, and in each signer exactly
//! one content type, message digest and `cfs-claims`. Embedded certificates and CRLs are not even decoded.

use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    DigestAlgorithmIdentifiers, EncapsulatedContentInfo, SignedAttributes, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use const_oid::ObjectIdentifier;
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Decode, Encode, Sequence};
use spki::AlgorithmIdentifierOwned;

use crate::claims::{Claims, OID_CLAIMS};
use crate::refusal::Refusal;

/// The largest signature that is read.
pub const MAX_SIGNATURE: usize = 16 * 1024;
/// The most signers of one signature.
pub const MAX_SIGNERS: usize = 8;

/// What one signer says. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whose certificate to look for.
    pub signer: SignerIdentifier,
    /// The hash over the content.
    pub digest_algorithm: ObjectIdentifier,
    /// How `signature` was made.
    pub signature_algorithm: ObjectIdentifier,
    /// The hash of the content, as signed.
    pub message_digest: Vec<u8>,
    /// The claims, as signed.
    pub claims: Claims,
    /// The bytes that `signature` covers: the DER SET of the signed attributes.
    pub signed: Vec<u8>,
    /// The signature value.
    pub signature: Vec<u8>,
}

/// `SignedData` (RFC 5652, 5.1) with the certificates and CRLs left undecoded. The build side writes this very
/// type: DER sorts a SET by the bytes of its members, and only undecoded members are sorted so.
#[derive(Clone, Debug, Sequence)]
pub struct SignedData {
    /// 1.
    pub version: CmsVersion,
    /// What the signers hash with; decides nothing.
    pub digest_algorithms: DigestAlgorithmIdentifiers,
    /// The type of what is signed; the content itself is detached.
    pub content: EncapsulatedContentInfo,
    /// For other tools; ignored here.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub certificates: Option<SetOfVec<Any>>,
    /// Ignored.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub crls: Option<SetOfVec<Any>>,
    /// Who signed.
    pub signers: SignerInfos,
}

/// Parses untrusted bytes into 1 to 8 statements.
pub fn statements(signature: &[u8]) -> Result<Vec<Statement>, Refusal> {
    if signature.is_empty() {
        return Err(refuse("the image is not signed (the signature is empty): sign it with `cfs-host seal`"));
    }
    if signature.len() > MAX_SIGNATURE {
        return Err(refuse(format!("the signature has {} bytes, at most {MAX_SIGNATURE} are read", signature.len())));
    }
    let data = signed_data(signature)?;
    if data.content.econtent_type != ID_DATA || data.content.econtent.is_some() {
        return Err(refuse("the signature is not a detached one over plain data"));
    }
    match data.signers.0.len() {
        0 => Err(refuse("the image is not signed (the signature has no signer): sign it with `cfs-host seal`")),
        1..=MAX_SIGNERS => data.signers.0.iter().map(statement).collect(),
        n => Err(refuse(format!("the signature has {n} signers, at most {MAX_SIGNERS} are read"))),
    }
}

fn signed_data(signature: &[u8]) -> Result<SignedData, Refusal> {
    let outer = ContentInfo::from_der(signature).map_err(not_der)?;
    if outer.content_type != ID_SIGNED_DATA {
        return Err(refuse(format!("the signature is not PKCS#7 signed data but {}", outer.content_type)));
    }
    let inner = outer.content.to_der().map_err(not_der)?;
    let data = SignedData::from_der(&inner).map_err(not_der)?;
    if data.to_der().map_err(not_der)? != inner {
        return Err(refuse("the signature is not DER: another encoding of the same values"));
    }
    Ok(data)
}

fn statement(info: &SignerInfo) -> Result<Statement, Refusal> {
    let signed = info.signed_attrs.as_ref().ok_or_else(|| refuse("a signer signs no attributes"))?;
    if attribute::<ObjectIdentifier>(signed, ID_CONTENT_TYPE)? != ID_DATA {
        return Err(refuse("a signer's content type is not plain data"));
    }
    let claims = attribute::<Any>(signed, OID_CLAIMS)?.to_der().map_err(not_der)?;
    Ok(Statement {
        signer: info.sid.clone(),
        digest_algorithm: without_parameters(&info.digest_alg)?,
        signature_algorithm: without_parameters(&info.signature_algorithm)?,
        message_digest: attribute::<OctetString>(signed, ID_MESSAGE_DIGEST)?.into_bytes(),
        claims: Claims::from_der(&claims).map_err(|bad| Refusal::new(11, bad.to_string()))?,
        signed: signed.to_der().map_err(not_der)?,
        signature: info.signature.as_bytes().to_vec(),
    })
}

/// The value of an attribute that must be there once, with one value.
fn attribute<T: for<'a> Decode<'a>>(signed: &SignedAttributes, oid: ObjectIdentifier) -> Result<T, Refusal> {
    let mut values = signed.iter().filter(|attribute| attribute.oid == oid).flat_map(|one| one.values.iter());
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refuse(format!("a signer does not sign exactly one value of the attribute {}", name(oid))));
    };
    T::from_der(&value.to_der().map_err(not_der)?).map_err(not_der)
}

fn name(oid: ObjectIdentifier) -> &'static str {
    match oid {
        ID_CONTENT_TYPE => "content type",
        ID_MESSAGE_DIGEST => "message digest",
        _ => "cfs-claims",
    }
}

fn without_parameters(algorithm: &AlgorithmIdentifierOwned) -> Result<ObjectIdentifier, Refusal> {
    match &algorithm.parameters {
        Some(parameters) if !parameters.is_null() => Err(refuse("a signer's algorithm has parameters")),
        _ => Ok(algorithm.oid),
    }
}

fn refuse(why: impl AsRef<str>) -> Refusal {
    Refusal::new(13, why)
}

fn not_der(error: der::Error) -> Refusal {
    refuse(format!("the signature is not PKCS#7 in DER: {error}"))
}
