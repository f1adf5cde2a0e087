//! The trusted program stays small: `ci/budgets.json` has the limits. One that stands in the way of a
//! clearer shape is raised in the same commit, with the reason.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn budget(name: &str) -> u64 {
    let text = fs::read_to_string(root().join("ci/budgets.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].as_u64().unwrap()
}

/// Name and `links` key of every crate that is linked into `cfs-init`.
fn linked() -> Vec<(String, Option<String>)> {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO")).args(args).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let tree = run(&["tree", "--locked", "-p", "cfs-init", "-e", "normal,no-proc-macro", "--prefix", "none"]);
    let names: BTreeSet<String> =
        String::from_utf8(tree).unwrap().lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
    let metadata: Value = serde_json::from_slice(&run(&["metadata", "--locked", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    names
        .into_iter()
        .map(|name| {
            let package = packages.iter().find(|package| package["name"] == name.as_str()).unwrap();
            let links = package["links"].as_str().map(str::to_owned);
            (name, links)
        })
        .collect()
}

#[test]
fn the_trusted_program_links_few_crates_and_no_c() {
    let linked = linked();
    println!("cfs-init links {} crates", linked.len());
    assert!(linked.len() > 10, "cargo tree was not understood");
    assert!(linked.len() as u64 <= budget("trusted_crates"), "{} crates: {linked:?}", linked.len());
    let c: Vec<_> = linked.iter().filter(|(_, links)| links.is_some()).collect();
    assert!(c.is_empty(), "crates that link C: {c:?}");
}

#[test]
fn the_trusted_code_of_our_own_is_short() {
    let mut lines = 0;
    for entry in fs::read_dir(root().join("initramfs/src")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        lines += code.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count();
    }
    println!("cfs-init has {lines} lines of its own");
    assert!(lines as u64 <= budget("trusted_own_lines"), "{lines} lines");
}
