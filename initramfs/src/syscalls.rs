//! The two fs-verity ioctls: the program's only unsafe calls.
//!
//! Everything else that `/init` asks of the kernel goes through rustix' safe functions.
//! Source: `include/uapi/linux/fsverity.h`.

#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, Opcode, Setter, Updater};

/// `FS_VERITY_HASH_ALG_SHA256`.
pub const SHA256: u16 = 1;
const BLOCK: u32 = 4096;
/// The longest digest that the kernel has: SHA-512.
const LONGEST: usize = 64;

/// `struct fsverity_enable_arg`.
#[repr(C)]
struct Enable {
    version: u32,
    algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt: u64,
    signature_size: u32,
    reserved1: u32,
    signature: u64,
    reserved2: [u64; 11],
}

/// `struct fsverity_digest` with room for its flexible array.
#[repr(C)]
struct Measure {
    algorithm: u16,
    size: u16,
    digest: [u8; LONGEST],
}

const FS_IOC_ENABLE_VERITY: Opcode = opcode::write::<Enable>(b'f', 133);
// The number counts the header alone: the array behind it has no fixed length.
const FS_IOC_MEASURE_VERITY: Opcode = opcode::read_write::<[u16; 2]>(b'f', 134);

/// Builds the file's hash tree (SHA-256, 4 KiB blocks, no salt); the file is read-only for ever after.
pub fn enable_verity(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let argument = Enable {
        version: 1,
        algorithm: u32::from(SHA256),
        block_size: BLOCK,
        salt_size: 0,
        salt: 0,
        signature_size: 0,
        reserved1: 0,
        signature: 0,
        reserved2: [0; 11],
    };
    // SAFETY: the opcode's argument is a `struct fsverity_enable_arg`, which `Enable` is to the byte (128);
    // its two pointers are null with size 0, so the kernel follows neither.
    unsafe { ioctl(file, Setter::<FS_IOC_ENABLE_VERITY, Enable>::new(argument)) }
}

/// The algorithm and the digest of a file with fs-verity; `ENODATA` for one without.
pub fn measure_verity(file: BorrowedFd<'_>) -> Result<(u16, Vec<u8>), Errno> {
    let mut answer = Measure { algorithm: 0, size: LONGEST as u16, digest: [0; LONGEST] };
    // SAFETY: the kernel writes the header and at most `size` bytes behind it; `digest` has that many.
    unsafe { ioctl(file, Updater::<FS_IOC_MEASURE_VERITY, Measure>::new(&mut answer))? };
    let digest = answer.digest.get(..usize::from(answer.size)).ok_or(Errno::OVERFLOW)?;
    Ok((answer.algorithm, digest.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(size_of::<Enable>(), 128);
        assert_eq!(std::mem::offset_of!(Enable, signature), 32);
        assert_eq!(std::mem::offset_of!(Measure, digest), 4);
        assert_eq!((FS_IOC_ENABLE_VERITY, FS_IOC_MEASURE_VERITY), (0x4080_6685, 0xc004_6686));
    }
}
