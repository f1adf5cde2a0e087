use super::*;
use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};

const OURS: &str = "usr/lib/cfs-host/health.d";
const MACHINE: &str = "etc/cfs-host/health.d";
const GREENBOOT: &str = "etc/greenboot/check";

fn put(root: &Path, path: &str, text: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
}

fn check(root: &Path, path: &str, script: &str) {
    put(root, path, &format!("#!/bin/sh\n{script}\n"), 0o755);
}

fn outcomes(root: &Path) -> Vec<(String, Outcome)> {
    run(&Sys::real(), root).into_iter().map(|check| (check.name, check.outcome)).collect()
}

#[test]
fn all_places_are_looked_at_required_first_and_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for path in [
        "etc/greenboot/check/wanted.d/01.sh",
        "usr/lib/cfs-host/health.d/wanted/00",
        "usr/lib/greenboot/check/required.d/30.sh",
        "etc/cfs-host/health.d/required/20",
        "usr/lib/cfs-host/health.d/required/10",
        "usr/lib/cfs-host/health.d/required/.hidden",
        "etc/greenboot/check/required.d/README",
    ] {
        check(dir.path(), path, "exit 0");
    }
    let names: Vec<String> = outcomes(dir.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "/usr/lib/cfs-host/health.d/required/10",
            "/etc/cfs-host/health.d/required/20",
            "/usr/lib/greenboot/check/required.d/30.sh",
            "/usr/lib/cfs-host/health.d/wanted/00",
            "/etc/greenboot/check/wanted.d/01.sh",
        ]
    );
}

#[test]
fn only_required_checks_decide() {
    let dir = tempfile::tempdir().unwrap();
    assert!(healthy(&run(&Sys::real(), dir.path())), "no checks, nothing failed");
    check(dir.path(), &format!("{OURS}/wanted/10"), "exit 1");
    check(dir.path(), &format!("{OURS}/required/10"), "exit 0");
    assert!(healthy(&run(&Sys::real(), dir.path())));
    check(dir.path(), &format!("{OURS}/required/20"), "echo no database; exit 3");
    let checks = run(&Sys::real(), dir.path());
    assert!(!healthy(&checks));
    assert_eq!((checks[1].outcome, checks[1].output.as_str()), (Outcome::Failed, "exit code 3: no database"));
}

#[test]
fn a_check_that_cannot_be_run_fails_and_is_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &format!("{OURS}/required/10"), "#!/bin/sh\n", 0o644);
    put(dir.path(), &format!("{OURS}/required/20"), "#!/no/such/shell\n", 0o755);
    symlink("/no/such/file", dir.path().join(OURS).join("required/30")).unwrap();
    let found = outcomes(dir.path());
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|(_, outcome)| *outcome == Outcome::Failed), "{found:?}");
    let file = tempfile::tempdir().unwrap();
    put(file.path(), &format!("{OURS}/required"), "not a directory", 0o644);
    assert!(!healthy(&run(&Sys::real(), file.path())));
}

#[test]
fn the_machine_replaces_and_turns_off_checks_of_the_image() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["10", "20"] {
        check(dir.path(), &format!("{OURS}/required/{name}"), "exit 1");
    }
    check(dir.path(), &format!("{MACHINE}/required/10"), "exit 0");
    symlink("/dev/null", dir.path().join(MACHINE).join("required/20")).unwrap();
    assert_eq!(outcomes(dir.path()), [("/etc/cfs-host/health.d/required/10".to_owned(), Outcome::Passed)]);
}

#[test]
fn a_check_that_hangs_is_stopped_and_the_rest_still_runs() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &format!("{OURS}/required/10"), "echo waiting; sleep 1000");
    check(dir.path(), &format!("{OURS}/required/20"), "exit 0");
    put(dir.path(), "etc/cfs-host/health.conf", "10=1\n", 0o644);
    let checks = run(&Sys::real(), dir.path());
    assert_eq!((checks[0].outcome, checks[0].output.as_str()), (Outcome::TimedOut, "not done after 1 s: waiting"));
    assert_eq!(checks[1].outcome, Outcome::Passed);
}

#[test]
fn all_checks_together_have_a_limit_too() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["10", "20"] {
        check(dir.path(), &format!("{OURS}/required/{name}"), "sleep 1000");
    }
    put(dir.path(), "etc/cfs-host/health.conf", "total=1\n", 0o644);
    let checks = run(&Sys::real(), dir.path());
    assert!(checks.iter().all(|check| check.outcome == Outcome::TimedOut), "{checks:?}");
    assert!(checks[1].output.starts_with("not started"), "{checks:?}");
}

#[test]
fn greenboots_scripts_need_not_be_executable() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &format!("{GREENBOOT}/required.d/10.sh"), "[[ $BASH_VERSION ]] && exit 4\n", 0o644);
    let checks = run(&Sys::real(), dir.path());
    assert_eq!(checks[0].output, "exit code 4");
}

#[test]
fn after_a_verdict_only_its_own_programs_run() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "etc/greenboot/green.d/a.sh", "exit 1", 0o644);
    put(dir.path(), "etc/greenboot/red.d/b.sh", "exit 0", 0o644);
    let names = |healthy| afterwards(&Sys::real(), dir.path(), healthy).into_iter().map(|check| check.name);
    assert_eq!(names(true).collect::<Vec<_>>(), ["/etc/greenboot/green.d/a.sh"]);
    assert_eq!(names(false).collect::<Vec<_>>(), ["/etc/greenboot/red.d/b.sh"]);
}

#[test]
fn the_environment_is_small_and_the_output_can_be_shown() {
    let dir = tempfile::tempdir().unwrap();
    check(
        dir.path(),
        &format!("{OURS}/required/10"),
        "pwd; env | cut -d= -f1 | sort | tr '\\n' ' '; printf '\\033[2J'",
    );
    let checks = run(&Sys::real(), dir.path());
    assert_eq!(checks[0].output, "/\nLANG PATH PWD \u{fffd}[2J");
}

#[test]
fn a_limit_that_is_not_understood_is_reported_and_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "etc/cfs-host/health.conf", "each=soon\n", 0o644);
    let checks = run(&Sys::real(), dir.path());
    assert_eq!((checks[0].name.as_str(), checks[0].outcome), ("/etc/cfs-host/health.conf", Outcome::Failed));
    assert!(healthy(&checks));
}
