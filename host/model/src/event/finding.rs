//! Judgements of checks and plugins.

use schemars::JsonSchema;
use serde::Serialize;

use crate::object::ObjectRef;

/// A row of a check's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// Code of its findings.
    pub code: String,
    /// For people.
    pub title: String,
}

/// A judgement with evidence; mirrors `types.finding` of the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Check or plugin that found it.
    pub source: String,
    /// `passed`, `warning`, `failed` or `not-judged`.
    pub outcome: FindingOutcome,
    /// Stable dotted code.
    pub code: String,
    /// One line.
    pub message: String,
    /// Lines that show it: what a container printed, what was reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Project-relative file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// JSON pointer in the file or object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Object in the cluster or the rendered output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
}

/// The four outcomes of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingOutcome {
    /// Good, with evidence.
    Passed,
    /// Worth a look.
    Warning,
    /// Stops the deploy.
    Failed,
    /// No program can judge it.
    NotJudged,
}

impl FindingOutcome {
    /// How many there are of each, with the word for it: `15 passed, 2 not judged`.
    pub fn tally(outcomes: &[Self], word: impl Fn(Self) -> &'static str) -> String {
        let all = [Self::Passed, Self::Warning, Self::Failed, Self::NotJudged];
        let counted =
            all.map(|wanted| (outcomes.iter().filter(|it| **it == wanted).count(), wanted));
        let told = counted.into_iter().filter(|(count, _)| *count > 0);
        told.map(|(count, outcome)| format!("{count} {}", word(outcome)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
