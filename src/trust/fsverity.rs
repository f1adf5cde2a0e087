//! The fs-verity digest of bytes in memory: what a kernel would measure for a file with these bytes.

use composefs::fsverity::{compute_verity, Sha256HashValue};
use zerocopy::IntoBytes;

use crate::model::Digest;

/// SHA-256, 4 KiB blocks, no salt.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let hash: Sha256HashValue = compute_verity(bytes);
    let mut digest = [0; Digest::LEN];
    digest.copy_from_slice(hash.as_bytes());
    Digest::new(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_the_kernels_digest() {
        // `fsverity digest --hash-alg=sha256` of an empty file.
        assert_eq!(digest_of(b"").to_hex(), "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95");
    }
}
