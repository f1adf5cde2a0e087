//! Which programs are checks: the files of a few directories, of the image (`/usr/lib`) and of the machine (`/etc`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most programs of one kind.
const MAX_PROGRAMS: usize = 256;

/// Where programs lie: the image's directory, and the machine's, which comes before it.
struct Place {
    image: &'static str,
    machine: &'static str,
    /// greenboot gives every `*.sh` to bash, executable or not; other names are none of its.
    greenboot: bool,
}

const fn ours(image: &'static str, machine: &'static str) -> Place {
    Place { image, machine, greenboot: false }
}

const fn greenboot(image: &'static str, machine: &'static str) -> Place {
    Place { image, machine, greenboot: true }
}

const REQUIRED: [Place; 2] = [
    ours("usr/lib/cfs-host/health.d/required", "etc/cfs-host/health.d/required"),
    greenboot("usr/lib/greenboot/check/required.d", "etc/greenboot/check/required.d"),
];
const WANTED: [Place; 2] = [
    ours("usr/lib/cfs-host/health.d/wanted", "etc/cfs-host/health.d/wanted"),
    greenboot("usr/lib/greenboot/check/wanted.d", "etc/greenboot/check/wanted.d"),
];
const GREEN: [Place; 1] = [greenboot("usr/lib/greenboot/green.d", "etc/greenboot/green.d")];
const RED: [Place; 1] = [greenboot("usr/lib/greenboot/red.d", "etc/greenboot/red.d")];

/// A program that is to be run.
#[derive(Debug)]
pub(super) struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Whether its failure counts.
    pub required: bool,
    greenboot: bool,
    /// Why it cannot be run: what should have been a check fails, it is not left out.
    broken: Option<String>,
}

impl Program {
    /// How to run it: from `/`, with the least environment.
    pub(super) fn command(&self) -> Result<Command, String> {
        if let Some(why) = &self.broken {
            return Err(why.clone());
        }
        let mut command = match self.greenboot {
            true => Command::new("bash"),
            false => Command::new(&self.path),
        };
        if self.greenboot {
            command.arg(&self.path);
        }
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LANG", "C.UTF-8").current_dir("/");
        Ok(command)
    }
}

/// All checks; the required ones first.
pub(super) fn checks(root: &Path) -> Vec<Program> {
    let mut found = find(root, &REQUIRED, true);
    found.extend(find(root, &WANTED, false));
    found
}

/// What runs after a verdict.
pub(super) fn afterwards(root: &Path, healthy: bool) -> Vec<Program> {
    find(root, if healthy { &GREEN } else { &RED }, false)
}

/// The programs of these places, in the order of their names.
fn find(root: &Path, places: &[Place], required: bool) -> Vec<Program> {
    let mut found = Vec::new();
    for place in places {
        let program = |path, broken| Program { path, required, greenboot: place.greenboot, broken };
        let mut files = BTreeMap::new();
        for directory in [place.image, place.machine] {
            let directory = root.join(directory);
            match names(&directory) {
                Ok(names) => files.extend(names.into_iter().map(|name| (name.clone(), directory.join(name)))),
                Err(error) => found.push(program(directory, Some(format!("cannot be read: {error}")))),
            }
        }
        if place.greenboot {
            files.retain(|name, _| Path::new(name).extension().is_some_and(|ending| ending == "sh"));
        }
        found.extend(files.into_values().filter_map(|path| look(&path, place.greenboot).map(|why| program(path, why))));
    }
    found.sort_by(|a, b| (a.path.file_name(), &a.path).cmp(&(b.path.file_name(), &b.path)));
    found
}

/// The file names in a directory but hidden ones; none if it is not there.
fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let list = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let names: Vec<OsString> = list.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
    let names: Vec<_> = names.into_iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")).collect();
    match names.len() > MAX_PROGRAMS {
        true => Err(io::Error::other(format!("more than {MAX_PROGRAMS} files"))),
        false => Ok(names),
    }
}

/// `None`: no program, as a directory, or a link to /dev/null that turns one of the image off. Else why it cannot be run.
fn look(path: &Path, greenboot: bool) -> Option<Option<String>> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => None,
        Ok(metadata) if greenboot || metadata.permissions().mode() & 0o111 != 0 => Some(None),
        Ok(_) => Some(Some("it is not executable: chmod +x makes it a check, removing it ends that".to_owned())),
        Err(error) => Some(Some(format!("cannot be read: {error}"))),
    }
}
