//! Why a project file cannot be used, with the place in it.

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

use super::source::Source;
use todohost_model::exit::Exit;
use todohost_model::suggestion::suggestion;

/// Why a project file cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum ProjectError {
    /// There is none here or above.
    #[error("no todohost.toml in {start} or any directory above it")]
    #[diagnostic(
        code(todohost::project::missing),
        help("go to the project's directory, or name its file: todohost --project PATH ...")
    )]
    Missing {
        /// Where the search began.
        start: String,
    },
    /// It cannot be read.
    #[error("cannot read {file}")]
    #[diagnostic(code(todohost::project::unreadable), help("check the path and its permissions"))]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A key that means nothing.
    #[error("{file}:{line}: unknown key `{key}`")]
    #[diagnostic(code(todohost::project::unknown_key))]
    UnknownKey {
        /// The file.
        file: String,
        /// Line of the key.
        line: usize,
        /// The key.
        key: String,
        /// The text.
        #[source_code]
        text: NamedSource<String>,
        /// Where the key is.
        #[label("not known here")]
        place: SourceSpan,
        /// The likely key, or those that there are.
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
        /// The file.
        file: String,
        /// Line.
        line: usize,
        /// What the parser said, in one line.
        reason: String,
        /// The text.
        #[source_code]
        text: NamedSource<String>,
        /// Where.
        #[label("here")]
        place: SourceSpan,
    },
    /// A plugin's option that it does not take.
    #[error("{file}:{line}: {key}: {reason}{}", more(*.others))]
    #[diagnostic(code(todohost::project::option))]
    Option {
        /// The file.
        file: String,
        /// Line of the option.
        line: usize,
        /// The option's path.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// How many other mistakes there are.
        others: usize,
        /// The text.
        #[source_code]
        text: NamedSource<String>,
        /// Where.
        #[label("here")]
        place: SourceSpan,
        /// The likely name, or where to read what there is.
        #[help]
        help: String,
    },
    /// A value that a key may not have.
    #[error("{file}:{line}: {key} = {value:?}: {reason}")]
    #[diagnostic(code(todohost::project::invalid))]
    Invalid {
        /// The file.
        file: String,
        /// Line.
        line: usize,
        /// The key's path.
        key: String,
        /// What it says.
        value: String,
        /// Why that is refused.
        reason: &'static str,
        /// The text.
        #[source_code]
        text: NamedSource<String>,
        /// Where.
        #[label("here")]
        place: SourceSpan,
        /// What to write.
        #[help]
        help: String,
    },
}

impl ProjectError {
    /// Exit code of a run that ends with it.
    pub const fn exit(&self) -> Exit {
        Exit::Usage
    }

    /// What the TOML parser said, with the likely key where one is unknown.
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
