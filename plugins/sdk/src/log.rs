//! Messages and progress for the user. Needs no grant.
//!
//! The host limits the rate of messages, escapes terminal sequences and redacts secrets.
//!
//! ```no_run
//! use todohost_plugin::log::{self, Progress};
//!
//! let images = ["web", "api"];
//! let progress = Progress::with_total("copying images", images.len() as u64);
//! for image in images {
//!     if progress.is_cancelled() {
//!         log::warn("stopped before all images were copied");
//!         break;
//!     }
//!     progress.message(image);
//!     progress.advance(1);
//! }
//! ```

use crate::Label;
use crate::bindings::host::todohost::plugin::log as host;

pub use host::Level;

/// Writes a message with key-value fields.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<_> = fields.iter().map(|(key, value)| Label::new(*key, *value)).collect();
    host::write(level, message, &fields);
}

/// Writes a message that is shown only with `--verbose`.
pub fn debug(message: &str) {
    write(Level::Debug, message, &[]);
}

/// Writes a message about normal operation.
pub fn info(message: &str) {
    write(Level::Info, message, &[]);
}

/// Writes a message about a problem that does not stop the plugin.
pub fn warn(message: &str) {
    write(Level::Warn, message, &[]);
}

/// Writes a message about a failure.
pub fn error(message: &str) {
    write(Level::Error, message, &[]);
}

/// A live line in the host's progress display. Dropping it closes the line.
#[derive(Debug)]
pub struct Progress(host::Progress);

impl Progress {
    /// Opens a line without a known total.
    pub fn new(title: &str) -> Self {
        Self(host::Progress::new(title, None))
    }

    /// Opens a line that is complete after `total` units.
    pub fn with_total(title: &str, total: u64) -> Self {
        Self(host::Progress::new(title, Some(total)))
    }

    /// Adds `by` completed units.
    pub fn advance(&self, by: u64) {
        self.0.advance(by);
    }

    /// Sets the text beside the title, for example the current item.
    pub fn message(&self, text: &str) {
        self.0.message(text);
    }

    /// Reports whether the user asked to stop. Poll it in long loops.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
