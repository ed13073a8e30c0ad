//! Errors for people: one line with problem and place, the causes, and the help.

use std::fmt::Write as _;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use todohost_model::event::Failure;
use todohost_model::text::clean;

/// The text of an error for stderr: its failure, with the lines of the file that it points at.
pub fn render_failure(failure: &Failure, error: &dyn Diagnostic, colours: bool) -> String {
    let heading = console::style("error:").red().bold().force_styling(colours).to_string();
    failure.text(&heading, &snippet(error).unwrap_or_default())
}

/// The lines of a file that an error points at.
fn snippet(error: &dyn Diagnostic) -> Option<String> {
    error.source_code()?;
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_links(false)
        .render_report(&mut text, &OnlyPlace(error))
        .ok()?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Some(lines.skip(1).fold(String::new(), |mut kept, line| {
        let _ = writeln!(kept, "  {}", clean(line));
        kept
    }))
}

/// The place of an error without its words, which are shown already.
#[derive(Debug)]
struct OnlyPlace<'a>(&'a dyn Diagnostic);

impl std::fmt::Display for OnlyPlace<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("place")
    }
}

impl std::error::Error for OnlyPlace<'_> {}

impl Diagnostic for OnlyPlace<'_> {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.0.labels()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use todohost_project::{ProjectFile, Source};

    #[test]
    fn an_error_shows_problem_place_cause_and_help() {
        let source = Source::new("todohost.toml", "[app]\nnme = \"x\"\n");
        let error = ProjectFile::parse(&source).unwrap_err();
        let text = render_failure(&Failure::of(&error), &error, false);
        assert!(text.starts_with("error: todohost.toml:2: unknown key `nme`\n"), "{text}");
        assert!(text.contains("nme = \"x\""), "{text}");
        assert!(text.contains("\n  help: did you mean `name`?\n"), "{text}");
        assert!(text.ends_with("code: todohost::project::unknown_key"), "{text}");
    }
}
