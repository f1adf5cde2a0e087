use super::*;
use proptest::prelude::*;

fn registries(files: &[&str]) -> Registries {
    let mut all = Registries::default();
    for text in files {
        all.merge(text).unwrap();
    }
    all
}

fn places(registries: &Registries, name: &str) -> Vec<(String, bool)> {
    let locations = registries.locations(&Name::parse(name).unwrap()).unwrap();
    locations.into_iter().map(|location| (location.name.to_string(), location.insecure)).collect()
}

const MIRRORED: &str = r#"
    [[registry]]
    prefix = "example.org/team"
    location = "internal.example:5000/copy"
    insecure = true
    [[registry.mirror]]
    location = "first.example/a"
    [[registry.mirror]]
    location = "second.example"
    insecure = true
    pull-from-mirror = "digest-only"
    [[registry]]
    location = "example.org/team/blocked"
    blocked = true
"#;

#[test]
fn mirrors_come_first_and_the_longest_prefix_counts() {
    let all = registries(&[MIRRORED]);
    assert_eq!(
        places(&all, "example.org/team/host:v1"),
        [("first.example/a/host:v1".to_owned(), false), ("internal.example:5000/copy/host:v1".to_owned(), true)]
    );
    let digest = format!("sha256:{}", "07".repeat(32));
    let pinned = places(&all, &format!("example.org/team/host@{digest}"));
    assert_eq!(pinned[1], (format!("second.example/host@{digest}"), true));
    assert_eq!(pinned.len(), 3);
    assert_eq!(places(&all, "example.org/teams/host:v1"), [("example.org/teams/host:v1".to_owned(), false)]);
    let blocked = all.locations(&Name::parse("example.org/team/blocked:v1").unwrap()).unwrap_err();
    assert!(blocked.contains("blocks example.org/team/blocked"), "{blocked}");
}

#[test]
fn a_registry_may_have_mirrors_for_digests_only() {
    let all = registries(&[
        "[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"b.example\"\n",
    ]);
    assert_eq!(places(&all, "a.example/x:v1"), [("a.example/x:v1".to_owned(), false)]);
    assert_eq!(places(&all, &format!("a.example/x@sha256:{}", "07".repeat(32))).len(), 2);
}

#[test]
fn a_star_stands_for_hosts_of_a_domain() {
    let all = registries(&["[[registry]]\nprefix = \"*.example.org\"\ninsecure = true\n"]);
    assert_eq!(places(&all, "a.b.example.org/x:v1"), [("a.b.example.org/x:v1".to_owned(), true)]);
    assert_eq!(places(&all, "example.org/x:v1"), [("example.org/x:v1".to_owned(), false)]);
    assert_eq!(places(&all, "other.net/a.example.org:v1"), [("other.net/a.example.org:v1".to_owned(), false)]);
}

#[test]
fn later_files_win_and_an_empty_alias_takes_one_away() {
    let all = registries(&[
        "unqualified-search-registries = [\"a.example\"]\n[aliases]\nx = \"a.example/x\"\ny = \"a.example/y\"\n",
        "unqualified-search-registries = [\"b.example\", \"c.example\"]\n[aliases]\nx = \"\"\n",
    ]);
    let names = |text: &str| all.names(text).unwrap().iter().map(Name::to_string).collect::<Vec<_>>();
    assert_eq!(names("x:v1"), ["b.example/x:v1", "c.example/x:v1"]);
    assert_eq!(names("y:v1"), ["a.example/y:v1"]);
    assert_eq!(names("d.example/y"), ["d.example/y:latest"]);
}

#[test]
fn a_short_name_that_means_nothing_or_too_much_is_refused() {
    let none = registries(&[]).names("debian:13").unwrap_err();
    assert!(none.contains("docker.io/library/debian:13"), "{none}");
    let two = registries(&[
        "unqualified-search-registries = [\"a.example\", \"b.example\"]\nshort-name-mode = \"enforcing\"\n",
    ]);
    assert!(two.names("debian").unwrap_err().contains("a.example, b.example"));
}

#[test]
fn version_one_is_refused_for_it_may_block_what_we_would_fetch() {
    let old = "[registries.block]\nregistries = [\"a.example\"]\n";
    assert!(Registries::default().merge(old).unwrap_err().contains("version 1"));
}

proptest! {
    #[test]
    fn any_text_and_any_prefix_are_read_or_refused(text: String, prefix in "[*.a/:]{0,6}", name in "[a.]{1,4}/[a/]{1,4}") {
        let _ = Registries::default().merge(&text);
        let file = format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"b.example\"\n");
        let mut all = Registries::default();
        if let (Ok(()), Ok(name)) = (all.merge(&file), Name::parse(&name)) {
            let _ = all.locations(&name);
        }
    }
}
