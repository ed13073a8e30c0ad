//! One JSON document per event on stdout, for machines.

use super::Renderer;
use crate::event::Event;

pub(super) struct Json;

impl Renderer for Json {
    fn show(&mut self, event: &Event) {
        if let Ok(text) = serde_json::to_string(event) {
            // A reader that went away ends the stream, not the deploy.
            let _ = super::data(&text);
        }
    }
}
