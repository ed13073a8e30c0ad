//! Logs of the data that a plugin received, encoded so that no redaction can hide a secret in it: every byte is
//! inverted and written in hexadecimal.

use std::fmt::Write as _;

use todohost_plugin::log::{self, Level};

/// Limits of the host: bytes of a field, and fields of a line.
const FIELD: usize = 1900;
const FIELDS: usize = 30;

/// Pieces overlap, so that no secret is cut in two.
const OVERLAP: usize = 200;

/// Logs `text` under a name.
pub fn record(what: &str, text: impl AsRef<[u8]>) {
    let mut rest = text.as_ref();
    loop {
        let piece = &rest[..rest.len().min(FIELD * FIELDS)];
        let fields: Vec<String> = piece.chunks(FIELD).map(spelled).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|field| ("x", field.as_str())).collect();
        log::write(Level::Debug, what, &fields);
        if piece.len() == rest.len() {
            return;
        }
        rest = &rest[piece.len() - OVERLAP..];
    }
}

fn spelled(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:02x}", !byte);
        text
    })
}
