//! Progress on a terminal: the step, and below it a bar for each layer that is being read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::super::plain;
use super::short;
use crate::model::progress::{Event, Layer, LayerState};

const LAYER: &str = "  {prefix} {bar:24} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left";
const TICK: Duration = Duration::from_millis(120);

/// The bars.
#[derive(Debug)]
pub(super) struct Terminal {
    all: MultiProgress,
    step: ProgressBar,
    layers: Mutex<HashMap<usize, ProgressBar>>,
}

impl Terminal {
    pub fn new() -> Self {
        let all = MultiProgress::new();
        let step = all.add(ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner()));
        step.enable_steady_tick(TICK);
        Self { all, step, layers: Mutex::default() }
    }

    pub fn event(&self, event: &Event) {
        match event {
            Event::Step(text) => self.step.set_message(plain(text)),
            Event::Layer(layer) => self.layer(layer),
        }
    }

    fn layer(&self, layer: &Layer) {
        let mut layers = self.layers();
        match layer.state {
            LayerState::Reading => {
                let bar = layers.entry(layer.index).or_insert_with(|| self.all.add(bar(layer)));
                bar.set_position(layer.bytes);
            }
            LayerState::Done => {
                if let Some(bar) = layers.remove(&layer.index) {
                    bar.finish_and_clear();
                }
            }
            LayerState::Known | LayerState::Waiting => {}
        }
    }

    pub fn suspend(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    pub fn clear(&self) {
        self.layers().drain().for_each(|(_, bar)| bar.finish_and_clear());
        self.step.finish_and_clear();
    }

    fn layers(&self) -> MutexGuard<'_, HashMap<usize, ProgressBar>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar(layer: &Layer) -> ProgressBar {
    let style = ProgressStyle::with_template(LAYER).unwrap_or_else(|_| ProgressStyle::default_bar());
    let prefix = format!("layer {} of {}, {}", layer.index + 1, layer.of, plain(short(&layer.digest)));
    ProgressBar::new(layer.total).with_style(style).with_prefix(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_lives_while_its_layer_is_read() {
        assert!(ProgressStyle::with_template(LAYER).is_ok());
        let terminal = Terminal::new();
        let layer =
            |state, bytes| Event::Layer(Layer { index: 2, of: 3, digest: "sha256:x".into(), bytes, total: 10, state });
        terminal.event(&layer(LayerState::Waiting, 0));
        assert!(terminal.layers().is_empty());
        terminal.event(&layer(LayerState::Reading, 7));
        assert_eq!(terminal.layers()[&2].position(), 7);
        terminal.event(&layer(LayerState::Done, 10));
        assert!(terminal.layers().is_empty());
    }
}
