//! A digest as a value: the fs-verity SHA-256 digest that names every object and image.
//!
//! Only SHA-256 over 4 KiB blocks exists here (security rule 10), so the type says so and no
//! caller can choose another. Source: `Documentation/filesystems/fsverity.rst`.

use std::fmt;
use std::str::FromStr;

/// An fs-verity SHA-256 digest (4 KiB blocks, no salt). Equality is over all 32 bytes (rule 9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a digest: expected 64 lower-case hex digits")]
pub struct NotADigest;

impl Digest {
    /// The length in bytes.
    pub const LEN: usize = 32;

    /// Takes the 32 bytes as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        // Each file of an image is asked for by this: no formatter, one allocation.
        let mut hex = String::with_capacity(2 * Self::LEN);
        for digit in self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            hex.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
        hex
    }

    /// The first 16 hex digits: a label for people and file names, never an identity (rule 9).
    pub fn short(&self) -> String {
        self.to_hex()[..16].to_owned()
    }

    /// Where the object lies below a composefs repository: `objects/xx/yyyy…`.
    pub fn object_path(&self) -> String {
        let hex = self.to_hex();
        format!("objects/{}/{}", &hex[..2], &hex[2..])
    }

    /// The message that is signed: the kernel's `struct fsverity_formatted_digest`, that is
    /// `"FSVerity"`, the algorithm (1 = SHA-256) and the size as little-endian `u16`, the digest.
    pub fn formatted(&self) -> [u8; 44] {
        let mut message = [0u8; 44];
        message[..8].copy_from_slice(b"FSVerity");
        message[8..10].copy_from_slice(&1u16.to_le_bytes());
        message[10..12].copy_from_slice(&32u16.to_le_bytes());
        message[12..].copy_from_slice(&self.0);
        message
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotADigest);
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn hex_value(digit: u8) -> Result<u8, NotADigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotADigest),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formatted_digest_has_the_kernels_layout() {
        let message = Digest::new([0xab; 32]).formatted();
        assert_eq!(&message[..12], b"FSVerity\x01\x00\x20\x00");
        assert_eq!(&message[12..], &[0xab; 32]);
    }

    #[test]
    fn upper_case_and_other_lengths_are_refused() {
        assert_eq!("AB".repeat(32).parse::<Digest>(), Err(NotADigest));
        assert_eq!("ab".repeat(31).parse::<Digest>(), Err(NotADigest));
        assert_eq!("ab".repeat(33).parse::<Digest>(), Err(NotADigest));
        assert_eq!("zz".repeat(32).parse::<Digest>(), Err(NotADigest));
    }

    #[test]
    fn short_and_object_path_are_cut_from_the_hex_form() {
        let digest: Digest = ["0123456789abcdef"; 4].concat().parse().unwrap();
        assert_eq!(digest.short(), "0123456789abcdef");
        assert_eq!(digest.object_path(), "objects/01/23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    }

    proptest! {
        #[test]
        fn hex_round_trips(bytes: [u8; 32]) {
            prop_assert_eq!(Digest::new(bytes).to_hex().parse(), Ok(Digest::new(bytes)));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text: String) {
            if let Ok(digest) = text.parse::<Digest>() {
                prop_assert_eq!(digest.to_hex(), text);
            }
        }
    }
}
