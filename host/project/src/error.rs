//! Errors of the project file, with their place in it.

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

use super::source::Source;
use todohost_model::exit::Exit;
use todohost_model::suggestion::suggestion;

/// An error of the project file.
#[derive(Debug, Error, Diagnostic)]
pub enum ProjectError {
    /// The directory and those above it have no project file.
    #[error("no todohost.toml in {start} or any directory above it")]
    #[diagnostic(
        code(todohost::project::missing),
        help("change to the project's directory, or give its file: todohost --project PATH ...")
    )]
    Missing {
        /// The directory in which the search began.
        start: String,
    },
    /// The project file cannot be read.
    #[error("cannot read {file}")]
    #[diagnostic(code(todohost::project::unreadable), help("check the path and its permissions"))]
    Unreadable {
        file: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    #[error("{file}:{line}: unknown key `{key}`")]
    #[diagnostic(code(todohost::project::unknown_key))]
    UnknownKey {
        file: String,
        /// Line of the key.
        line: usize,
        key: String,
        #[source_code]
        text: NamedSource<String>,
        /// The place of the key.
        #[label("unknown key")]
        place: SourceSpan,
        /// The most similar key, or all keys of the table.
        #[help]
        help: String,
    },
    /// Not TOML, or not of the right shape.
    #[error("{file}:{line}: {reason}")]
    #[diagnostic(
        code(todohost::project::syntax),
        help("docs/todohost.schema.json describes every key of the file")
    )]
    Syntax {
        file: String,
        line: usize,
        /// The parser's message, in one line.
        reason: String,
        #[source_code]
        text: NamedSource<String>,
        /// The place of the error.
        #[label("here")]
        place: SourceSpan,
    },
    /// An invalid option of a plugin.
    #[error("{file}:{line}: {key}: {reason}{}", more(*.others))]
    #[diagnostic(code(todohost::project::option))]
    Option {
        file: String,
        /// Line of the option.
        line: usize,
        /// The option's path.
        key: String,
        reason: String,
        /// The number of other mistakes.
        others: usize,
        #[source_code]
        text: NamedSource<String>,
        /// The place of the error.
        #[label("here")]
        place: SourceSpan,
        /// The most similar option, or the command that prints the options.
        #[help]
        help: String,
    },
    /// A key with an invalid value.
    #[error("{file}:{line}: {key} = {value:?}: {reason}")]
    #[diagnostic(code(todohost::project::invalid))]
    Invalid {
        file: String,
        line: usize,
        /// The key's path.
        key: String,
        /// The invalid value.
        value: String,
        /// The rule that the value violates.
        reason: &'static str,
        #[source_code]
        text: NamedSource<String>,
        /// The place of the error.
        #[label("here")]
        place: SourceSpan,
        /// The expected form.
        #[help]
        help: String,
    },
}

impl ProjectError {
    /// Exit code of a run that ends with this error.
    pub const fn exit(&self) -> Exit {
        Exit::Usage
    }

    /// The error of the TOML parser. For an unknown key, the help has the most similar known key.
    pub(super) fn syntax(source: &Source, error: &toml::de::Error) -> Self {
        let place = source.at(error.span().unwrap_or(0..0));
        let (line, place) = (place.line, place.span);
        let (file, text) = (source.name.clone(), source.shown());
        let reason = error.message().lines().next().unwrap_or("malformed").to_owned();
        // serde's wording: unknown field `x`, expected one of `a`, `b`.
        if reason.starts_with("unknown field") {
            let mut quoted = reason.split('`').skip(1).step_by(2);
            let key = quoted.next().unwrap_or_default().to_owned();
            let known: Vec<&str> = quoted.collect();
            let help = suggestion(&key, &known);
            return Self::UnknownKey { file, line, key, text, place, help };
        }
        Self::Syntax { file, line, reason, text, place }
    }
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (and {others} more)") }
}
