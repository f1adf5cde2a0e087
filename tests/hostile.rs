//! Layers that somebody made to break an import, each case named after what it tries. What is refused is refused with words that
//! name layer, path and reason, and leaves a store of complete objects without a name for the image; what is accepted means one thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

#[path = "hostile/cases.rs"]
mod cases;

use std::path::Path;
use std::process::Command;

use cases::{Case, Expected};
use cfs_host::fetch::Options;
use cfs_host::flow::import::Imported;
use cfs_host::image::{Node, Tree};
use cfs_host::model::limits::Limits;
use cfs_host::store::Store;
use fixture::{base, import_into, layout};

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

fn import(sandbox: &Path, case: &Case) -> anyhow::Result<Imported> {
    layout(&sandbox.join("image"), &[base().finish(), case.tar.clone()], case.pack);
    let limits = case.limits.iter().fold(Limits::default(), |limits, text| limits.with(text.parse().unwrap()));
    let reference = format!("oci:{}:v1", sandbox.join("image").display());
    import_into(&sandbox.join("store"), &reference, &Options { limits, ..Options::default() })
}

/// Complete objects, no temporary file, and no name but those of layers that were whole.
fn sound(sandbox: &Path) -> Result<(), String> {
    let store = Store::open(&sandbox.join("store")).unwrap();
    let checked = store.check(true).unwrap();
    if !checked.findings.is_empty() || checked.temporary != 0 {
        return Err(format!("the store is not clean: {checked:?}"));
    }
    let named: Vec<_> =
        store.stream_names().unwrap().into_keys().filter(|name| !name.starts_with("oci-layer-")).collect();
    if !named.is_empty() || !store.tags("oci").unwrap().is_empty() {
        return Err(format!("the store has names: {named:?}"));
    }
    Ok(())
}

/// What lies at a path, in a word or two.
fn shown(tree: &Tree, path: &[u8]) -> String {
    let Some((_, node, stat)) = tree.walk("").into_iter().find(|(known, ..)| known == path) else {
        return "nothing".to_owned();
    };
    match node {
        Node::Directory => "directory".to_owned(),
        Node::Inline(bytes) => format!("{:?} of {}", String::from_utf8_lossy(&bytes), stat.mtime),
        Node::Object { size, .. } => format!("{size} bytes"),
        Node::Symlink(target) => format!("link of {}", target.len()),
        other => format!("{other:?}"),
    }
}

fn judge(case: &Case) -> Result<(), String> {
    let sandbox = tempfile::tempdir().unwrap();
    let outcome = import(sandbox.path(), case);
    if names(sandbox.path()) != ["image", "store"] {
        return Err("it wrote outside of the store".to_owned());
    }
    match (outcome, &case.expected) {
        (Ok(imported), Expected::Tree(paths)) => {
            let wrong = paths.iter().map(|(path, what)| (path, shown(&imported.tree, path), what));
            let wrong: Vec<_> = wrong.filter(|(_, found, what)| found != *what).collect();
            if wrong.is_empty() {
                Ok(())
            } else {
                Err(format!("found, expected: {wrong:?}"))
            }
        }
        (Err(error), Expected::Refused(words)) => {
            let told = format!("{error:#}");
            let place = told.contains("sha256:") || told.contains("layer 2");
            match words.iter().find(|words| !told.contains(**words)) {
                None if place && !told.contains("died") => sound(sandbox.path()),
                missing => Err(format!("it says {told:?}, and not {missing:?}")),
            }
        }
        (Ok(_), Expected::Refused(_)) => Err("it was accepted".to_owned()),
        (Err(error), Expected::Tree(_)) => Err(format!("it was refused: {error:#}")),
    }
}

/// KiB of memory that the program may ask for: what it needs at rest, its threads and its queues, and no more for any layer.
const MEMORY: u32 = 200_000;

/// The real program, its memory limited. A panic, an abort or a fault of ours would be another exit code.
fn refused_by_the_program(case: &Case) -> Result<(), String> {
    let sandbox = tempfile::tempdir().unwrap();
    layout(&sandbox.path().join("image"), &[base().finish(), case.tar.clone()], case.pack);
    let limited = format!("ulimit -d {MEMORY}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_cfs-host"), "image", "pull", "--quiet"]);
    command.arg(format!("oci:{}:v1", sandbox.path().join("image").display()));
    command.arg("--sysroot").arg(sandbox.path().join("root"));
    let output = command.args(case.limits.iter().flat_map(|limit| ["--limit", limit])).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(3 | 6) if !told.contains("panicked") => Ok(()),
        code => Err(format!("exit code {code:?}: {told}")),
    }
}

#[test]
fn every_refusal_is_an_exit_code_and_takes_little_memory() {
    let cases = cases::all();
    let refused = cases.iter().filter(|case| matches!(case.expected, Expected::Refused(_)));
    let lines: Vec<_> =
        refused.filter_map(|case| Some(format!("{}: {}", case.name, refused_by_the_program(case).err()?))).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn every_hostile_layer_is_refused_in_words_or_means_one_thing() {
    let cases = cases::all();
    let failed: Vec<_> = cases.iter().filter_map(|case| Some((case.name, judge(case).err()?))).collect();
    println!("hostile cases: {} held: {}", cases.len(), cases.len() - failed.len());
    let lines: Vec<_> = failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(failed.is_empty(), "{}", lines.join("\n"));
    assert!(cases.len() >= 100);
}
