//! What a bootable image holds for its host: UKI, loader, name. Paths: `docs/formats.md`, "Names".

use std::io::Read;

use cfs_init::policy::Policy;

use super::{Error, Result};
use crate::boot::uki::embedded_policy;
use crate::image::{Node, Tree};
use crate::model::arch::Arch;
use crate::store::Store;

const MODULES: &str = "usr/lib/modules";
const UKI: &str = "cfs-host.efi";
const LOADERS: &str = "usr/lib/cfs-host/boot";
const OS_RELEASE: &str = "usr/lib/os-release";
/// The largest UKI or loader that is read into memory.
const MAX_BYTES: u64 = 512 << 20;

/// The UKI and whose kernel it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uki {
    /// The directory below `/usr/lib/modules`.
    pub kernel: String,
    /// Path in the image.
    pub path: String,
    /// The signed file.
    pub bytes: Vec<u8>,
}

/// The one UKI of the image.
pub fn uki(tree: &Tree, store: &Store) -> Result<Uki> {
    let directories = tree.list(MODULES).unwrap_or_default();
    let versions = directories.into_iter().filter_map(|name| String::from_utf8(name).ok());
    let mut with_uki = versions.filter(|version| tree.get(&uki_path(version)).is_some()).collect::<Vec<_>>();
    match (with_uki.pop(), with_uki.is_empty()) {
        (Some(kernel), true) => {
            let path = uki_path(&kernel);
            let bytes = content(tree, store, &path, "seal the image again")?;
            Ok(Uki { kernel, path, bytes })
        }
        (Some(last), false) => {
            with_uki.push(last);
            Err(Error::SeveralUkis(with_uki))
        }
        (None, _) => {
            let hint = "it is not sealed as a host image; run cfs-host seal on it";
            Err(Error::Missing { path: uki_path("<kernel version>"), hint })
        }
    }
}

/// What the UKI's `/init` obeys.
pub fn policy(uki: &Uki) -> Result<Policy> {
    embedded_policy(&uki.bytes).map_err(|source| Error::Uki { path: uki.path.clone(), source })
}

/// Where the signed loader lies in the image.
pub fn loader_path(arch: &Arch) -> String {
    format!("{LOADERS}/{}", arch.systemd_boot)
}

/// The signed loader.
pub fn loader(tree: &Tree, store: &Store, arch: &Arch) -> Result<Vec<u8>> {
    content(tree, store, &loader_path(arch), "it is added by cfs-host seal; seal the image again")
}

/// The system's name for people: `PRETTY_NAME`, or a plain word.
pub fn system_name(tree: &Tree, store: &Store) -> String {
    let text = content(tree, store, OS_RELEASE, "").unwrap_or_default();
    pretty_name(&String::from_utf8_lossy(&text)).unwrap_or_else(|| "Linux".to_owned())
}

fn uki_path(version: &str) -> String {
    format!("{MODULES}/{version}/{UKI}")
}

/// The bytes of a regular file.
fn content(tree: &Tree, store: &Store, path: &str, hint: &'static str) -> Result<Vec<u8>> {
    let fail = |why: String| Error::Content { path: path.to_owned(), why };
    match tree.get(path) {
        Some((Node::Inline(bytes), _)) => Ok(bytes),
        Some((Node::Object { size, .. }, _)) if size > MAX_BYTES => {
            Err(fail(format!("it is larger than {MAX_BYTES} bytes")))
        }
        Some((Node::Object { digest, size }, _)) => {
            let object = store.object(&digest).map_err(|error| fail(error.to_string()))?;
            let mut bytes = Vec::with_capacity(size as usize);
            object.take(size + 1).read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
            match bytes.len() as u64 == size {
                true => Ok(bytes),
                false => Err(fail(format!("object {digest} does not have {size} bytes"))),
            }
        }
        Some(_) => Err(fail("it is not a regular file".into())),
        None => Err(Error::Missing { path: path.to_owned(), hint }),
    }
}

/// `PRETTY_NAME` of an os-release file, without its quotes and escapes.
fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().rev().find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let name = match (quoted('"'), quoted('\'')) {
        (Some(inner), _) => unescaped(inner),
        (None, Some(inner)) => inner.to_owned(),
        (None, None) => value.to_owned(),
    };
    (!name.trim().is_empty()).then(|| name.trim().to_owned())
}

fn unescaped(text: &str) -> String {
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            escaped = c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_with_and_without_quotes() {
        for (text, name) in [
            ("ID=x\nPRETTY_NAME=\"Example OS 1\"\n", "Example OS 1"),
            ("PRETTY_NAME='Example $1'", "Example $1"),
            ("PRETTY_NAME=Plain", "Plain"),
            (r#"PRETTY_NAME="a \"b\" \\c""#, r#"a "b" \c"#),
            ("PRETTY_NAME=old\nPRETTY_NAME=new", "new"),
        ] {
            assert_eq!(pretty_name(text).unwrap(), name);
        }
        for none in ["", "NAME=x", "PRETTY_NAME=", "PRETTY_NAME=\"\"", "PRETTY_NAME=\"  \""] {
            assert_eq!(pretty_name(none), None, "{none}");
        }
    }
}
