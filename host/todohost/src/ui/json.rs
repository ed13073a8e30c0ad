//! One JSON document per event on stdout, for machines.

use super::{Detail, Renderer};
use todohost_model::event::{Event, EventKind};

pub(super) struct Json {
    pub detail: Detail,
}

impl Renderer for Json {
    fn show(&mut self, event: &Event) {
        let is_end = matches!(event.kind, EventKind::RunFinished { .. });
        if self.detail == Detail::Quiet && !is_end {
            return;
        }
        if let Ok(text) = serde_json::to_string(event) {
            // A reader that went away ends the stream, not the deploy.
            let _ = super::data(&text);
        }
    }
}
