//! Progress for another program: JSON lines in the form of bootc's `--progress-fd`, version 0.
//!
//! The reader is not waited for: a line that the pipe has no room for is lost, and a reader that went away ends it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use serde::Serialize;

use super::short;
use crate::model::progress::{Event, Layer, LayerState};

/// The version of the protocol.
const VERSION: &str = "0.1.0";
/// Between two lines that may be left out.
const PAUSE: Duration = Duration::from_millis(200);
const PULLING: &str = "pulling";
const STAGING: &str = "staging";

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum Line<'a> {
    /// The first one.
    Start { version: &'a str },
    /// How far the layers have come.
    ProgressBytes {
        task: &'a str,
        description: &'a str,
        id: &'a str,
        bytes_cached: u64,
        bytes: u64,
        bytes_total: u64,
        steps_cached: usize,
        steps: usize,
        steps_total: usize,
        subtasks: Vec<LayerTask<'a>>,
    },
    /// Steps without a size; how many there will be is not said.
    ProgressSteps {
        task: &'a str,
        description: &'a str,
        id: &'a str,
        steps_cached: usize,
        steps: usize,
        steps_total: usize,
        subtasks: Vec<StepTask<'a>>,
    },
}

/// A layer; done when `bytes` is `bytesTotal`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerTask<'a> {
    subtask: &'a str,
    description: String,
    id: &'a str,
    bytes_cached: u64,
    bytes: u64,
    bytes_total: u64,
}

/// A step.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StepTask<'a> {
    subtask: &'a str,
    description: &'a str,
    id: &'a str,
    completed: bool,
}

impl<'a> StepTask<'a> {
    fn new(text: &'a str, completed: bool) -> Self {
        Self { subtask: "step", description: text, id: text, completed }
    }
}

/// Opens this process's descriptor anew, so that only our writing does not wait.
pub(super) fn channel(fd: i32) -> io::Result<File> {
    let odd = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("file descriptor {fd} is {why}"));
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).map_err(|_| odd("not open"))?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).map(OFlags::from_bits_retain);
    if flags.is_none_or(|flags| !flags.intersects(OFlags::WRONLY | OFlags::RDWR)) {
        return Err(odd("not open for writing"));
    }
    let flags = (OFlags::NONBLOCK | OFlags::APPEND).bits().cast_signed();
    let opened = OpenOptions::new().write(true).custom_flags(flags).open(format!("/proc/self/fd/{fd}"));
    opened.map_err(|error| odd(&format!("neither a pipe nor a file that can be written ({error})")))
}

/// Writes the lines.
#[derive(Debug)]
pub(super) struct Reporter<W> {
    to: Option<W>,
    layers: BTreeMap<usize, Layer>,
    steps: usize,
    step: Option<String>,
    written: Option<Instant>,
}

impl<W: Write> Reporter<W> {
    /// Begins.
    pub fn start(to: W) -> Self {
        let mut reporter = Self { to: Some(to), layers: BTreeMap::new(), steps: 0, step: None, written: None };
        reporter.to = send(reporter.to, &Line::Start { version: VERSION });
        reporter
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Step(text) => self.step(Some(text)),
            Event::Layer(layer) => self.layer(layer),
        }
    }

    /// The last step is done.
    pub fn finish(&mut self) {
        if self.step.is_some() {
            self.step(None);
        }
    }

    fn step(&mut self, next: Option<&String>) {
        let done = self.step.take();
        self.steps += usize::from(done.is_some());
        let done_task = done.iter().map(|text| StepTask::new(text, true));
        let line = Line::ProgressSteps {
            task: STAGING,
            description: "Staging the image",
            id: STAGING,
            steps_cached: 0,
            steps: self.steps,
            steps_total: 0,
            subtasks: done_task.chain(next.map(|text| StepTask::new(text, false))).collect(),
        };
        self.to = send(self.to.take(), &line);
        self.step = next.cloned();
    }

    fn layer(&mut self, layer: &Layer) {
        self.layers.insert(layer.index, layer.clone());
        // Until all are known their sum says nothing; and nobody reads more often than this.
        let soon = self.written.is_some_and(|written| written.elapsed() < PAUSE);
        if self.layers.len() < layer.of || (soon && layer.state == LayerState::Reading) {
            return;
        }
        self.to = send(self.to.take(), &pulling(&self.layers, layer));
        self.written = Some(Instant::now());
    }
}

