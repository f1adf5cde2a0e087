//! `storage.conf`: where podman's storage of this user is, and which additional image stores it reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
        let config = config()?.storage;
        if let Some(driver) = config.other_driver() {
            return Err(BadStores::Driver(driver));
        }
        let StorageConfig { graphroot, options, .. } = config;
        Ok(Self { own: graphroot.unwrap_or_else(default_root), additional: options.additionalimagestores })
    }

    /// Those of another user's podman, out of the text of its own `storage.conf`, which replaces the system's, and of the system's.
    pub fn of_user(own: Option<&str>, system: Option<&str>, home: &Home<'_>) -> Result<OfUser, String> {
        let parse = |text: Option<&str>| match text {
            Some(text) => {
                toml::from_str::<Config>(text).map(|config| config.storage).map_err(|error| error.to_string())
            }
            None => Ok(StorageConfig::default()),
        };
        // Of the system's podman takes nothing else for a user.
        let given = parse(system)?.rootless_storage_path;
        let config = parse(own)?;
        let other_driver = config.other_driver();
        let StorageConfig { graphroot, rootless_storage_path, options, .. } = config;
        let set = |path: &PathBuf| !path.as_os_str().is_empty();
        let root = graphroot.filter(set).or(rootless_storage_path.filter(set)).or(given.filter(set));
        Ok(OfUser {
            stores: Self {
                own: root.map_or_else(|| home.path.join(".local/share/containers/storage"), |path| home.expand(&path)),
                additional: options.additionalimagestores.iter().map(|path| home.expand(path)).collect(),
            },
            other_driver,
            mount_program: options.mount_program.or(options.overlay.mount_program).filter(|name| !name.is_empty()),
        })
    }

    /// All of them, its own first.
    pub fn all(self) -> Vec<PathBuf> {
        [vec![self.own], self.additional].concat()
    }
}

/// What a user's podman has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfUser {
    /// Its stores.
    pub stores: Stores,
    /// Its storage driver, if it is not overlay.
    pub other_driver: Option<String>,
    /// The program that mounts in the kernel's place.
    pub mount_program: Option<String>,
}

/// What stands for variables in a user's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// `$HOME`.
    pub path: &'a Path,
    /// `$USER`.
    pub name: &'a str,
    /// `$UID`.
    pub uid: u32,
}

impl Home<'_> {
    fn expand(&self, path: &Path) -> PathBuf {
        let home = self.path.to_string_lossy();
        let text = path.to_string_lossy().replace("$HOME", &home).replace("$USER", self.name);
        text.replace("$UID", &self.uid.to_string()).into()
    }
}

/// The system's `storage.conf`, if there is one that can be read.
pub fn system_config() -> Option<String> {
    SYSTEM.iter().find_map(|path| fs::read_to_string(path).ok())
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
    rootless_storage_path: Option<PathBuf>,
    options: StorageOptions,
}

impl StorageConfig {
    /// The driver, if it is not overlay.
    fn other_driver(&self) -> Option<String> {
        self.driver.clone().filter(|driver| !driver.is_empty() && driver != "overlay")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StorageOptions {
    additionalimagestores: Vec<PathBuf>,
    mount_program: Option<String>,
    overlay: OverlayOptions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OverlayOptions {
    mount_program: Option<String>,
}

const SYSTEM: [&str; 2] = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];

/// As containers-storage.conf(5) has it: the first that exists counts.
fn config_files() -> Vec<PathBuf> {
    if let Some(file) = std::env::var_os("CONTAINERS_STORAGE_CONF") {
        return vec![file.into()];
    }
    let mut files = Vec::new();
    if !is_root() {
        files.push(home("XDG_CONFIG_HOME", ".config").join("containers/storage.conf"));
    }
    files.extend(SYSTEM.map(PathBuf::from));
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

    fn alice() -> Home<'static> {
        Home { path: Path::new("/home/alice"), name: "alice", uid: 7 }
    }

    #[test]
    fn a_users_storage_is_where_its_own_file_says_or_below_the_home() {
        let root = |own: Option<&str>, system: Option<&str>| {
            Stores::of_user(own, system, &alice()).unwrap().stores.own.display().to_string()
        };
        let system = Some("[storage]\ngraphroot = \"/var/g\"\nrootless_storage_path = \"/srv/$USER-$UID\"\n");
        assert_eq!(root(None, None), "/home/alice/.local/share/containers/storage");
        assert_eq!(root(None, system), "/srv/alice-7");
        assert_eq!(root(Some("[storage]\ndriver = \"overlay\"\n"), system), "/srv/alice-7");
        assert_eq!(root(Some("[storage]\ngraphroot = \"$HOME/g\"\n"), system), "/home/alice/g");
        assert!(Stores::of_user(Some("[storage"), None, &alice()).is_err());
    }

    #[test]
    fn what_stands_in_the_way_of_a_users_store_is_seen() {
        let of = |own: &str| Stores::of_user(Some(own), None, &alice()).unwrap();
        let plain = of("[storage.options]\nadditionalimagestores = [\"/run/$UID\"]\n");
        assert_eq!((plain.other_driver, plain.mount_program), (None, None));
        assert_eq!(plain.stores.additional, [PathBuf::from("/run/7")]);
        assert_eq!(of("[storage]\ndriver = \"vfs\"\n").other_driver.as_deref(), Some("vfs"));
        for table in ["options", "options.overlay"] {
            let fuse = of(&format!("[storage.{table}]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n"));
            assert_eq!(fuse.mount_program.as_deref(), Some("/usr/bin/fuse-overlayfs"));
        }
    }
}
