//! Keys for a firmware in setup mode, as systemd-boot enrolls them: signed updates (`.auth`).

use std::path::Path;

use super::{Error, Result};
use crate::boot::esp::EnrollKeys;

/// Reads `PK`, `KEK` and `db` from a directory with those files, or from the `secureboot/` of a key directory.
/// All three are needed: a firmware with some of them would be left half configured.
pub fn read(directory: &Path) -> Result<EnrollKeys> {
    ["PK", "KEK", "db"].into_iter().map(|name| Ok((name.to_owned(), read_one(directory, name)?))).collect()
}

fn read_one(directory: &Path, name: &'static str) -> Result<Vec<u8>> {
    let file = format!("{name}.auth");
    let bytes =
        std::fs::read(directory.join(&file)).or_else(|_| std::fs::read(directory.join("secureboot").join(&file)));
    bytes.map_err(|source| Error::Key { name, directory: directory.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_keys_are_needed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("secureboot")).unwrap();
        std::fs::write(dir.path().join("secureboot/PK.auth"), "pk").unwrap();
        std::fs::write(dir.path().join("KEK.auth"), "kek").unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains("db.auth"));
        std::fs::write(dir.path().join("db.auth"), "db").unwrap();
        let names: Vec<String> = read(dir.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["PK", "KEK", "db"]);
    }
}
