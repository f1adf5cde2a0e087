//! The firmware's variables, made and read from outside the machine by `virt-fw-vars`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cache::{self, Input};
use crate::{cmd, command};

/// Variables of an OVMF that has never been started: no keys, Secure Boot off.
pub const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// Whose keys they are; ours, from docs/formats.md.
const OWNER: &str = "9fd18223-d7cf-408a-99da-5f27ad87cddb";
/// The vendor of `LoaderEntrySelected` and its like.
pub const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The vendor of our own variables.
pub const CFS_HOST: &str = "76de96f7-2aa9-429f-9361-321acb1fd2a1";
/// Non-volatile, boot and runtime access: what a program of the running system writes.
pub const PLANTED: u32 = 7;

/// One EFI variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its vendor.
    pub guid: String,
    /// Its attributes.
    pub attr: u32,
    /// Its value.
    #[serde(with = "hex")]
    pub data: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Dump<T> {
    version: u32,
    variables: Vec<T>,
}

impl Variable {
    /// A planted loader variable: text as UTF-16 with its NUL, non-volatile.
    pub fn planted(name: &str, text: &str) -> Self {
        let data = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        Self { name: name.to_owned(), guid: LOADER.to_owned(), attr: PLANTED, data }
    }
}

/// Variables with the platform key, the key exchange key and the db of `keys/secureboot`, Secure Boot enforced.
pub fn enrolled(keys: &Path) -> Result<PathBuf> {
    let certificate = |name: &str| keys.join("secureboot").join(name);
    let (pk, kek, db) = (certificate("PK.crt"), certificate("KEK.crt"), certificate("db.crt"));
    let inputs = [Input::File(Path::new(OVMF_VARS)), Input::File(&pk), Input::File(&kek), Input::File(&db)];
    let made = cache::artifact("vars", &inputs, |dir| {
        let mut tool = cmd!(tool()?, "-i", OVMF_VARS, "-o", dir.join("vars.fd"));
        tool.args(["--set-pk", OWNER]).arg(&pk);
        tool.args(["--add-kek", OWNER]).arg(&kek);
        tool.args(["--add-db", OWNER]).arg(&db);
        command::run(tool.arg("--sb"))
    })?;
    Ok(made.join("vars.fd"))
}

/// Writes variables into the file.
pub fn plant(vars: &Path, variables: &[Variable]) -> Result<()> {
    let json = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    serde_json::to_writer(&json, &Dump { version: 2, variables: variables.to_vec() })?;
    command::run(&mut cmd!(tool()?, "--inplace", vars, "--set-json", json.path()))
}

/// Reads a variable from the file.
pub fn read(vars: &Path, guid: &str, name: &str) -> Result<Option<Variable>> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let json = dir.path().join("vars.json");
    command::run(&mut cmd!(tool()?, "-i", vars, "--output-json", &json))?;
    let dump: Dump<serde_json::Value> = serde_json::from_slice(&fs::read(&json)?)
        .with_context(|| format!("virt-fw-vars gave no JSON for {}", vars.display()))?;
    let found = dump.variables.into_iter().find(|one| one["name"] == name && one["guid"] == guid);
    found.map(serde_json::from_value).transpose().with_context(|| format!("the variable {name} can not be read"))
}

/// `$CFS_VIRT_FW_VARS`, or where `ci/setup` puts it.
fn tool() -> Result<PathBuf> {
    match std::env::var_os("CFS_VIRT_FW_VARS") {
        Some(path) => Ok(PathBuf::from(path)),
        None => Ok(cache::home()?.join(".cache/cfs-host/venv/bin/virt-fw-vars")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planted_is_read_back_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let vars = dir.path().join("vars.fd");
        fs::copy(OVMF_VARS, &vars).unwrap();
        let planted = Variable::planted("LoaderEntrySelected", "cfs-x.conf");
        plant(&vars, std::slice::from_ref(&planted)).unwrap();
        assert_eq!(read(&vars, LOADER, "LoaderEntrySelected").unwrap(), Some(planted));
        assert_eq!(read(&vars, CFS_HOST, "LoaderEntrySelected").unwrap(), None);
        assert_eq!(read(&vars, LOADER, "Other").unwrap(), None);
    }
}
