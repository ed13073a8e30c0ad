//! The parts of documents that are generated from other files.
//!
//! Owns the text between the markers of each page in [`PAGES`]; the text around them is written by hand.

mod commands;
mod configuration;
mod events;
mod values;

use crate::workspace::{Workspace, WorkspaceError};
use miette::Diagnostic;
use similar::TextDiff;
use std::path::Path;
use thiserror::Error;

const BEGIN: &str = "<!-- begin: written by `make documents` -->\n";
const END: &str = "<!-- end -->\n";

/// A page with a generated part.
struct Page {
    /// The page, relative to the workspace.
    file: &'static str,
    /// The files from which the part is generated, for people.
    sources: &'static str,
    /// Generates the part from the files of the workspace.
    generate: fn(&Path) -> Result<String, DocumentsError>,
}

const PAGES: [Page; 4] = [
    Page {
        file: "docs/contracts/helm-values.md",
        sources: "the chart and todohost.toml",
        generate: |root| {
            let read = |file| fs_err::read_to_string(root.join(file));
            let (schema, defaults) = (read(values::SCHEMA)?, read(values::DEFAULTS)?);
            values::table(&schema, &defaults, &read(values::PROJECT)?)
        },
    },
    Page {
        file: "docs/reference/configuration.md",
        sources: configuration::SCHEMA,
        generate: |root| {
            configuration::sections(&fs_err::read_to_string(root.join(configuration::SCHEMA))?)
        },
    },
    Page {
        file: "docs/reference/events.md",
        sources: events::SCHEMA,
        generate: |root| events::sections(&fs_err::read_to_string(root.join(events::SCHEMA))?),
    },
    Page {
        file: "docs/reference/commands.md",
        sources: commands::SNAPSHOTS,
        generate: |root| {
            commands::sections(&|name| {
                fs_err::read_to_string(root.join(commands::SNAPSHOTS).join(name))
            })
        },
    },
];

/// Why a document cannot be generated, or is not current.
#[derive(Debug, Error, Diagnostic)]
pub enum DocumentsError {
    /// A file cannot be read or written.
    #[error(transparent)]
    #[diagnostic(code(xtask::documents::file))]
    File(#[from] std::io::Error),
    /// The workspace cannot be found.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A source is malformed.
    #[error("cannot use {file}: {reason}")]
    #[diagnostic(code(xtask::documents::malformed), help("correct {file}"))]
    Malformed {
        /// The source.
        file: String,
        /// The fault in it.
        reason: String,
    },
    /// The place of the generated part is not marked.
    #[error("{file} does not have the markers of its generated part")]
    #[diagnostic(
        code(xtask::documents::markers),
        help("add these two lines: {} {}", BEGIN.trim(), END.trim())
    )]
    Markers {
        /// The page.
        file: &'static str,
    },
    /// The pages differ from their sources.
    #[error("generated documents are not current:\n{difference}")]
    #[diagnostic(code(xtask::documents::stale), help("generate them again: `make documents`"))]
    Stale {
        /// A unified diff per page.
        difference: String,
    },
}

/// Generates all parts; with `check` it only compares them.
pub fn make(check: bool) -> Result<(), DocumentsError> {
    let workspace = Workspace::find()?;
    let mut stale = String::new();
    for page in &PAGES {
        let path = workspace.root().join(page.file);
        let old = fs_err::read_to_string(&path)?;
        let part = (page.generate)(workspace.root())?;
        let new =
            with_part(&old, part.trim_end()).ok_or(DocumentsError::Markers { file: page.file })?;
        if old == new {
            println!("{} is current", page.file);
        } else if check {
            let difference = TextDiff::from_lines(&old, &new);
            let (from, to) = (page.file, format!("{} from {}", page.file, page.sources));
            let mut difference = difference.unified_diff();
            stale += &difference.context_radius(0).header(from, &to).to_string();
        } else {
            fs_err::write(&path, new)?;
            println!("{} is written", page.file);
        }
    }
    if stale.is_empty() { Ok(()) } else { Err(DocumentsError::Stale { difference: stale }) }
}

/// The document with this part between its markers.
fn with_part(document: &str, part: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{part}\n\n{END}{after}"))
}

/// Text as a cell of a table: in one line, with escaped bars.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn malformed(file: &str, reason: &str) -> DocumentsError {
    DocumentsError::Malformed { file: file.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_markers_changes() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let new = with_part(&document, "new").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n\n{END}after\n"));
        assert_eq!(with_part(&new, "new").unwrap(), new);
        assert_eq!(with_part("no markers\n", "new"), None);
    }
}
