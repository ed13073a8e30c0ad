//! The tables of checks, which are the answer of `check` and of `doctor`.
//!
//! Owns the rows: those that a check names, in its order, then its other findings. A row without a finding is not
//! judged, and never shown as passed. Other commands show a failed finding when it is found.

use console::{Style, pad_str};

use super::plain::{explanation, place_of};
use super::{Detail, plain};
use todohost_model::event::{Event, EventKind, Finding, FindingOutcome, Row};
use todohost_model::text::clean;

/// The commands that answer with tables.
const COMMANDS: [&str; 2] = ["check", "doctor"];
/// The widest column of titles; longer titles stick out.
const WIDEST: usize = 48;
/// As wide as the longest word for an outcome.
const STATUS: usize = 10;

/// The judgements so far.
pub(super) struct Judgements {
    detail: Detail,
    is_wanted: bool,
    tables: Vec<Table>,
}

/// The judgements of one check for one target.
struct Table {
    target: Option<String>,
    source: String,
    title: String,
    rows: Vec<Row>,
    findings: Vec<Finding>,
}

impl Judgements {
    pub(super) fn new(detail: Detail) -> Self {
        Self { detail, is_wanted: false, tables: Vec::new() }
    }

    /// Takes an event that belongs to a table. Returns whether it did, since the event then has no line of its own.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        match &event.kind {
            EventKind::RunStarted { command } => {
                self.is_wanted =
                    COMMANDS.contains(&command.as_str()) && self.detail > Detail::Quiet;
                false
            }
            EventKind::Judged { source, title, rows } if self.is_wanted => {
                if self.table(event.target.as_deref(), source).is_none() {
                    self.tables.push(Table {
                        target: event.target.clone(),
                        source: source.clone(),
                        title: title.clone(),
                        rows: rows.clone(),
                        findings: Vec::new(),
                    });
                }
                true
            }
            EventKind::Finding(finding) => {
                match self.table(event.target.as_deref(), &finding.source) {
                    Some(table) => {
                        table.findings.push(finding.clone());
                        true
                    }
                    None => false,
                }
            }
            _ => false,
        }
    }

    fn table(&mut self, target: Option<&str>, source: &str) -> Option<&mut Table> {
        let mut tables = self.tables.iter_mut();
        tables.find(|table| table.source == source && table.target.as_deref() == target)
    }

    /// The tables, once, and how many rows there are of each outcome; `colours` for a terminal.
    pub(super) fn text(&mut self, colours: bool) -> Option<String> {
        let mut tables = std::mem::take(&mut self.tables);
        if tables.is_empty() {
            return None;
        }
        // Checks run at the same time, and the order in which they end means nothing; that of one check's tables does.
        tables.sort_by(|left, right| left.place().cmp(&right.place()));
        let shown: Vec<Vec<Shown<'_>>> = tables.iter().map(Table::shown).collect();
        let width = |row: &Shown<'_>| console::measure_text_width(&clean(row.title)).min(WIDEST);
        let widest = shown.iter().flatten().map(width).max().unwrap_or_default();
        let bold = Style::new().bold().force_styling(colours);
        let mut lines = Vec::new();
        for (table, rows) in tables.iter().zip(&shown) {
            lines.push(String::new());
            lines.push(bold.apply_to(table.heading()).to_string());
            lines.extend(rows.iter().map(|row| row.line(widest, self.detail, colours)));
        }
        lines.push(String::new());
        let outcomes: Vec<FindingOutcome> = shown.iter().flatten().map(|row| row.outcome).collect();
        lines.push(FindingOutcome::tally(&outcomes, word));
        Some(lines.join("\n"))
    }
}

impl Table {
    /// Its target and the name of its check; other sources come first.
    fn place(&self) -> (Option<&str>, Option<&str>) {
        (self.target.as_deref(), self.source.split_once('/').map(|(check, _)| check))
    }

    fn heading(&self) -> String {
        let (title, source) = (clean(&self.title), clean(&self.source));
        match &self.target {
            Some(target) => format!("{title} ({source}) on {}", clean(target)),
            None => format!("{title} ({source})"),
        }
    }

    fn shown(&self) -> Vec<Shown<'_>> {
        let mut shown = Vec::new();
        for row in &self.rows {
            let before = shown.len();
            let found = self.findings.iter().filter(|finding| finding.code == row.code);
            shown.extend(found.map(|finding| Shown::found(&row.title, finding)));
            if shown.len() == before {
                shown.push(Shown::nothing(&row.title, FindingOutcome::NotJudged, "not reached"));
            }
        }
        let is_named = |finding: &Finding| self.rows.iter().any(|row| row.code == finding.code);
        let others = self.findings.iter().filter(|finding| !is_named(finding));
        shown.extend(others.map(|finding| Shown::found(&finding.code, finding)));
        if shown.is_empty() {
            shown.push(Shown::nothing(&self.title, FindingOutcome::Passed, "nothing was found"));
        }
        shown
    }
}

/// A row as it is shown.
struct Shown<'a> {
    title: &'a str,
    outcome: FindingOutcome,
    message: &'a str,
    finding: Option<&'a Finding>,
}

