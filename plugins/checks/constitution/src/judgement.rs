//! A row of the constitution, the result of its rule, and the finding made from it.

use crate::location::Location;
use crate::project::Project;
use crate::release::Release;
use std::collections::BTreeMap;
use todohost_plugin::{Finding, Outcome};

/// Longer evidence is left out of the finding's message, which shows all locations in one line.
const LONGEST: usize = 25;

/// Rows that a project skips, with the reasons.
pub type Skipped = BTreeMap<String, String>;

/// A requirement and the rule that checks it.
pub struct Row {
    /// The last part of its code, and its name in the options.
    pub id: &'static str,
    /// The title in the table.
    pub title: &'static str,
    /// The change that removes a fault.
    pub help: &'static str,
    /// The outcome of a fault: failed, or a warning if the rule can be wrong.
    pub fault_outcome: Outcome,
    pub rule: Rule,
}

/// The rule of a row, by the facts that it needs.
pub enum Rule {
    /// Checks Dockerfiles and the chart's files.
    Files(fn(&Project) -> Judgement),
    /// Checks the rendered objects.
    Objects(fn(&Release) -> Judgement),
    /// Needs a person; the text is the reason.
    Manual(&'static str),
}

/// The facts available in a phase.
pub enum Facts<'a> {
    /// In the phase `source`.
    Files(&'a Project),
    /// In the phase `rendered`.
    Objects(&'a Release),
}

impl Row {
    /// The code of its findings.
    pub fn code(&self) -> String {
        format!("constitution.{}", self.id)
    }

    /// The finding of this row, or `None` if its rule needs the facts of another phase.
    pub fn finding(&self, facts: &Facts<'_>, skipped: &Skipped) -> Option<Finding> {
        let judgement = match (&self.rule, facts) {
            (Rule::Files(rule), Facts::Files(project)) => rule(project),
            (Rule::Objects(rule), Facts::Objects(release)) => rule(release),
            (Rule::Manual(reason), Facts::Objects(_)) => Judgement::or_not_judged(*reason),
            _ => return None,
        };
        Some(match skipped.get(self.id) {
            Some(reason) => {
                self.finding_with(Outcome::NotJudged, format!("skipped by the project: {reason}"))
            }
            None => self.to_finding(&judgement),
        })
    }

    fn finding_with(&self, outcome: Outcome, message: impl Into<String>) -> Finding {
        Finding::new(outcome, self.code(), message)
    }

    fn to_finding(&self, judgement: &Judgement) -> Finding {
        let (mut finding, notes) = if let Some(first) = judgement.faults.first() {
            let others = match judgement.faults.len() {
                1 => String::new(),
                many => format!(", and {} more", many - 1),
            };
            let finding = self
                .finding_with(self.fault_outcome, format!("{}{others}", first.message))
                .help(self.help);
            (first.location.mark(finding), &judgement.faults)
        } else if let Some(first) = judgement.evidence.first() {
            let mut seen: Vec<String> = judgement.evidence.iter().map(Note::short).collect();
            seen.dedup();
            let finding = self.finding_with(Outcome::Passed, seen.join("; "));
            (first.location.mark(finding), &judgement.evidence)
        } else {
            (self.finding_with(Outcome::NotJudged, &judgement.nothing), &judgement.evidence)
        };
        finding.evidence =
            notes.iter().map(|note| format!("{}: {}", note.location, note.message)).collect();
        finding
    }
}

/// The result of a rule. Without faults and evidence the row is reported as not judged.
#[derive(Debug, Default)]
pub struct Judgement {
    faults: Vec<Note>,
    evidence: Vec<Note>,
    /// The reason if there was nothing to judge.
    nothing: String,
}

#[derive(Debug)]
struct Note {
    location: Location,
    message: String,
}

impl Note {
    /// The message with its location, or only the location if the message is long.
    fn short(&self) -> String {
        let location = self.location.short();
        if self.message.len() > LONGEST {
            location
        } else {
            format!("{} ({location})", self.message)
        }
    }
}

impl Judgement {
    /// An empty result; the reason is reported if the rule adds nothing to it.
    pub fn or_not_judged(reason: impl Into<String>) -> Self {
        Self { nothing: reason.into(), ..Self::default() }
    }

    /// Adds a violation of the row.
    pub fn fault(&mut self, location: &Location, message: impl Into<String>) {
        self.faults.push(Note { location: location.clone(), message: message.into() });
    }

    /// Adds evidence that the row holds.
    pub fn evidence(&mut self, location: &Location, message: impl Into<String>) {
        self.evidence.push(Note { location: location.clone(), message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row {
        id: "x",
        title: "X",
        help: "do",
        fault_outcome: Outcome::Failed,
        rule: Rule::Manual("needs a person"),
    };

    #[test]
    fn fault_outweighs_all_evidence() {
        let mut judgement = Judgement::or_not_judged("nothing");
        judgement.evidence(&Location::file("a"), "good");
        judgement.fault(&Location::file("b"), "bad");
        judgement.fault(&Location::file("c"), "worse");
        let found = ROW.to_finding(&judgement);
        assert_eq!((found.outcome, found.code.as_str()), (Outcome::Failed, "constitution.x"));
        assert_eq!(found.message, "bad, and 1 more");
        assert_eq!(found.evidence, ["b: bad", "c: worse"]);
        assert_eq!((found.file.as_deref(), found.help.as_deref()), (Some("b"), Some("do")));
    }

    #[test]
    fn passed_finding_has_a_short_message_and_full_evidence() {
        let mut judgement = Judgement::or_not_judged("nothing");
        let long = "x".repeat(LONGEST + 1);
        judgement.evidence(&Location::file("a"), "small");
        judgement.evidence(&Location::file("b"), long.as_str());
        let found = ROW.to_finding(&judgement);
        assert_eq!((found.outcome, found.message.as_str()), (Outcome::Passed, "small (a); b"));
        assert_eq!(found.evidence, ["a: small".to_owned(), format!("b: {long}")]);
    }

    #[test]
    fn result_without_evidence_is_not_judged() {
        let found = ROW.to_finding(&Judgement::or_not_judged("no images"));
        assert_eq!(found.outcome, Outcome::NotJudged);
        assert_eq!(found.message, "no images");
    }
}
