//! The one kernel of an image.

use super::files::Files;
use super::{Error, Result};

/// Where kernels' modules lie.
pub const MODULES_DIR: &str = "usr/lib/modules";

/// A kernel and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As `uname -r` says it.
    pub version: String,
    /// The bootable file, signature and all.
    pub image: Vec<u8>,
}

/// Finds `usr/lib/modules/<version>/vmlinuz`, or the `boot/vmlinuz-<version>` of a version that has modules.
pub fn find(files: &dyn Files) -> Result<Kernel> {
    let mut kernels = Vec::new();
    for version in files.list(MODULES_DIR) {
        let places = [format!("{MODULES_DIR}/{version}/vmlinuz"), format!("boot/vmlinuz-{version}")];
        for place in places {
            if let Some(image) = files.read(&place)? {
                kernels.push(Kernel { version: version.clone(), image });
                break;
            }
        }
    }
    match kernels.len() {
        0 => Err(Error::Kernel(
            "the image has no kernel: neither usr/lib/modules/<version>/vmlinuz nor boot/vmlinuz-<version> for a \
             version below usr/lib/modules; install a kernel package in the Containerfile"
                .into(),
        )),
        1 => Ok(kernels.remove(0)),
        _ => {
            let versions: Vec<_> = kernels.into_iter().map(|kernel| kernel.version).collect();
            Err(Error::Kernel(format!(
                "the image has {} kernels ({}) and must have one: remove the packages of the others in the Containerfile",
                versions.len(),
                versions.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::files::tests::Fake;

    #[test]
    fn the_kernel_is_found_in_both_places() {
        let modules = Fake::default().with("usr/lib/modules/6.1/vmlinuz", b"K").with("usr/lib/modules/6.0/x", b"");
        assert_eq!(find(&modules).unwrap(), Kernel { version: "6.1".into(), image: b"K".to_vec() });
        let boot = Fake::default().with("usr/lib/modules/6.1/modules.dep", b"").with("boot/vmlinuz-6.1", b"K");
        assert_eq!(find(&boot).unwrap().version, "6.1");
    }

    #[test]
    fn none_and_two_are_refused_with_their_names() {
        let none = Fake::default().with("boot/vmlinuz-6.1", b"K");
        assert!(find(&none).unwrap_err().to_string().contains("install a kernel package"));
        let two = none.with("usr/lib/modules/6.1/a", b"").with("usr/lib/modules/6.2/vmlinuz", b"K");
        let message = find(&two).unwrap_err().to_string();
        assert!(message.contains("2 kernels (6.1, 6.2)"), "{message}");
    }
}
