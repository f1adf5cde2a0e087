//! Progress as plain lines, for logs: a step, a layer that begins, a layer that is there.

use super::super::{bytes, plain};
use super::short;
use crate::model::progress::{Event, Layer, LayerState};

/// The line for an event, if it has one; chunks have none.
pub(super) fn line(event: &Event) -> Option<String> {
    match event {
        Event::Step(text) => Some(plain(text)),
        Event::Layer(layer) => layer_line(layer),
    }
}

fn layer_line(layer: &Layer) -> Option<String> {
    let what = match layer.state {
        LayerState::Known => "is there already".to_owned(),
        LayerState::Reading if layer.bytes == 0 => bytes(layer.total),
        LayerState::Done => "done".to_owned(),
        LayerState::Waiting | LayerState::Reading => return None,
    };
    Some(format!("  layer {} of {}, {}: {what}", layer.index + 1, layer.of, plain(short(&layer.digest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_a_line_when_it_begins_and_one_when_it_ends() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let layer =
            |state, bytes| Event::Layer(Layer { index: 1, of: 3, digest: digest.clone(), bytes, total: 2048, state });
        let name = "  layer 2 of 3, sha256:abababababab: ";
        assert_eq!(line(&layer(LayerState::Waiting, 0)), None);
        assert_eq!(line(&layer(LayerState::Reading, 0)), Some(format!("{name}2.0 KiB")));
        assert_eq!(line(&layer(LayerState::Reading, 1024)), None);
        assert_eq!(line(&layer(LayerState::Done, 2048)), Some(format!("{name}done")));
        assert_eq!(line(&layer(LayerState::Known, 0)), Some(format!("{name}is there already")));
        assert_eq!(line(&Event::Step("a\x1b[2Jb".into())), Some("a [2Jb".into()));
    }
}
