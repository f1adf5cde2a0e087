//! `docs/testing.md` and the README say what is there: commands, groups, a scenario that is real, the demo's report.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The text without spaces at the ends of lines: a page indents otherwise than a source file.
fn flat(text: &str) -> String {
    text.lines().map(|line| line.trim().to_owned() + "\n").collect()
}

#[test]
fn commands_of_the_pages_exist_and_can_be_run() {
    let mut seen = 0;
    for page in ["README.md", "docs/testing.md"] {
        let text = read(page);
        for word in text.split(|c: char| c.is_whitespace() || "`(),:;".contains(c)) {
            if word.starts_with("ci/") && !word.ends_with('/') {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(word);
                let mode =
                    fs::metadata(&file).unwrap_or_else(|error| panic!("{page} names {word}: {error}")).permissions();
                assert!(mode.mode() & 0o111 != 0, "{page} names {word}, which cannot be run");
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "only {seen} commands were found");
}

#[test]
fn every_group_of_tests_is_explained() {
    let (script, page) = (read("ci/test"), read("docs/testing.md"));
    let groups = ["fast=(", "usual=(", "long=("].map(|list| {
        let rest = script.split(list).nth(1).unwrap();
        rest.split(')').next().unwrap().split_whitespace().collect::<Vec<_>>()
    });
    let groups = groups.concat();
    assert!(groups.len() >= 10, "{groups:?}");
    let help: String = script.lines().take_while(|line| line.starts_with('#')).collect();
    for group in groups {
        let row = page.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{group}`")));
        assert!(row, "docs/testing.md has no row for the group {group}");
        assert!(help.split_whitespace().any(|word| word == group), "ci/test --help does not explain {group}");
    }
}

#[test]
fn the_scenarios_and_the_road_that_are_shown_are_real_ones() {
    let page = read("docs/testing.md");
    let files = ["scenarios/image", "scenarios/disks", "scenarios/platform", "roads/follow", "roads/failures"];
    let sources: String = files.map(|file| flat(&read(&format!("vm/src/{file}.rs")))).concat();
    let shown: Vec<&str> = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(shown.len(), 3);
    for block in shown {
        assert!(sources.contains(&flat(block)), "no source file has this:\n{block}");
    }
}

#[test]
fn the_demos_report_is_described() {
    let page = read("docs/testing.md");
    let described = page.split("## The demo's report").nth(1).unwrap();
    let demo = read("ci/demo");
    for field in ["version", "ok", "steps", "step", "seconds", "detail"] {
        assert!(described.contains(&format!("`{field}`")), "docs/testing.md does not describe {field}");
        assert!(demo.contains(field), "ci/demo does not write {field}");
    }
}

#[test]
fn the_limits_of_the_page_are_those_of_the_program() {
    use cfs_host::model::limits::{Limit, Limits};
    let page = read("docs/layers.md");
    for (limit, name) in Limit::ALL {
        let row = format!("| `{name}` | {} |", Limits::default().most(limit));
        assert!(page.contains(&row), "docs/layers.md does not have {row}");
    }
}
