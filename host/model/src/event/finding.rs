//! Judgements of checks and plugins.

use schemars::JsonSchema;
use serde::Serialize;

use crate::object::ObjectRef;

/// A row of a check's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// Code of the row's findings.
    pub code: String,
    /// Title for people.
    pub title: String,
}

/// A judgement with evidence; mirrors `types.finding` of the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Check or plugin that judged.
    pub source: String,
    /// The judgement.
    pub outcome: FindingOutcome,
    /// Stable dotted code.
    pub code: String,
    /// The judgement's reason in one line.
    pub message: String,
    /// Lines that support the judgement, e.g. a container's output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// The command or edit that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Path of the judged file, relative to the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// JSON pointer in the file or in the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The judged object, in the cluster or in the rendered output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
}

/// The four outcomes of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingOutcome {
    /// Good.
    Passed,
    /// A possible problem; it does not stop the deploy.
    Warning,
    /// A problem that stops the deploy.
    Failed,
    /// A program cannot judge the row, or the row's facts were not available.
    NotJudged,
}

impl FindingOutcome {
    /// Counts the outcomes: `15 passed, 2 not judged`. `word` names an outcome.
    pub fn tally(outcomes: &[Self], word: impl Fn(Self) -> &'static str) -> String {
        let all = [Self::Passed, Self::Warning, Self::Failed, Self::NotJudged];
        let counted =
            all.map(|wanted| (outcomes.iter().filter(|it| **it == wanted).count(), wanted));
        let present = counted.into_iter().filter(|(count, _)| *count > 0);
        present
            .map(|(count, outcome)| format!("{count} {}", word(outcome)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