/// All layers, and the one that moved on.
fn pulling<'a>(layers: &BTreeMap<usize, Layer>, layer: &'a Layer) -> Line<'a> {
    let of = |known: bool| layers.values().filter(move |layer| (layer.state == LayerState::Known) == known);
    let moving = matches!(layer.state, LayerState::Reading | LayerState::Done);
    let task = moving.then(|| LayerTask {
        subtask: "layer",
        description: format!("Layer {}", short(&layer.digest)),
        id: &layer.digest,
        bytes_cached: 0,
        bytes: layer.bytes,
        // What came is what there was: some sources have other sizes than the manifest says.
        bytes_total: if layer.state == LayerState::Done { layer.bytes } else { layer.total },
    });
    Line::ProgressBytes {
        task: PULLING,
        description: "Pulling the image",
        id: PULLING,
        bytes_cached: of(true).map(|layer| layer.total).sum(),
        bytes: of(false).map(|layer| layer.bytes).sum(),
        bytes_total: of(false).map(|layer| layer.total).sum(),
        steps_cached: of(true).count(),
        steps: of(false).filter(|layer| layer.state == LayerState::Done).count(),
        steps_total: of(false).count(),
        subtasks: task.into_iter().collect(),
    }
}

/// Writes a line, whole or not at all; gives the writer back while there is a reader.
fn send<W: Write>(to: Option<W>, line: &Line<'_>) -> Option<W> {
    let mut to = to?;
    let mut bytes = serde_json::to_vec(line).ok()?;
    bytes.push(b'\n');
    match to.write(&bytes) {
        Ok(length) if length == bytes.len() => Some(to),
        // Full: this line is lost.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(to),
        // A line that is cut off, or a reader that went away, is the end.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    fn lines(events: &[Event]) -> Vec<Value> {
        let mut bytes = Vec::new();
        let mut reporter = Reporter::start(&mut bytes);
        events.iter().for_each(|event| reporter.event(event));
        reporter.finish();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn layer(index: usize, state: LayerState, bytes: u64) -> Event {
        let digest = format!("sha256:{}", "ab".repeat(32));
        Event::Layer(Layer { index, of: 2, digest, bytes, total: 100, state })
    }

    #[test]
    fn the_lines_are_those_of_bootc() {
        let found = lines(&[
            Event::Step("Importing".into()),
            layer(0, LayerState::Known, 0),
            layer(1, LayerState::Waiting, 0),
            layer(1, LayerState::Done, 90),
            Event::Step("Verifying".into()),
        ]);
        let step =
            |text: &str, completed| json!({"subtask": "step", "description": text, "id": text, "completed": completed});
        let steps = |steps: usize, subtasks: Value| {
            json!({"type": "ProgressSteps", "task": "staging", "description": "Staging the image", "id": "staging",
                   "stepsCached": 0, "steps": steps, "stepsTotal": 0, "subtasks": subtasks})
        };
        let bytes = |bytes: u64, steps: usize, subtasks: Value| {
            json!({"type": "ProgressBytes", "task": "pulling", "description": "Pulling the image", "id": "pulling", "bytesCached": 100,
                   "bytes": bytes, "bytesTotal": 100, "stepsCached": 1, "steps": steps, "stepsTotal": 1, "subtasks": subtasks})
        };
        let layer = json!({"subtask": "layer", "description": "Layer sha256:abababababab", "id": format!("sha256:{}", "ab".repeat(32)),
                           "bytesCached": 0, "bytes": 90, "bytesTotal": 90});
        let expected = [
            json!({"type": "Start", "version": "0.1.0"}),
            steps(0, json!([step("Importing", false)])),
            bytes(0, 0, json!([])),
            bytes(90, 1, json!([layer])),
            steps(1, json!([step("Importing", true), step("Verifying", false)])),
            steps(2, json!([step("Verifying", true)])),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn chunks_come_a_few_times_a_second_and_the_end_of_a_layer_always() {
        let chunks: Vec<Event> = (1..100).map(|bytes| layer(1, LayerState::Reading, bytes)).collect();
        let ends = [layer(0, LayerState::Done, 100), layer(1, LayerState::Done, 100)];
        let found = lines(
            &[&[layer(0, LayerState::Waiting, 0), layer(1, LayerState::Waiting, 0)], &chunks[..], &ends].concat(),
        );
        assert!((4..50).contains(&found.len()), "{}", found.len());
        assert_eq!(found.last().unwrap()["steps"], 2);
    }
}
