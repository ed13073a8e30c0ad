//! Failures that the host can show: built step by step, understood by their kind.

use crate::{Error, ErrorKind};

/// The result of everything that may fail in a plugin.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One line, no trailing full stop: what failed and where. The host adds the plugin's name itself.
impl Error {
    /// An error of this kind. `code` is dotted and stable, for example `kind.cluster.create-failed`.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), causes: Vec::new(), help: None }
    }

    /// What the user gave is wrong.
    pub fn invalid_input(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, code, message)
    }

    /// Something named does not exist.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// Something that must run does not, or does not answer; trying again may help.
    pub fn unavailable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }

    /// This plugin cannot do what was asked.
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, code, message)
    }

    /// The plugin or a tool behaved in a way that it should not.
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, code, message)
    }

    /// Adds a cause, inside the ones added before.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds several causes, outermost first.
    #[must_use]
    pub fn because(mut self, causes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.causes.extend(causes.into_iter().map(Into::into));
        self
    }

    /// Says what the user can do or type.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Wraps this error: its message becomes the outermost cause of a new one of the same kind.
    #[must_use]
    pub fn context(mut self, code: impl Into<String>, message: impl Into<String>) -> Self {
        self.causes.insert(0, std::mem::replace(&mut self.message, message.into()));
        self.code = code.into();
        self
    }
}

/// A document that should be JSON and is not, or not of the expected shape.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid_input("json.malformed", "a document does not have the expected shape")
            .cause(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_the_kind_and_the_chain() {
        let error = Error::unavailable("docker.not-running", "no answer")
            .cause("connection refused")
            .help("start it")
            .context("kind.detect", "cannot list clusters");
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(error.code, "kind.detect");
        assert_eq!(error.message, "cannot list clusters");
        assert_eq!(error.causes, ["no answer", "connection refused"]);
        assert_eq!(error.help.as_deref(), Some("start it"));
    }

    #[test]
    fn a_malformed_document_is_the_callers_fault() {
        let error = Error::from(serde_json::from_str::<u8>("{").unwrap_err());
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert_eq!(error.causes.len(), 1);
    }
}
