//! One row of the constitution, what its rule found, and the finding that comes of it.

use crate::place::Place;
use crate::project::Project;
use crate::release::Release;
use std::collections::BTreeMap;
use todohost_plugin::{Finding, Outcome};

/// Longer evidence does not fit into a line with that of other places.
const LONGEST: usize = 25;

/// Rows that a project leaves out, with its reasons.
pub type Skipped = BTreeMap<String, String>;

/// A row: what is asked.
pub struct Row {
    /// The last part of its code, and its name in the options.
    pub id: &'static str,
    /// As the table has it.
    pub title: &'static str,
    /// What to change where it does not hold.
    pub help: &'static str,
    /// What a fault is: a failure, or a warning where the rule may be wrong.
    pub gravity: Outcome,
    /// Who tells whether it holds.
    pub judge: Judge,
}

/// Who tells whether a row holds.
pub enum Judge {
    /// A rule about recipes and the chart's files.
    Files(fn(&Project) -> Judgement),
    /// A rule about the rendered objects.
    Objects(fn(&Release) -> Judgement),
    /// No program, and why.
    Nobody(&'static str),
}

/// What is known in a phase.
pub enum Facts<'a> {
    /// Before anything is rendered.
    Files(&'a Project),
    /// Once the objects are rendered.
    Objects(&'a Release),
}

impl Row {
    /// What its findings are called.
    pub fn code(&self) -> String {
        format!("constitution.{}", self.id)
    }

    /// The one finding of this row, in the phase that has what it is judged by.
    pub fn finding(&self, facts: &Facts<'_>, skipped: &Skipped) -> Option<Finding> {
        let judgement = match (&self.judge, facts) {
            (Judge::Files(rule), Facts::Files(project)) => rule(project),
            (Judge::Objects(rule), Facts::Objects(release)) => rule(release),
            (Judge::Nobody(reason), Facts::Objects(_)) => Judgement::unless(*reason),
            _ => return None,
        };
        Some(match skipped.get(self.id) {
            Some(reason) => {
                self.told(Outcome::NotJudged, format!("skipped by the project: {reason}"))
            }
            None => self.found(&judgement),
        })
    }

    fn told(&self, outcome: Outcome, message: impl Into<String>) -> Finding {
        Finding::new(outcome, self.code(), message)
    }

    fn found(&self, judgement: &Judgement) -> Finding {
        let (mut finding, notes) = if let Some(first) = judgement.faults.first() {
            let others = match judgement.faults.len() {
                1 => String::new(),
                many => format!(", and {} more", many - 1),
            };
            let told =
                self.told(self.gravity, format!("{}{others}", first.message)).help(self.help);
            (first.place.mark(told), &judgement.faults)
        } else if let Some(first) = judgement.evidence.first() {
            let mut seen: Vec<String> = judgement.evidence.iter().map(Note::short).collect();
            seen.dedup();
            let told = self.told(Outcome::Passed, seen.join("; "));
            (first.place.mark(told), &judgement.evidence)
        } else {
            (self.told(Outcome::NotJudged, &judgement.nothing), &judgement.evidence)
        };
        finding.evidence =
            notes.iter().map(|note| format!("{}: {}", note.place, note.message)).collect();
        finding
    }
}

/// What a rule found. Without a fault and without evidence, nothing was judged.
#[derive(Debug, Default)]
pub struct Judgement {
    faults: Vec<Note>,
    evidence: Vec<Note>,
    nothing: String,
}

#[derive(Debug)]
struct Note {
    place: Place,
    message: String,
}

impl Note {
    /// What was seen and where; where that is long, only where.
    fn short(&self) -> String {
        let place = self.place.short();
        if self.message.len() > LONGEST { place } else { format!("{} ({place})", self.message) }
    }
}

impl Judgement {
    /// A rule that finds nothing to judge says this.
    pub fn unless(reason: impl Into<String>) -> Self {
        Self { nothing: reason.into(), ..Self::default() }
    }

    /// Something that does not hold.
    pub fn fault(&mut self, place: &Place, message: impl Into<String>) {
        self.faults.push(Note { place: place.clone(), message: message.into() });
    }

    /// Something that shows that it holds.
    pub fn evidence(&mut self, place: &Place, message: impl Into<String>) {
        self.evidence.push(Note { place: place.clone(), message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row {
        id: "x",
        title: "X",
        help: "do",
        gravity: Outcome::Failed,
        judge: Judge::Nobody("nobody knows"),
    };

    #[test]
    fn a_fault_outweighs_all_evidence() {
        let mut judgement = Judgement::unless("nothing");
        judgement.evidence(&Place::file("a"), "good");
        judgement.fault(&Place::file("b"), "bad");
        judgement.fault(&Place::file("c"), "worse");
        let found = ROW.found(&judgement);
        assert_eq!((found.outcome, found.code.as_str()), (Outcome::Failed, "constitution.x"));
        assert_eq!(found.message, "bad, and 1 more");
        assert_eq!(found.evidence, ["b: bad", "c: worse"]);
        assert_eq!((found.file.as_deref(), found.help.as_deref()), (Some("b"), Some("do")));
    }

    #[test]
    fn what_passed_tells_in_short_what_was_seen_and_in_full_what_shows_it() {
        let mut judgement = Judgement::unless("nothing");
        let long = "x".repeat(LONGEST + 1);
        judgement.evidence(&Place::file("a"), "small");
        judgement.evidence(&Place::file("b"), long.as_str());
        let found = ROW.found(&judgement);
        assert_eq!((found.outcome, found.message.as_str()), (Outcome::Passed, "small (a); b"));
        assert_eq!(found.evidence, ["a: small".to_owned(), format!("b: {long}")]);
    }

    #[test]
    fn nothing_found_is_never_passed() {
        let found = ROW.found(&Judgement::unless("there is nothing"));
        assert_eq!(found.outcome, Outcome::NotJudged);
        assert_eq!(found.message, "there is nothing");
    }
}
