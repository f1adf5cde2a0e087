//! The initrd's files (security rule 1): each has the hash that the policy lists, and the kernel modules are loaded.

use std::fs::File;
use std::path::Path;

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::console::say;
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
            match judge(rustix::system::init_module(&bytes, c"")) {
                Ok(Answer::Loaded) => {}
                Ok(Answer::NotForThisMachine) => say(&format!("{}: not for this machine, skipped", file.path)),
                Err(error) => return Err(refuse(format!("the kernel does not take the module: {error}"))),
            }
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

/// What became of a module.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Loaded,
    /// It drives something that is not here, such as an instruction of newer processors. Without it nothing is
    /// checked less: a mount that needed it fails by itself.
    NotForThisMachine,
}

fn judge(answer: Result<(), Errno>) -> Result<Answer, Errno> {
    match answer {
        Ok(()) | Err(Errno::EXIST) => Ok(Answer::Loaded),
        Err(Errno::NODEV | Errno::NXIO) => Ok(Answer::NotForThisMachine),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_for_hardware_that_is_not_here_is_skipped_and_any_other_failure_stops() {
        assert_eq!(judge(Ok(())), Ok(Answer::Loaded));
        assert_eq!(judge(Err(Errno::EXIST)), Ok(Answer::Loaded));
        for absent in [Errno::NODEV, Errno::NXIO] {
            assert_eq!(judge(Err(absent)), Ok(Answer::NotForThisMachine));
        }
        for failure in [Errno::NOEXEC, Errno::KEYREJECTED, Errno::PERM, Errno::NOENT, Errno::NOMEM, Errno::BADMSG] {
            assert_eq!(judge(Err(failure)), Err(failure));
        }
    }

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