impl<'a> Shown<'a> {
    fn found(title: &'a str, finding: &'a Finding) -> Self {
        let Finding { outcome, message, .. } = finding;
        Self { title, outcome: *outcome, message, finding: Some(finding) }
    }

    fn nothing(title: &'a str, outcome: FindingOutcome, message: &'a str) -> Self {
        Self { title, outcome, message, finding: None }
    }

    /// The row, with its explanation below if requested.
    fn line(&self, widest: usize, detail: Detail, colours: bool) -> String {
        let title = clean(self.title);
        let title = pad_str(&title, widest, console::Alignment::Left, None);
        let style = match self.outcome {
            FindingOutcome::Passed => Style::new().green(),
            FindingOutcome::Warning => Style::new().yellow(),
            FindingOutcome::Failed => Style::new().red().bold(),
            FindingOutcome::NotJudged => Style::new().dim(),
        };
        let word = format!("{:<STATUS$}", word(self.outcome));
        let word = style.force_styling(colours).apply_to(word);
        let explained = self.finding.filter(|finding| plain::is_told(finding, detail));
        let place = explained.map(place_of).unwrap_or_default();
        let rest = explained.map(explanation).unwrap_or_default();
        format!("{title}  {word}  {}{place}{rest}", clean(self.message))
    }
}

fn word(outcome: FindingOutcome) -> &'static str {
    match outcome {
        FindingOutcome::Passed => "PASS",
        FindingOutcome::Warning => "WARNING",
        FindingOutcome::Failed => "FAIL",
        FindingOutcome::NotJudged => "NOT JUDGED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind) -> Event {
        Event { at_ms: 0, target: None, step: None, kind }
    }

    fn finding(code: &str, outcome: FindingOutcome, message: &str) -> Finding {
        Finding {
            source: "gate/rows".into(),
            outcome,
            code: code.into(),
            message: message.into(),
            evidence: vec![format!("web/Dockerfile:1: {message}")],
            help: Some("do".into()),
            file: Some("web/Dockerfile".into()),
            pointer: None,
            object: None,
        }
    }

    /// A command in which a check with two rows, and one without any, judged.
    fn judged(command: &str, detail: Detail, findings: Vec<Finding>) -> Judgements {
        let row = |code: &str, title: &str| Row { code: code.into(), title: title.into() };
        let with_rows = EventKind::Judged {
            source: "gate/rows".into(),
            title: "The gate".into(),
            rows: vec![row("a", "First"), row("b", "The second")],
        };
        let without =
            EventKind::Judged { source: "labels/all".into(), title: "Labels".into(), rows: vec![] };
        let mut judgements = Judgements::new(detail);
        judgements.take(&event(EventKind::RunStarted { command: command.into() }));
        // A table is one, in however many phases its check judges.
        for kind in [with_rows.clone(), without, with_rows] {
            judgements.take(&event(kind));
        }
        for finding in findings {
            judgements.take(&event(EventKind::Finding(finding)));
        }
        judgements
    }

    #[test]
    fn rows_follow_the_check_and_missing_findings_do_not_pass() {
        let findings = vec![
            finding("c", FindingOutcome::Warning, "large"),
            finding("b", FindingOutcome::Passed, "web/Dockerfile:2"),
        ];
        let mut judgements = judged("check", Detail::Normal, findings);
        assert_eq!(
            judgements.text(false).unwrap(),
            "\nThe gate (gate/rows)\n\
             First       NOT JUDGED  not reached\n\
             The second  PASS        web/Dockerfile:2\n\
             c           WARNING     large [web/Dockerfile]\n    web/Dockerfile:1: large\n  help: do\n\
             \nLabels (labels/all)\n\
             Labels      PASS        nothing was found\n\
             \n2 PASS, 1 WARNING, 1 NOT JUDGED"
        );
        assert_eq!(judgements.text(false), None, "a table is shown once");
    }

    #[test]
    fn colours_need_a_terminal_and_evidence_of_passed_rows_needs_verbose() {
        let passed = vec![finding("a", FindingOutcome::Passed, "web/Dockerfile:1")];
        let text = judged("check", Detail::Verbose, passed.clone()).text(true).unwrap();
        assert!(text.contains("\u{1b}[32mPASS      \u{1b}[0m"), "{text:?}");
        assert!(text.contains("\n    web/Dockerfile:1: web/Dockerfile:1"), "{text:?}");
        let short = judged("check", Detail::Normal, passed).text(false).unwrap();
        assert!(!short.contains("\n    "), "{short:?}");
    }

    #[test]
    fn other_commands_and_quiet_ones_have_no_table() {
        let failed = || vec![finding("a", FindingOutcome::Failed, "no")];
        let mut deploy = judged("deploy", Detail::Normal, failed());
        assert!(!deploy.take(&event(EventKind::Finding(failed().remove(0)))));
        assert_eq!(deploy.text(false), None);
        assert_eq!(judged("check", Detail::Quiet, failed()).text(false), None);
    }

    #[test]
    fn foreign_text_is_escaped() {
        let evil = "x\u{1b}[2J\u{9b}1m";
        let findings = vec![finding(evil, FindingOutcome::Failed, evil)];
        let text = judged("check", Detail::Verbose, findings).text(false).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
    }
}
