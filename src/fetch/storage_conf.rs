//! `storage.conf`: where podman's storage of this user is, and which additional image stores it reads.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;

/// The stores of this user's podman.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    /// Its own.
    pub own: PathBuf,
    /// Those that it only reads.
    pub additional: Vec<PathBuf>,
}

/// Why they are not known.
#[derive(Debug, thiserror::Error)]
pub enum BadStores {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no configuration.
    #[error("{}: {why}", path.display())]
    Invalid {
        /// Which one.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Another storage driver.
    #[error("its driver is {0}; only overlay is supported (push the image to a registry or an oci: directory)")]
    Driver(String),
}

impl Stores {
    /// Reads the configuration of this user's podman; without one it has its defaults.
    pub fn read() -> Result<Self, BadStores> {
        let StorageConfig { driver, graphroot, options } = config()?.storage;
        if let Some(driver) = driver.filter(|driver| !driver.is_empty() && driver != "overlay") {
            return Err(BadStores::Driver(driver));
        }
        Ok(Self { own: graphroot.unwrap_or_else(default_root), additional: options.additionalimagestores })
    }

    /// All of them, its own first.
    pub fn all(self) -> Vec<PathBuf> {
        [vec![self.own], self.additional].concat()
    }
}

fn config() -> Result<Config, BadStores> {
    for path in config_files() {
        return match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => Err(BadStores::Read { path, source }),
            Ok(text) => toml::from_str(&text).map_err(|error| BadStores::Invalid { path, why: error.to_string() }),
        };
    }
    Ok(Config::default())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    storage: StorageConfig,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StorageConfig {
    driver: Option<String>,
    graphroot: Option<PathBuf>,
    options: StorageOptions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StorageOptions {
    additionalimagestores: Vec<PathBuf>,
}

/// As containers-storage.conf(5) has it: the first that exists counts.
fn config_files() -> Vec<PathBuf> {
    if let Some(file) = std::env::var_os("CONTAINERS_STORAGE_CONF") {
        return vec![file.into()];
    }
    let mut files = Vec::new();
    if !is_root() {
        files.push(home("XDG_CONFIG_HOME", ".config").join("containers/storage.conf"));
    }
    files.extend(["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"].map(PathBuf::from));
    files
}

fn default_root() -> PathBuf {
    match is_root() {
        true => "/var/lib/containers/storage".into(),
        false => home("XDG_DATA_HOME", ".local/share").join("containers/storage"),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn home(variable: &str, below: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(below);
    std::env::var_os(variable).map_or_else(home, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_read_as_podman_writes_it() {
        let text = "[storage]\ndriver = \"overlay\"\ngraphroot = \"/g\"\n[storage.options]\nadditionalimagestores = [\n\"/a\",\n]\n\
                    [storage.options.overlay]\nmountopt = \"nodev\"\n";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.storage.graphroot, Some("/g".into()));
        assert_eq!(config.storage.options.additionalimagestores, [PathBuf::from("/a")]);
    }
}
