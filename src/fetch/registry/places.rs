//! Where people put what concerns registries, as podman, Docker and bootc look for it.

use std::env::var_os;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fetch::{Error, Result};

/// Configuration of registries, large as it may be.
const FILE_MAX: u64 = 4 << 20;

/// The folders that files are looked for in.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// `/`, but for tests.
    pub root: PathBuf,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub config: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, else `/run/containers/UID` stands in for its `containers`.
    pub runtime: Option<PathBuf>,
    /// `$REGISTRY_AUTH_FILE`.
    pub auth_file: Option<PathBuf>,
    /// `$DOCKER_CONFIG`.
    pub docker: Option<PathBuf>,
    /// `$CONTAINERS_REGISTRIES_CONF`.
    pub registries: Option<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(super) fn of_this_host() -> Self {
        let given = |name: &str| var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = given("HOME");
        let config = given("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        Self {
            root: PathBuf::from("/"),
            home,
            config,
            runtime: given("XDG_RUNTIME_DIR"),
            auth_file: given("REGISTRY_AUTH_FILE"),
            docker: given("DOCKER_CONFIG"),
            registries: given("CONTAINERS_REGISTRIES_CONF"),
        }
    }

    /// Credentials, in the order in which they are looked for: podman's, Docker's, bootc's.
    pub(super) fn credentials(&self) -> Vec<PathBuf> {
        let user = rustix::process::geteuid().as_raw();
        let runtime = match &self.runtime {
            Some(folder) => folder.join("containers"),
            None => self.root.join(format!("run/containers/{user}")),
        };
        let docker = self.docker.clone().or_else(|| Some(self.home.as_ref()?.join(".docker")));
        let mut files = vec![runtime.join("auth.json")];
        files.extend(self.config.as_ref().map(|folder| folder.join("containers/auth.json")));
        files.extend(docker.map(|folder| folder.join("config.json")));
        files.extend(["run/ostree", "etc/ostree", "usr/lib/ostree"].map(|it| self.root.join(it).join("auth.json")));
        files
    }

    /// The main `registries.conf`, then its fragments in their order.
    pub(super) fn registries(&self) -> Result<Vec<PathBuf>> {
        let own = self.config.as_ref().map(|folder| folder.join("containers/registries.conf"));
        let own = own.filter(|file| file.exists());
        let system = ["etc", "usr/share"].map(|it| self.root.join(it).join("containers/registries.conf"));
        let system = system.into_iter().find(|file| file.exists());
        let mut files: Vec<PathBuf> = self.registries.clone().or(own).or(system).into_iter().collect();
        files.extend(fragments(&self.root.join("etc/containers/registries.conf.d"))?);
        if let Some(folder) = &self.config {
            files.extend(fragments(&folder.join("containers/registries.conf.d"))?);
        }
        Ok(files)
    }

    /// Names that podman was told to remember, which win over those of the configuration.
    pub(super) fn short_names(&self) -> PathBuf {
        match &self.home {
            Some(home) if !rustix::process::geteuid().is_root() => {
                home.join(".cache/containers/short-name-aliases.conf")
            }
            _ => self.root.join("var/cache/containers/short-name-aliases.conf"),
        }
    }

    /// Where the certificates for a host may lie; the first folder that exists counts.
    pub(super) fn certificates(&self, host: &str) -> Vec<PathBuf> {
        // A redirect may name any host; none of these is the name of a folder.
        if host.starts_with('.') {
            return Vec::new();
        }
        let own = self.config.as_ref().map(|folder| folder.join("containers/certs.d"));
        let system = ["etc/containers/certs.d", "etc/docker/certs.d"].map(|it| self.root.join(it));
        own.into_iter().chain(system).map(|folder| folder.join(host)).collect()
    }

    /// `policy.json`; the first that exists counts.
    pub(super) fn policies(&self) -> Vec<PathBuf> {
        let own = self.config.as_ref().map(|folder| folder.join("containers/policy.json"));
        own.into_iter().chain([self.root.join("etc/containers/policy.json")]).collect()
    }
}

/// `*.conf` of a folder, sorted by name.
fn fragments(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.collect::<io::Result<Vec<_>>>()),
    };
    let entries = entries.map_err(|error| unusable(folder, error.to_string()))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension() == Some(&OsString::from("conf")));
    files.sort();
    Ok(files)
}

/// A file's text; `None` if there is none.
pub(super) fn read(file: &Path) -> Result<Option<String>> {
    use std::io::Read;
    let mut text = String::new();
    let read = fs::File::open(file).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text));
    match read {
        Ok(length) if length as u64 == FILE_MAX => Err(unusable(file, format!("it is larger than {FILE_MAX} bytes"))),
        Ok(_) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(unusable(file, error.to_string())),
    }
}

/// An error that names the file.
pub(super) fn unusable(file: &Path, why: String) -> Error {
    Error::Setting { file: file.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_looked_for_in_podmans_order_then_bootcs() {
        let places = Places {
            root: "/".into(),
            home: Some("/h".into()),
            config: Some("/h/.config".into()),
            runtime: Some("/run/user/7".into()),
            ..Places::default()
        };
        let found: Vec<_> = places.credentials().iter().map(|file| file.display().to_string()).collect();
        assert_eq!(
            found,
            [
                "/run/user/7/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json",
                "/run/ostree/auth.json",
                "/etc/ostree/auth.json",
                "/usr/lib/ostree/auth.json"
            ]
        );
    }
}
