//! One row of the constitution, what its rule found, and the finding that comes of it.

use crate::place::Place;
use std::collections::BTreeMap;
use todohost_plugin::{Finding, Outcome};

/// Rows that a project leaves out, with its reasons.
pub type Skipped = BTreeMap<String, String>;

/// A row: what is asked of a subject.
pub struct Row<S> {
    /// The last part of its code, and its name in the options.
    pub id: &'static str,
    /// As the table has it.
    pub title: &'static str,
    /// What to change where it does not hold.
    pub help: &'static str,
    /// What a fault is: a failure, or a warning where the rule may be wrong.
    pub gravity: Outcome,
    /// The rule.
    pub judge: fn(&S) -> Judgement,
}

impl<S> Row<S> {
    /// The one finding of this row.
    pub fn finding(&self, subject: &S, skipped: &Skipped) -> Finding {
        let code = format!("constitution.{}", self.id);
        let told = |outcome, rest: &str| {
            Finding::new(outcome, code.as_str(), format!("{}: {rest}", self.title))
        };
        if let Some(reason) = skipped.get(self.id) {
            return told(Outcome::NotJudged, &format!("skipped by the project: {reason}"));
        }
        let judgement = (self.judge)(subject);
        let (mut finding, notes) = if let Some(first) = judgement.faults.first() {
            let others = match judgement.faults.len() {
                1 => String::new(),
                many => format!(", and {} more", many - 1),
            };
            let told = told(self.gravity, &format!("{}{others}", first.message)).help(self.help);
            (first.place.mark(told), &judgement.faults)
        } else if let Some(first) = judgement.evidence.first() {
            let mut places: Vec<String> =
                judgement.evidence.iter().map(|note| note.place.short()).collect();
            places.dedup();
            let told = told(Outcome::Passed, &places.join(", "));
            (first.place.mark(told), &judgement.evidence)
        } else {
            (told(Outcome::NotJudged, &judgement.nothing), &judgement.evidence)
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

    fn finding(judge: fn(&()) -> Judgement) -> Finding {
        let row = Row { id: "x", title: "X", help: "do", gravity: Outcome::Failed, judge };
        row.finding(&(), &Skipped::new())
    }

    #[test]
    fn a_fault_outweighs_all_evidence() {
        let found = finding(|()| {
            let mut judgement = Judgement::unless("nothing");
            judgement.evidence(&Place::file("a"), "good");
            judgement.fault(&Place::file("b"), "bad");
            judgement.fault(&Place::file("c"), "worse");
            judgement
        });
        assert_eq!(found.outcome, Outcome::Failed);
        assert_eq!(found.message, "X: bad, and 1 more");
        assert_eq!(found.evidence, ["b: bad", "c: worse"]);
        assert_eq!((found.file.as_deref(), found.help.as_deref()), (Some("b"), Some("do")));
    }

    #[test]
    fn nothing_found_is_never_passed() {
        let found = finding(|()| Judgement::unless("there is nothing"));
        assert_eq!(found.outcome, Outcome::NotJudged);
        assert_eq!(found.message, "X: there is nothing");
    }

    #[test]
    fn a_skipped_row_tells_the_reason() {
        let row = Row {
            id: "x",
            title: "X",
            help: "do",
            gravity: Outcome::Failed,
            judge: |(): &()| Judgement::default(),
        };
        let skipped = Skipped::from([("x".to_owned(), "a worker".to_owned())]);
        let found = row.finding(&(), &skipped);
        assert_eq!(found.outcome, Outcome::NotJudged);
        assert_eq!(found.message, "X: skipped by the project: a worker");
    }
}
