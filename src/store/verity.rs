//! The fs-verity digest of bytes as they pass by: SHA-256, 4 KiB blocks, no salt.
//!
//! The same tree that the kernel builds (`Documentation/filesystems/fsverity.rst`), so objects have their
//! names before the file system is asked to protect them.

use sha2::{Digest as _, Sha256};

use crate::model::Digest;

const BLOCK: usize = 4096;
/// Blocks that are hashed side by side: the most that any processor takes.
const AT_ONCE: usize = 32;

/// Hashes a stream; holds one block per level of the tree.
#[derive(Debug, Default)]
pub struct Hasher {
    data: Vec<u8>,
    /// Per level, the hashes that do not fill a block yet.
    levels: Vec<Vec<u8>>,
    size: u64,
}

impl Hasher {
    /// The digest of a whole buffer.
    pub fn hash(bytes: &[u8]) -> Digest {
        let mut hasher = Self::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if !self.data.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.data.len()));
            self.data.extend_from_slice(head);
            bytes = rest;
            if self.data.len() < BLOCK {
                return;
            }
            let hash = hash_block(&self.data);
            self.data.clear();
            self.push(0, hash);
        }
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        whole.chunks(AT_ONCE * BLOCK).for_each(|blocks| self.push_blocks(blocks));
        self.data.extend_from_slice(rest);
    }

    /// The digest of all that was taken.
    pub fn finish(mut self) -> Digest {
        let size = self.size;
        let root = self.root();
        let mut descriptor = Sha256::new();
        // struct fsverity_descriptor: version 1, SHA-256 = 1, log2 of the block size, no salt.
        descriptor.update([1, 1, 12, 0, 0, 0, 0, 0]);
        descriptor.update(size.to_le_bytes());
        descriptor.update(root);
        descriptor.update([0; 32 + 32 + 144]);
        Digest::new(descriptor.finalize().into())
    }

    fn root(&mut self) -> [u8; 32] {
        if !self.data.is_empty() {
            let hash = hash_block(&self.data);
            self.push(0, hash);
        }
        let mut level = 0;
        while level < self.levels.len() {
            if level + 1 == self.levels.len() {
                if let Ok(root) = self.levels[level].as_slice().try_into() {
                    return root;
                }
            }
            if !self.levels[level].is_empty() {
                let hash = hash_block(&self.levels[level]);
                self.push(level + 1, hash);
            }
            level += 1;
        }
        // No data at all: the kernel takes zeros.
        [0; 32]
    }

    /// Whole blocks, at most [`AT_ONCE`]. They do not depend on each other, so a processor's units for SHA-256, or its lanes,
    /// work on several of them in the time of one.
    fn push_blocks(&mut self, bytes: &[u8]) {
        let (mut blocks, mut hashes) = ([&[][..]; AT_ONCE], [[0; 32]; AT_ONCE]);
        let count = bytes.len() / BLOCK;
        blocks.iter_mut().zip(bytes.chunks_exact(BLOCK)).for_each(|(block, bytes)| *block = bytes);
        tape_sha256::hash_many(&blocks[..count], &mut hashes[..count]);
        hashes[..count].iter().for_each(|hash| self.push(0, *hash));
    }

    fn push(&mut self, level: usize, hash: [u8; 32]) {
        if self.levels.len() == level {
            self.levels.push(Vec::with_capacity(BLOCK));
        }
        self.levels[level].extend_from_slice(&hash);
        if self.levels[level].len() == BLOCK {
            let hash = hash_block(&self.levels[level]);
            self.levels[level].clear();
            self.push(level + 1, hash);
        }
    }
}

/// The hash of a block, filled up with zeros.
fn hash_block(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.update(&[0; BLOCK][bytes.len()..]);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use composefs::fsverity::{compute_verity, FsVerityHashValue, Sha256HashValue};
    use proptest::prelude::*;

    fn peer(bytes: &[u8]) -> String {
        compute_verity::<Sha256HashValue>(bytes).to_hex()
    }

    #[test]
    fn every_shape_of_tree_gives_composefs_digest() {
        for blocks in [0, 1, 2, 127, 128, 129, 255, 256, 257, 128 * 128 - 1, 128 * 128, 128 * 128 + 1, 128 * 129] {
            for odd in [0, 1, 4095] {
                // No block is like the next one.
                let bytes: Vec<_> = (0..blocks * BLOCK + odd).map(|at| (at / BLOCK * 7 + at % 251) as u8).collect();
                assert_eq!(Hasher::hash(&bytes).to_hex(), peer(&bytes), "{blocks} blocks and {odd} bytes");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn how_the_bytes_are_cut_does_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..300_000), cut in 1usize..200_000) {
            let mut hasher = Hasher::default();
            for part in bytes.chunks(cut) {
                hasher.update(part);
            }
            prop_assert_eq!(hasher.finish().to_hex(), peer(&bytes));
        }
    }
}
