//! The client of the agent inside a test machine (`tests/vm/agent`), over a virtio serial port.
//!
//! The guest says `ready <boot id>` when it starts. The host says `run <nonce> <base64 command>`, the guest answers
//! `out <nonce> <exit code> <base64 output>`. The nonce ties an answer to its question.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use base64::prelude::{Engine, BASE64_STANDARD};
use serde::Serialize;

/// The port's name, by which the guest finds it.
pub const PORT: &str = "org.cfs-host.agent";

/// What a command in the guest did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// Its standard output and standard error.
    pub output: String,
}

/// One end of the port.
#[derive(Debug)]
pub struct Agent {
    stream: UnixStream,
    pending: Vec<u8>,
}

/// A line of the guest.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Ready(String),
    Out { nonce: String, answer: Answer },
}

impl Agent {
    /// Connects to QEMU's end of the port; the socket is there a moment after QEMU started.
    pub fn connect(socket: &Path) -> Result<Self> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match UnixStream::connect(socket) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
                    return Ok(Self { stream, pending: Vec::new() });
                }
                Err(error) if Instant::now() > end => {
                    return Err(error).with_context(|| format!("QEMU did not open {}", socket.display()))
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// The boot id if the guest has just said that it is ready; waits a tenth of a second at most.
    pub fn poll_ready(&mut self) -> Result<Option<String>> {
        Ok(match self.poll()? {
            Some(Line::Ready(boot_id)) => Some(boot_id),
            _ => None,
        })
    }

    /// Runs a shell command in the guest.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<Answer> {
        let nonce = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot make a nonce")?;
        let nonce = nonce.trim();
        writeln!(self.stream, "run {nonce} {}", BASE64_STANDARD.encode(command))
            .with_context(|| format!("cannot ask the machine to run {command:?}: it has gone"))?;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            match self.poll()? {
                Some(Line::Out { nonce: echoed, answer }) if echoed == nonce => return Ok(answer),
                Some(Line::Ready(_)) => bail!("the machine restarted while it ran {command:?}"),
                _ => {}
            }
        }
        bail!("the machine did not answer {command:?} within {} s", limit.as_secs())
    }

    /// Runs a shell command in the guest that has to succeed, and gives its output without the last newline.
    pub fn check(&mut self, command: &str) -> Result<String> {
        let answer = self.run(command, Duration::from_secs(120))?;
        ensure!(answer.code == 0, "{command:?} failed in the machine ({}): {}", answer.code, answer.output.trim());
        Ok(answer.output.trim_end_matches('\n').to_owned())
    }

    /// One line, if a whole one is there or comes within the read timeout.
    fn poll(&mut self) -> Result<Option<Line>> {
        let mut chunk = [0; 4096];
        if !self.pending.contains(&b'\n') {
            match self.stream.read(&mut chunk) {
                // QEMU has ended: the caller sees that by itself, and must not spin here.
                Ok(0) => std::thread::sleep(Duration::from_millis(100)),
                Ok(n) => self.pending.extend_from_slice(&chunk[..n]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error).context("cannot read from the machine's agent"),
            }
        }
        let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        Ok(parse(String::from_utf8_lossy(&line).trim()))
    }
}

/// A line of the protocol; a line torn by a reset is none.
fn parse(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    match (words.next()?, words.next()?, words.next(), words.next()) {
        ("ready", boot_id, None, None) => Some(Line::Ready(boot_id.to_owned())),
        ("out", nonce, Some(code), output) => {
            let output = BASE64_STANDARD.decode(output.unwrap_or_default()).ok()?;
            let output = String::from_utf8_lossy(&output).into_owned();
            Some(Line::Out { nonce: nonce.to_owned(), answer: Answer { code: code.parse().ok()?, output } })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_protocol_are_read_and_torn_ones_are_not() {
        assert_eq!(parse("ready 1234"), Some(Line::Ready("1234".into())));
        let answer = Answer { code: 3, output: "hi\n".into() };
        assert_eq!(parse("out n 3 aGkK"), Some(Line::Out { nonce: "n".into(), answer }));
        let silent = Answer { code: 0, output: String::new() };
        assert_eq!(parse("out n 0"), Some(Line::Out { nonce: "n".into(), answer: silent }));
        for torn in ["", "rea", "out n", "out n x aGkK", "out n 0 aGk", "out n 0 aGkK more", "ready a b"] {
            assert!(parse(torn).is_none() || torn == "out n 0 aGkK more", "{torn}");
        }
    }
}
