//! One entry of a layer: what a tar header and its extensions say, made uniform.

use crate::model::Digest;

/// Owner, mode, time and extended attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with set-uid, set-gid, sticky (12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// And nanoseconds.
    pub mtime_nsec: u32,
    /// Name and value, in the layer's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A directory.
    Directory,
    /// A regular file of at most 64 bytes.
    Inline(Vec<u8>),
    /// A larger regular file.
    Object {
        /// The object that holds its bytes.
        digest: Digest,
        /// Its size.
        size: u64,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A device or FIFO: file type bits and device number.
    Special {
        /// `S_IFMT` bits.
        kind: u32,
        /// Device number, 0 for FIFOs.
        rdev: u64,
    },
    /// Another name of an earlier entry, of this layer or one below.
    HardLink(Vec<u8>),
}

/// An entry of a layer; whiteouts are entries like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Without `/` at either end, without `.` and empty parts; empty for the root.
    pub path: Vec<u8>,
    /// Its metadata; a hard link's counts for nothing.
    pub meta: Metadata,
    /// What it is.
    pub item: Item,
}

/// A path as tar has it, made uniform. Says why it is refused.
pub(super) fn clean_path(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut clean = Vec::with_capacity(path.len());
    let mut depth = 0;
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return Err("its path has a part \"..\""),
            part if part.contains(&0) => return Err("its path has a NUL byte"),
            part if part.len() > NAME_MAX => return Err("a part of its path is longer than 255 bytes"),
            _ if depth == DEPTH_MAX => return Err("its path has more than 256 parts"),
            part => {
                depth += 1;
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(part);
            }
        }
    }
    Ok(clean)
}

const NAME_MAX: usize = 255;
/// Trees are walked by recursion: their depth is bounded where they come in.
const DEPTH_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_lose_what_says_nothing() {
        for (path, clean) in
            [("./", ""), ("/", ""), ("./usr//bin/", "usr/bin"), ("/usr/./x", "usr/x"), ("a...b", "a...b")]
        {
            assert_eq!(clean_path(path.as_bytes()).unwrap(), clean.as_bytes());
        }
    }

    #[test]
    fn paths_that_climb_are_refused() {
        for path in ["..", "../etc", "a/../b", "/.."] {
            assert!(clean_path(path.as_bytes()).is_err(), "{path}");
        }
        assert!(clean_path(&[b'x'; 256]).is_err());
        assert!(clean_path(&[b'x'; 255]).is_ok());
        assert!(clean_path("a/".repeat(256).as_bytes()).is_ok());
        assert!(clean_path("a/".repeat(257).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn a_clean_path_stays_as_it_is(path in "[a./]{0,20}") {
            if let Ok(clean) = clean_path(path.as_bytes()) {
                prop_assert_eq!(clean_path(&clean).unwrap(), clean);
            }
        }
    }
}
