//! The arrows of `docs/architecture.md` hold: who may use whom, who may write, how large things grow.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below a folder, with its text up to the tests beside the code.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if name == "tests" || name == "testing" || name.ends_with("_tests") {
                continue; // tests beside the code, in a file of their own
            }
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("\n#[cfg(test)]\n").next().unwrap().to_owned();
                found.push((path, code));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// The table "module | may use" of the architecture page.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    let words = |cell: &str| cell.split([',', ' ', '`']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
    let rows: BTreeMap<String, BTreeSet<String>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| module "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            (cells[0].trim().trim_matches('`').to_owned(), words(cells[1]))
        })
        .collect();
    assert!(rows.len() > 8, "the table was not found");
    rows
}

/// The folders that a file's `crate::` paths name.
fn used(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let list = list.split('}').next().unwrap_or(list);
                names.extend(list.split(',').map(|part| first_word(part.trim())));
            } else {
                names.insert(first_word(rest));
            }
        }
    }
    names.remove("");
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn nobody_uses_what_the_table_does_not_allow() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (path, code) in sources("src") {
        let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let module = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(may) = allowed.get(&module) else {
            wrong.push(format!("src/{module} is not in the table of docs/architecture.md"));
            continue;
        };
        for name in used(&code) {
            if name != module && !may.contains(&name) {
                wrong.push(format!("{} uses {name}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the table does not have:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    let allowed = allowed();
    fn reaches(from: &str, to: &str, table: &BTreeMap<String, BTreeSet<String>>) -> bool {
        table.get(from).is_some_and(|next| next.iter().any(|name| name == to || reaches(name, to, table)))
    }
    for module in allowed.keys() {
        assert!(!reaches(module, module, &allowed), "{module} reaches itself");
    }
}

#[test]
fn only_sys_writes() {
    const WRITES: [&str; 20] = [
        "fs::write(",
        "fs::rename(",
        "fs::remove_file(",
        "fs::remove_dir",
        "fs::create_dir",
        "fs::copy(",
        "fs::hard_link(",
        "fs::set_permissions(",
        "File::create",
        ".create_new(",
        ".create(true)",
        ".truncate(true)",
        "unix::fs::symlink",
        "rustix::fs::renameat",
        "rustix::fs::linkat",
        "rustix::fs::unlinkat",
        "rustix::fs::mkdirat",
        "rustix::fs::lsetxattr",
        "rustix::fs::fsync",
        "rustix::mount::",
    ];
    // composefs-boot reads SELinux policies from a directory only: a temporary one, gone before the step ends.
    const SCRATCH: [&str; 1] = ["image/labels.rs"];
    let mut wrong = Vec::new();
    for (path, code) in sources("src") {
        let is_door = path.components().any(|part| part.as_os_str() == "sys");
        if is_door || SCRATCH.iter().any(|scratch| path.ends_with(scratch)) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            if let Some(word) = WRITES.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "durable operations outside src/sys:\n{}", wrong.join("\n"));
}

#[test]
fn the_trusted_code_is_small_and_has_one_file_of_system_calls() {
    for (path, code) in sources("initramfs/src") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let unsafe_code = code.contains("allow(unsafe_code)");
        assert!(!unsafe_code || name == "syscalls.rs" || name == "section.rs", "{name} allows unsafe code");
        for word in ["tokio", "openssl", "clap"] {
            assert!(!code.contains(&format!("use {word}")), "{name} uses {word}");
        }
    }
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("initramfs/src/main.rs")).unwrap();
    assert!(main.lines().count() <= 120, "the boot is no longer a list of steps: {} lines", main.lines().count());
}

#[test]
fn files_stay_readable_in_one_sitting() {
    const MOST: usize = 500;
    let mut long = Vec::new();
    for folder in ["src", "initramfs/src", "vm/src"] {
        for (path, code) in sources(folder) {
            let lines = code.lines().count();
            if lines > MOST {
                long.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "files over {MOST} lines without tests:\n{}", long.join("\n"));
}

#[test]
fn every_folder_and_file_says_what_it_is_for() {
    for folder in ["src", "initramfs/src", "vm/src"] {
        for (path, code) in sources(folder) {
            assert!(code.starts_with("//!"), "{} has no module doc", path.display());
        }
    }
}
