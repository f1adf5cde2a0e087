//! The initrd's files (security rule 1): each has the hash that the policy lists, and the kernel modules are loaded.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::files;
use crate::policy::{InitrdFile, Policy};
use crate::refusal::Refusal;

/// The largest file that the initrd may hold.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Checks every file of the manifest and loads the modules, in the manifest's order.
pub fn load(policy: &Policy) -> Result<(), Refusal> {
    for file in &policy.files {
        let refuse = |why: String| Refusal::new(1, format!("{}: {why}", file.path));
        let bytes = checked(Path::new("/"), file).map_err(refuse)?;
        if file.module {
            insert(&bytes).map_err(|error| refuse(format!("the kernel does not take the module: {error}")))?;
        }
    }
    Ok(())
}

/// The bytes that were hashed are the bytes that are loaded.
fn checked(top: &Path, file: &InitrdFile) -> Result<Vec<u8>, String> {
    let path = top.join(file.path.trim_start_matches('/'));
    let open = File::open(path).map_err(|error| error.to_string())?;
    let (_, bytes) = files::read_whole(open.into(), LARGEST).map_err(|error| error.to_string())?;
    let found = Digest::new(Sha256::digest(&bytes).into());
    if found == file.sha256 {
        return Ok(bytes);
    }
    Err(format!("its SHA-256 is {found}, the policy says {}", file.sha256))
}

fn insert(module: &[u8]) -> Result<(), Errno> {
    match rustix::system::init_module(module, c"") {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_hash_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.ko"), b"module").unwrap();
        let sha256 = Digest::new(Sha256::digest(b"module").into());
        let file = |path: &str, sha256| InitrdFile { path: path.into(), sha256, module: true };
        assert_eq!(checked(dir.path(), &file("/x.ko", sha256)).unwrap(), b"module");
        let other = checked(dir.path(), &file("/x.ko", Digest::new([0; 32]))).unwrap_err();
        assert!(other.contains(&sha256.to_hex()), "{other}");
        assert!(checked(dir.path(), &file("/missing.ko", sha256)).is_err());
    }
}
