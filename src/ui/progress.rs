//! Progress: bars on a terminal, plain lines elsewhere, both on standard error; and JSON lines for another program.

mod jsonl;
mod lines;
mod terminal;

use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use crate::model::progress::Event;
use jsonl::{channel, Reporter};
use lines::line;
use terminal::Terminal;

/// Who is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Nothing for people.
    pub quiet: bool,
    /// JSON lines for another program, on this file descriptor.
    pub fd: Option<i32>,
}

/// Tells what happens to all who listen.
#[derive(Debug)]
pub struct Progress {
    people: People,
    program: Option<Mutex<Reporter<File>>>,
}

#[derive(Debug)]
enum People {
    Nobody,
    Terminal(Terminal),
    Lines,
}

impl People {
    fn watching() -> Self {
        match io::stderr().is_terminal() {
            true => Self::Terminal(Terminal::new()),
            false => Self::Lines,
        }
    }
}

impl Progress {
    /// For people alone; looks whether they have a terminal.
    pub fn new() -> Self {
        Self { people: People::watching(), program: None }
    }

    /// For these listeners; fails if the descriptor is not open for writing.
    pub fn open(mode: Mode) -> io::Result<Self> {
        let program = mode.fd.map(channel).transpose()?.map(|to| Mutex::new(Reporter::start(to)));
        let people = if mode.quiet { People::Nobody } else { People::watching() };
        Ok(Self { people, program })
    }

    /// Something happened.
    pub fn event(&self, event: Event) {
        if let Some(program) = &self.program {
            program.lock().unwrap_or_else(PoisonError::into_inner).event(&event);
        }
        match &self.people {
            People::Nobody => {}
            People::Terminal(terminal) => terminal.event(&event),
            People::Lines => line(&event).iter().for_each(|line| eprintln!("{line}")),
        }
    }

    /// A step begins; the one before is done.
    pub fn step(&self, text: &str) {
        self.event(Event::Step(text.to_owned()));
    }

    /// Prints something for people without tearing the bars; nothing if nobody is to be told.
    pub fn suspend(&self, print: impl FnOnce()) {
        match &self.people {
            People::Nobody => {}
            People::Terminal(terminal) => terminal.suspend(print),
            People::Lines => print(),
        }
    }

    /// All is done: clears the bars, so that a result can be printed.
    pub fn finish(&self) {
        if let Some(program) = &self.program {
            program.lock().unwrap_or_else(PoisonError::into_inner).finish();
        }
        if let People::Terminal(terminal) = &self.people {
            terminal.clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // An error ends the last step as well, and is told otherwise.
        if let People::Terminal(terminal) = &self.people {
            terminal.clear();
        }
    }
}

/// `sha256:0123456789ab`: enough to find it.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::progress::{Layer, LayerState};
    use std::io::Read;
    use std::os::fd::AsRawFd;

    fn layer(state: LayerState, bytes: u64) -> Event {
        let digest = format!("sha256:{}", "ab".repeat(32));
        Event::Layer(Layer { index: 0, of: 1, digest, bytes, total: 100, state })
    }

    #[test]
    fn another_program_gets_json_lines_on_its_descriptor() {
        let (mut reader, writer) = io::pipe().unwrap();
        let progress = Progress::open(Mode { quiet: true, fd: Some(writer.as_raw_fd()) }).unwrap();
        drop(writer);
        progress.step("Importing");
        progress.event(layer(LayerState::Waiting, 0));
        progress.event(layer(LayerState::Done, 100));
        progress.suspend(|| panic!("nobody is to be told"));
        progress.finish();
        drop(progress);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let kinds: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds, ["Start", "ProgressSteps", "ProgressBytes", "ProgressBytes", "ProgressSteps"]);
    }

    #[test]
    fn a_descriptor_that_cannot_be_written_is_refused() {
        let (reader, _writer) = io::pipe().unwrap();
        let refused = |fd| Progress::open(Mode { quiet: true, fd: Some(fd) }).unwrap_err().to_string();
        assert!(refused(reader.as_raw_fd()).contains("not open for writing"));
        assert!(refused(i32::MAX).contains("not open"));
        assert!(refused(-1).contains("not open"));
    }

    #[test]
    fn a_reader_that_goes_away_or_does_not_read_holds_nothing_up() {
        let (reader, writer) = io::pipe().unwrap();
        let progress = Progress::open(Mode { quiet: true, fd: Some(writer.as_raw_fd()) }).unwrap();
        (0..2000).for_each(|_| progress.step("a step that nobody reads about"));
        drop(reader);
        (0..3).for_each(|_| progress.step("a step"));
        progress.finish();
    }
}
