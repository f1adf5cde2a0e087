//! Nothing but the signed initrd may lie in the initramfs (security rule 1).
//!
//! A loader can prepend an unsigned cpio archive. Its files would lie beside ours, so the first thing
//! that `/init` does is to compare what it finds with its own manifest.

use crate::policy::Policy;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Anything else: a device, a link, a socket.
    Other,
}

/// Empty directories that the kernel's built-in archive has (`/dev`, `/root`) and that `/init` mounts on.
const EMPTY: [&str; 6] = ["/dev", "/proc", "/root", "/run", "/sys", "/sysroot"];
/// Where the stub puts credentials and the like; nothing below it is ever used.
const EXTRA: &str = "/.extra";

/// The first thing that should not be there or is missing, as a line; `found` holds absolute paths, `/` left out.
pub fn unexpected(found: &[(String, Found)], policy: &Policy) -> Option<String> {
    let foreign = found.iter().find(|(path, what)| !is_expected(path, *what, policy)).map(|(path, what)| {
        let what = match what {
            Found::Directory => "directory",
            Found::File => "file",
            Found::Other => "special file or link",
        };
        format!("the initramfs has the {what} {path:?}, which is not of this UKI")
    });
    let missing = files(policy).find(|path| !found.iter().any(|(found, _)| found == path));
    foreign.or_else(|| missing.map(|path| format!("the initramfs lacks the file {path:?} of this UKI")))
}

fn is_expected(path: &str, what: Found, policy: &Policy) -> bool {
    let below = |parent: &str, path: &str| path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'));
    match what {
        _ if below(EXTRA, path) => true,
        Found::Directory => EMPTY.contains(&path) || path == EXTRA || files(policy).any(|file| below(path, file)),
        Found::File => files(policy).any(|file| file == path),
        Found::Other => path == "/dev/console",
    }
}

fn files(policy: &Policy) -> impl Iterator<Item = &str> {
    std::iter::once("/init").chain(policy.files.iter().map(|file| file.path.as_str()))
}

#[cfg(test)]
mod tests {
    use super::Found::{Directory, File, Other};
    use super::*;
    use crate::policy::tests::example;

    const OURS: [(&str, Found); 5] = [
        ("/init", File),
        ("/modules", Directory),
        ("/modules/ext4.ko", File),
        ("/dev", Directory),
        ("/dev/console", Other),
    ];

    fn with(more: &[(&str, Found)]) -> Option<String> {
        let found: Vec<_> = OURS.iter().chain(more).map(|(path, what)| (path.to_string(), *what)).collect();
        unexpected(&found, &example())
    }

    #[test]
    fn the_own_files_and_what_the_kernel_makes_are_expected() {
        assert_eq!(with(&[]), None);
        let empty = ["/root", "/proc", "/run", "/sys", "/sysroot"].map(|path| (path, Directory));
        assert_eq!(with(&empty), None);
        assert_eq!(
            with(&[("/.extra", Directory), ("/.extra/x", Directory), ("/.extra/x/y.cred", File), ("/.extra/z", Other)]),
            None
        );
    }

    #[test]
    fn everything_else_is_named() {
        for (path, what, word) in [
            ("/evil", File, "file"),
            ("/evil", Directory, "directory"),
            ("/evil", Other, "special file"),
            ("/init", Directory, "directory"),
            ("/init", Other, "special file"),
            ("/init/x", File, "file"),
            ("/modules/evil.ko", File, "file"),
            ("/modules/ext4.ko", Directory, "directory"),
            ("/modules/ext4.ko", Other, "special file"),
            ("/modules", Other, "special file"),
            ("/modul", Directory, "directory"),
            ("/dev/null", Other, "special file"),
            ("/dev/console", File, "file"),
            ("/dev", Other, "special file"),
            ("/root/.profile", File, "file"),
            ("/sysroot/x", Directory, "directory"),
            ("/.extra", File, "file"),
            ("/.extra", Other, "special file"),
            ("/.extras", Directory, "directory"),
            ("/.extrafile", File, "file"),
            ("", Other, "special file"),
        ] {
            let line = with(&[(path, what)]).expect(path);
            assert!(line.contains(word) && line.contains(&format!("{path:?}")), "{line}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        for gone in ["/init", "/modules/ext4.ko"] {
            let found: Vec<_> =
                OURS.iter().filter(|(path, _)| *path != gone).map(|(path, what)| (path.to_string(), *what)).collect();
            let line = unexpected(&found, &example()).expect(gone);
            assert!(line.contains("lacks") && line.contains(gone), "{line}");
        }
    }
}
