//! Messages and progress for the user. Always granted; the host limits the rate, escapes terminal sequences
//! and redacts secrets.

use crate::Label;
use crate::bindings::host::todohost::plugin::log as host;

pub use host::Level;

/// Writes a message with fields.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<_> = fields.iter().map(|(key, value)| Label::new(*key, *value)).collect();
    host::write(level, message, &fields);
}

/// Details that only a reader who asks for them sees.
pub fn debug(message: &str) {
    write(Level::Debug, message, &[]);
}

/// Something that happened as it should.
pub fn info(message: &str) {
    write(Level::Info, message, &[]);
}

/// Something the user should look at.
pub fn warn(message: &str) {
    write(Level::Warn, message, &[]);
}

/// Something that went wrong.
pub fn error(message: &str) {
    write(Level::Error, message, &[]);
}

/// A live line in the host's progress display; dropping it closes the line.
#[derive(Debug)]
pub struct Progress(host::Progress);

impl Progress {
    /// A line whose end is not known.
    pub fn new(title: &str) -> Self {
        Self(host::Progress::new(title, None))
    }

    /// A line that is complete after `total` units.
    pub fn with_total(title: &str, total: u64) -> Self {
        Self(host::Progress::new(title, Some(total)))
    }

    /// Counts units as done.
    pub fn advance(&self, by: u64) {
        self.0.advance(by);
    }

    /// Says what is being done right now.
    pub fn message(&self, text: &str) {
        self.0.message(text);
    }

    /// Whether the user asked to stop. Long loops ask.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
