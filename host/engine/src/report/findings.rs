//! The findings of a run, kept for its summary and for the failure report.

use std::sync::Mutex;

use crate::context::lock;
use todohost_model::event::{Finding, FindingOutcome};

/// Collects findings as they are reported.
#[derive(Default)]
pub(crate) struct Findings(Mutex<Collected>);

#[derive(Default)]
struct Collected {
    failed: Vec<Finding>,
    warnings: usize,
}

impl Findings {
    /// Keeps a failed finding, and counts a warning.
    pub fn add(&self, finding: &Finding) {
        let mut collected = lock(&self.0);
        match finding.outcome {
            FindingOutcome::Failed => collected.failed.push(finding.clone()),
            FindingOutcome::Warning => collected.warnings += 1,
            FindingOutcome::Passed | FindingOutcome::NotJudged => {}
        }
    }

    /// The failed findings so far.
    pub fn failed(&self) -> Vec<Finding> {
        lock(&self.0).failed.clone()
    }

    /// The number of warnings so far.
    pub fn warnings(&self) -> usize {
        lock(&self.0).warnings
    }
}
