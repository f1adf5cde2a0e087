//! Other programs that write: `mke2fs`, `skopeo`, signing commands.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Error, Result, Sys};

/// What a successful program printed.
#[derive(Debug, Default)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
}

impl Sys {
    /// Runs a program to its end, with `input` on its standard input; one step.
    /// Fails with the end of its standard error if it does not exit with 0.
    pub fn run(&self, command: &mut Command, input: &[u8]) -> Result<Output> {
        let program = command.get_program().to_string_lossy().into_owned();
        let start = |source| Error::Start { program: program.clone(), source };
        self.step("run", Path::new(&program), || Ok(()))?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
        // The programs that we run read all their input before they print more than a pipe holds.
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(start(error)),
                _ => {}
            }
        }
        let output = child.wait_with_output().map_err(start)?;
        if !output.status.success() {
            return Err(Error::Program { program, status: output.status, stderr: tail(&output.stderr) });
        }
        Ok(Output { stdout: output.stdout })
    }
}

/// The last lines of a program's complaint, bounded.
fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ").chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_goes_in_and_output_comes_out() {
        let out = Sys::real().run(&mut Command::new("cat"), b"hello").unwrap();
        assert_eq!(out.stdout, b"hello");
    }

    #[test]
    fn a_failure_carries_the_programs_words() {
        let error = Sys::real().run(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]), b"").unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Sys::real().run(&mut Command::new("no-such-program"), b"").unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
