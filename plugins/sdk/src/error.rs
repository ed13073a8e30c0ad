//! Constructors of [`Error`].

use crate::{Error, ErrorKind};

/// Result of a plugin's functions, with [`Error`] as the default error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A message is one line without a final full stop: it names the failed operation and the object. The host adds the
/// plugin's name.
///
/// ```
/// use todohost_plugin::Error;
///
/// let error = Error::unavailable("docker.not-running", "the Docker daemon does not answer")
///     .cause("dial unix /var/run/docker.sock: connection refused")
///     .help("start Docker Desktop");
/// assert_eq!(error.causes.len(), 1);
/// ```
impl Error {
    /// Creates an error. `code` is dotted and stable, for example `kind.cluster.create-failed`.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), causes: Vec::new(), help: None }
    }

    /// The user's input is invalid.
    pub fn invalid_input(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, code, message)
    }

    /// A named object, file or program does not exist.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// A service does not run or does not answer; a retry can succeed.
    pub fn unavailable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }

    /// This plugin does not support the operation.
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, code, message)
    }

    /// The plugin or a program that it called misbehaved.
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, code, message)
    }

    /// Adds a cause. Causes are ordered from the outermost to the innermost.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds several causes, the outermost first.
    #[must_use]
    pub fn because(mut self, causes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.causes.extend(causes.into_iter().map(Into::into));
        self
    }

    /// Sets the help line: a command or an edit that solves the problem.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Wraps this error in a new one of the same kind. The old message becomes the outermost cause.
    #[must_use]
    pub fn context(mut self, code: impl Into<String>, message: impl Into<String>) -> Self {
        self.causes.insert(0, std::mem::replace(&mut self.message, message.into()));
        self.code = code.into();
        self
    }
}

/// A malformed JSON document, or one of an unexpected shape.
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
    fn context_keeps_kind_causes_and_help() {
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
    fn malformed_document_is_invalid_input() {
        let error = Error::from(serde_json::from_str::<u8>("{").unwrap_err());
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert_eq!(error.causes.len(), 1);
    }
}
