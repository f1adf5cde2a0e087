//! What a signature says beyond the digest: the signed attribute `cfs-claims` (security rule 11).
//!
//! ```asn1
//! CfsClaims ::= SEQUENCE {
//!   version         INTEGER,              -- 1
//!   role            UTF8String,           -- "host-bootable" | "host-config"
//!   product         UTF8String,           -- 1 to 64 bytes
//!   securityVersion INTEGER,              -- 0 to 2^31-1
//!   digest          OCTET STRING (32),    -- the fs-verity digest that is signed
//!   ukiIds          SEQUENCE OF OCTET STRING (32) }  -- at most 16: the UKIs that may boot it
//! ```
//! DER, one encoding only: what does not encode back to the same bytes is refused.

use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};

use crate::digest::Digest;

/// Root of the project's object identifiers: Microsoft's GUID arc with
/// 9fd18223-d7cf-408a-99da-5f27ad87cddb, so unique without a registration.
/// `.1` is the claims attribute, `.2` the extended key usage of image signers.
pub const OID_CLAIMS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113556.1.8000.2554.40913.33315.55247.16522.39386.6236077.8900059.1");
/// Extended key usage that an image signer's certificate must carry (rule 13).
pub const OID_EKU_IMAGE_SIGNING: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113556.1.8000.2554.40913.33315.55247.16522.39386.6236077.8900059.2");

/// Identity of a UKI: SHA-256 over its inputs (`docs/formats.md`, "uki-id").
pub type UkiId = Digest;

/// The longest product name, in bytes.
pub const MAX_PRODUCT: usize = 64;
/// The most UKIs that one signature can name.
pub const MAX_UKI_IDS: usize = 16;

/// What the signed digest is: an application image or a layer signed by the same people is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The bootable EROFS image of a host.
    HostBootable,
    /// The OCI configuration of a host image (rule 22).
    HostConfig,
}

impl Role {
    /// The spelling inside the claims.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::HostBootable => "host-bootable",
            Role::HostConfig => "host-config",
        }
    }
}

/// The decoded claims.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// What the digest is the digest of.
    pub role: Role,
    /// Which product it belongs to.
    pub product: String,
    /// Raised when an older image must no longer boot.
    pub security_version: u32,
    /// The fs-verity digest that the signature covers.
    pub digest: Digest,
    /// The UKIs that may boot the image (rule 12); empty for other roles.
    pub uki_ids: Vec<UkiId>,
}

/// Why claims are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadClaims {
    /// Not DER of the shape above, or not its only encoding.
    #[error("the claims are not canonical DER: {0}")]
    Der(String),
    /// A later format.
    #[error("the claims have version {0}, this program reads version 1")]
    Version(u32),
    /// Not a role that this program knows.
    #[error("the claims have the unknown role {0:?}")]
    Role(String),
    /// A field is out of its range.
    #[error("the claims' {0} is out of range")]
    Range(&'static str),
}

#[derive(Sequence)]
struct Wire {
    version: u32,
    role: String,
    product: String,
    security_version: u32,
    digest: OctetString,
    uki_ids: Vec<OctetString>,
}

impl Claims {
    /// The DER form; refuses what [`Claims::from_der`] would refuse.
    pub fn to_der(&self) -> Result<Vec<u8>, BadClaims> {
        self.check()?;
        let octets = |digest: &Digest| OctetString::new(digest.as_bytes().as_slice());
        Wire {
            version: 1,
            role: self.role.as_str().to_owned(),
            product: self.product.clone(),
            security_version: self.security_version,
            digest: octets(&self.digest).map_err(der)?,
            uki_ids: self.uki_ids.iter().map(octets).collect::<Result<_, _>>().map_err(der)?,
        }
        .to_der()
        .map_err(der)
    }

    /// Parses untrusted bytes.
    pub fn from_der(bytes: &[u8]) -> Result<Self, BadClaims> {
        let wire = Wire::from_der(bytes).map_err(der)?;
        if wire.version != 1 {
            return Err(BadClaims::Version(wire.version));
        }
        let role = match wire.role.as_str() {
            "host-bootable" => Role::HostBootable,
            "host-config" => Role::HostConfig,
            _ => return Err(BadClaims::Role(wire.role)),
        };
        let claims = Self {
            role,
            product: wire.product,
            security_version: wire.security_version,
            digest: digest(&wire.digest, "digest")?,
            uki_ids: wire.uki_ids.iter().map(|id| digest(id, "uki-id")).collect::<Result<_, _>>()?,
        };
        if claims.to_der()? != bytes {
            return Err(BadClaims::Der("another encoding of the same values".to_owned()));
        }
        Ok(claims)
    }

