//! How a run with several targets ended on each of them, side by side.
//!
//! Shows every failure in full except for the first, which is the run's own error and is printed last.

use std::fmt::Write as _;

use console::Style;

use super::columns::columns;
use todohost_model::event::{Failure, StepOutcome, TargetEnd};
use todohost_model::text::clean;

/// A line for each target, ending with a line break; empty for a single target. `colours` for a terminal.
pub(super) fn text(targets: &[TargetEnd], colours: bool) -> Option<String> {
    if targets.len() < 2 {
        return None;
    }
    let first_failed = targets.iter().position(|end| end.error.is_some());
    let heads = ["TARGET", "OUTCOME", "REVISION", "ADDRESS OR ERROR"];
    let rows: Vec<[String; 4]> = std::iter::once(heads.map(str::to_owned))
        .chain(targets.iter().map(|end| row(end, colours)))
        .collect();
    let mut lines = columns(&rows).into_iter();
    let mut text = String::new();
    text.extend(lines.next().map(|heads| format!("{heads}\n")));
    for (at, (end, line)) in targets.iter().zip(lines).enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
        if let Some(error) = end.error.as_ref().filter(|_| first_failed != Some(at)) {
            text.push_str(&explanation(error));
        }
    }
    Some(text)
}

fn row(end: &TargetEnd, colours: bool) -> [String; 4] {
    let (outcome, style) = match end.outcome {
        StepOutcome::Done => ("done", Style::new().green()),
        StepOutcome::Unchanged => ("unchanged", Style::new().cyan()),
        StepOutcome::Skipped => ("skipped", Style::new().cyan()),
        StepOutcome::Failed => ("failed", Style::new().red().bold()),
        StepOutcome::Cancelled => ("stopped", Style::new().yellow()),
    };
    let outcome = style.force_styling(colours).apply_to(outcome).to_string();
    let revision = end.revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string());
    let rest = match &end.error {
        Some(error) => clean(&error.message).into_owned(),
        None => clean(&end.addresses.join(", ")).into_owned(),
    };
    [clean(&end.target).into_owned(), outcome, revision, rest]
}

fn explanation(error: &Failure) -> String {
    let mut text = String::new();
    let causes = error.causes.iter().map(|cause| ("cause", cause));
    for (word, line) in causes.chain(error.help.iter().map(|help| ("help", help))) {
        let _ = writeln!(text, "  {word}: {}", clean(line));
    }
    let _ = writeln!(text, "  code: {}", clean(&error.code));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(target: &str, outcome: StepOutcome) -> TargetEnd {
        let addresses = vec!["http://localhost:30000".to_owned()];
        TargetEnd { target: target.into(), outcome, revision: Some(3), addresses, error: None }
    }

    fn failed(target: &str, message: &str) -> TargetEnd {
        let error = Some(Failure {
            code: "node.load-failed".into(),
            message: message.into(),
            causes: vec!["no space left on device".into()],
            help: Some("make room".into()),
        });
        let outcome = StepOutcome::Failed;
        TargetEnd { target: target.into(), outcome, revision: None, addresses: Vec::new(), error }
    }

    #[test]
    fn each_target_has_its_line_and_only_the_runs_own_error_is_left_to_its_end() {
        let ends = [
            end("docker-desktop", StepOutcome::Done),
            failed("kind", "not taken"),
            failed("lab", "not taken either"),
        ];
        assert_eq!(
            text(&ends, false).unwrap(),
            "TARGET          OUTCOME  REVISION  ADDRESS OR ERROR\n\
             docker-desktop  done     3         http://localhost:30000\n\
             kind            failed   -         not taken\n\
             lab             failed   -         not taken either\n  cause: no space left on device\n  \
             help: make room\n  code: node.load-failed\n"
        );
    }

    #[test]
    fn one_target_needs_no_table_and_foreign_words_are_escaped() {
        assert_eq!(text(&[end("kind", StepOutcome::Done)], false), None);
        let evil = "x\u{1b}[2J\u{9b}1m\n";
        let table = text(&[failed(evil, evil), failed(evil, evil)], false).unwrap();
        assert!(!table.contains(['\u{1b}', '\u{9b}']), "{table:?}");
        assert_eq!(table.lines().count(), 6, "{table}");
    }
}
