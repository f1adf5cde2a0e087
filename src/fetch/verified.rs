//! A blob that is checked as it is read: a wrong size or digest is an error in place of the end.

use std::io::{self, Error, ErrorKind, Read};

use sha2::{Digest as _, Sha256};

/// A reader of one blob.
pub(super) struct Verified<R> {
    inner: R,
    left: u64,
    /// There was more: who reads on after that error meets it again.
    longer: bool,
    hash: Sha256,
    expected: [u8; 32],
    /// Names the blob and the image in errors.
    what: String,
}

impl<R: Read> Verified<R> {
    /// Reads `size` bytes that must have this SHA-256.
    pub(super) fn new(inner: R, size: u64, expected: [u8; 32], what: String) -> Self {
        Self { inner, left: size, longer: false, hash: Sha256::new(), expected, what }
    }

    /// Reads a small blob whole.
    pub(super) fn all(mut self, limit: u64) -> io::Result<Vec<u8>> {
        if self.left > limit {
            return Err(self.wrong("is larger than any such blob may be"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn wrong(&self, why: &str) -> Error {
        Error::new(ErrorKind::InvalidData, format!("{} {why}; fetch it again, or push it again", self.what))
    }

    fn end(&mut self) -> io::Result<usize> {
        self.longer = self.longer || self.inner.read(&mut [0])? > 0;
        if self.longer {
            return Err(self.wrong("is longer than the manifest says"));
        }
        if self.hash.clone().finalize()[..] != self.expected {
            return Err(self.wrong("does not have the digest that the manifest names"));
        }
        Ok(0)
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return self.end();
        }
        let limit = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.inner.read(&mut buffer[..limit])?;
        if length == 0 && limit > 0 {
            return Err(self.wrong("is cut off"));
        }
        self.hash.update(&buffer[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], size: u64, of: &[u8]) -> io::Result<Vec<u8>> {
        Verified::new(bytes, size, Sha256::digest(of).into(), "layer sha256:x of oci:y".into()).all(100)
    }

    #[test]
    fn only_the_named_bytes_are_read_to_the_end() {
        assert_eq!(read(b"hello", 5, b"hello").unwrap(), b"hello");
        assert_eq!(read(b"", 0, b"").unwrap(), b"");
        for (bytes, size, why) in [
            (&b"hell"[..], 5, "cut off"),
            (b"hello!", 5, "longer"),
            (b"jello", 5, "digest"),
            (b"", 0, "digest"),
            (b"hello", 101, "larger"),
        ] {
            let error = read(bytes, size, b"hello").unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("layer sha256:x of oci:y"), "{error}");
        }
    }
}
