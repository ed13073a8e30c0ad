//! Errors in the form that events and the terminal show.

use std::fmt::Write as _;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::Serialize;

use crate::text::clean;

/// Maximal number of causes and related errors that are shown.
const MOST: usize = 16;

/// An error with its code, causes and help.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// Stable code, e.g. `todohost::apply::conflict`.
    pub code: String,
    /// The error in one line.
    pub message: String,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// The command or edit that helps.
    pub help: Option<String>,
}

impl Failure {
    /// The failure as text for people: heading and message, causes, `snippet`, help and code, one line each.
    pub fn text(&self, heading: &str, snippet: &str) -> String {
        let Self { code, message, causes, help } = self;
        let mut text = format!("{heading} {}\n", clean(message));
        for cause in causes {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  cause: {}", clean(cause));
        }
        text.push_str(snippet);
        if let Some(help) = help {
            let _ = writeln!(text, "  help: {}", clean(help));
        }
        let _ = write!(text, "  code: {}", clean(code));
        text
    }

    /// The failure that an error describes: its code, its causes in one line each, and the nearest help.
    pub fn of(error: &dyn Diagnostic) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut next: Option<&dyn std::error::Error> = error.source();
        let message = clean(&error.to_string()).into_owned();
        while let Some(cause) = next
            && causes.len() < MOST
        {
            let text = clean(&cause.to_string()).into_owned();
            // A transparent error repeats the message of its source.
            if text != message && causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        for related in error.related().into_iter().flatten().take(MOST) {
            causes.push(clean(&related.to_string()).into_owned());
        }
        // The outermost help wins; the help of a cause is used if the errors around it have none.
        let help = std::iter::successors(Some(error), |error| error.diagnostic_source())
            .find_map(Diagnostic::help);
        Self {
            code: error
                .code()
                .map_or_else(|| "todohost::internal".to_owned(), |code| code.to_string()),
            message,
            causes,
            help: help.map(|help| clean(&help.to_string()).into_owned()),
        }
    }
}
