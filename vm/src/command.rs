//! Other programs: run to the end, and on failure say which one and what it said.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

/// A command with these arguments; paths and text may be mixed.
#[macro_export]
macro_rules! cmd {
    ($program:expr $(, $argument:expr)* $(,)?) => {{
        #[allow(unused_mut)]
        let mut command = std::process::Command::new($program);
        $(command.arg($argument);)*
        command
    }};
}

/// Runs the program and gives its standard output; any exit but 0 is an error with the end of what it printed.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}: is it installed? ci/setup installs what the tests need"))?;
    if !out.status.success() {
        bail!("{program} failed ({}): {}{}", out.status, tail(&out.stderr), tail(&out.stdout));
    }
    Ok(out.stdout)
}

/// Runs the program and gives its standard output as text.
pub fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?).into_owned())
}

/// Runs the program for its effect.
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Copies a file; holes stay holes and blocks are shared where the file system can.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    run(&mut cmd!("cp", "--sparse=always", "--reflink=auto", from, to))
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_program_and_its_words() {
        let error = run(&mut cmd!("sh", "-c", "echo broken >&2; exit 3")).unwrap_err().to_string();
        assert!(error.starts_with("sh failed") && error.contains("broken"), "{error}");
        let error = run(&mut cmd!("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program") && error.contains("ci/setup"), "{error}");
    }
}
