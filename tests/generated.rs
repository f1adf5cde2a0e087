//! Manual pages and completions in `docs/` are those of the program. After a change of the command line:
//! `BLESS=1 cargo test --test generated`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cfs_host::cli::Cli;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// The pages of a command and of all below it: `cfs-host-image-verify.1`.
fn pages(command: &Command, name: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    let page = command.clone().name(&*name.to_owned().leak()).disable_help_subcommand(true);
    let mut bytes = Vec::new();
    // The version changes with each release; the pages need not.
    clap_mangen::Man::new(page).source("cfs-host").render(&mut bytes).unwrap();
    found.insert(format!("{name}.1"), bytes);
    for child in command.get_subcommands().filter(|child| child.get_name() != "help" && !child.is_hide_set()) {
        pages(child, &format!("{name}-{}", child.get_name()), found);
    }
}

/// Compares, or writes when asked to, all files of a folder.
fn check(folder: &str, wanted: &BTreeMap<String, Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if std::env::var_os("BLESS").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in wanted {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let found: BTreeMap<String, Vec<u8>> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    let stale: Vec<_> =
        wanted.keys().chain(found.keys()).filter(|name| wanted.get(*name) != found.get(*name)).collect();
    assert!(stale.is_empty(), "not as the program says (BLESS=1 writes them anew): {stale:?}");
}

#[test]
fn manual_pages_are_those_of_the_program() {
    let mut wanted = BTreeMap::new();
    let mut command = Cli::command();
    command.build();
    pages(&command, "cfs-host", &mut wanted);
    assert!(wanted.len() > 8, "{:?}", wanted.keys());
    check("docs/man", &wanted);
}

#[test]
fn completions_are_those_of_the_program() {
    let wanted = [(Shell::Bash, "cfs-host.bash"), (Shell::Zsh, "_cfs-host"), (Shell::Fish, "cfs-host.fish")]
        .into_iter()
        .map(|(shell, name)| {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cfs-host", &mut bytes);
            (name.to_owned(), bytes)
        })
        .collect();
    check("docs/completions", &wanted);
}

/// The guide's and the README's commands are ones that the program has.
#[test]
fn documented_commands_exist() {
    let mut seen = 0;
    for page in ["README.md", "docs/guide.md", "docs/keys.md", "docs/layers.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("cfs-host ")) {
            let line = line.split('#').next().unwrap();
            let words = line.split_whitespace().filter(|word| *word != "\\");
            let error = Cli::command().try_get_matches_from(std::iter::once("cfs-host").chain(words)).err();
            let wrong = error.filter(|error| {
                use clap::error::ErrorKind::*;
                matches!(error.kind(), InvalidSubcommand | UnknownArgument | InvalidValue)
            });
            assert!(wrong.is_none(), "{page}: {line}: {}", wrong.unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} commands were found");
}