    fn check(&self) -> Result<(), BadClaims> {
        if self.product.is_empty() || self.product.len() > MAX_PRODUCT {
            return Err(BadClaims::Range("product"));
        }
        if self.security_version > i32::MAX as u32 {
            return Err(BadClaims::Range("security version"));
        }
        if self.uki_ids.len() > MAX_UKI_IDS {
            return Err(BadClaims::Range("list of uki-ids"));
        }
        Ok(())
    }
}

fn digest(octets: &OctetString, field: &'static str) -> Result<Digest, BadClaims> {
    octets.as_bytes().try_into().map(Digest::new).map_err(|_| BadClaims::Range(field))
}

fn der(error: der::Error) -> BadClaims {
    BadClaims::Der(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Claims {
        Claims {
            role: Role::HostBootable,
            product: "example".into(),
            security_version: 7,
            digest: Digest::new([1; 32]),
            uki_ids: vec![Digest::new([2; 32]), Digest::new([3; 32])],
        }
    }

    #[test]
    fn golden_bytes_never_change() {
        let hex = hex::encode(example().to_der().unwrap());
        assert_eq!(
            hex,
            "3081860201010c0d686f73742d626f6f7461626c650c076578616d706c650201070420".to_owned()
                + &"01".repeat(32)
                + "30440420"
                + &"02".repeat(32)
                + "0420"
                + &"03".repeat(32)
        );
    }

    #[test]
    fn unknown_role_version_and_ranges_are_refused() {
        let der = example().to_der().unwrap();
        let with = |from: &[u8], to: &[u8]| {
            let at = der.windows(from.len()).position(|w| w == from).unwrap();
            let mut changed = der.clone();
            changed[at..at + to.len()].copy_from_slice(to);
            Claims::from_der(&changed)
        };
        assert_eq!(with(b"host-bootable", b"app-container"), Err(BadClaims::Role("app-container".into())));
        assert_eq!(with(&[2, 1, 1, 12], &[2, 1, 2, 12]), Err(BadClaims::Version(2)));
        assert_eq!(Claims { product: "x".repeat(65), ..example() }.to_der(), Err(BadClaims::Range("product")));
        assert_eq!(Claims { product: String::new(), ..example() }.to_der(), Err(BadClaims::Range("product")));
        assert!(Claims { product: "x".repeat(64), ..example() }.to_der().is_ok());
        assert_eq!(
            Claims { security_version: 1 << 31, ..example() }.to_der(),
            Err(BadClaims::Range("security version"))
        );
        assert!(Claims { security_version: (1 << 31) - 1, ..example() }.to_der().is_ok());
        let ids = |n| Claims { uki_ids: vec![Digest::new([9; 32]); n], ..example() }.to_der();
        assert!(ids(16).is_ok());
        assert_eq!(ids(17), Err(BadClaims::Range("list of uki-ids")));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut der = example().to_der().unwrap();
        der.push(0);
        assert!(matches!(Claims::from_der(&der), Err(BadClaims::Der(_))));
    }

    proptest! {
        #[test]
        fn claims_round_trip(product in ".{1,16}", security_version in 0u32..1 << 31, digest: [u8; 32], ids: [[u8; 32]; 3]) {
            let claims = Claims {
                role: Role::HostConfig, product, security_version,
                digest: Digest::new(digest), uki_ids: ids.map(Digest::new).to_vec(),
            };
            prop_assert_eq!(Claims::from_der(&claims.to_der().unwrap()), Ok(claims));
        }

        #[test]
        fn flipped_bits_never_panic_and_never_alias(at in 0usize..137, bit in 0u8..8) {
            let good = example().to_der().unwrap();
            let mut bad = good.clone();
            let at = at % bad.len();
            bad[at] ^= 1 << bit;
            if let Ok(claims) = Claims::from_der(&bad) { prop_assert_ne!(claims, example()); }
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Claims::from_der(&bytes);
        }
    }
}
