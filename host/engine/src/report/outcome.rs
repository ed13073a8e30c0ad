//! How the run of a target ended.

use serde::Serialize;

use crate::context::Context;
use crate::error::RunError;
use crate::plan::Goal;
use crate::render::for_people;
use crate::slots::Slots;
use todohost_model::event::{Difference, StepOutcome, TargetEnd};

/// The result of a successful run on one target.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub target: Option<String>,
    /// The current revision.
    pub revision: Option<u32>,
    /// The run made a new revision.
    pub changed: bool,
    /// Addresses of the app, or commands that forward to it.
    pub addresses: Vec<String>,
    /// The rendered objects, if the goal is to render.
    #[serde(skip)]
    pub manifest: Option<String>,
    /// The changes of a deploy, if the goal is to show or plan them.
    #[serde(skip)]
    pub difference: Option<Difference>,
    /// Number of warnings of checks.
    pub warnings: usize,
    /// Images by reference.
    pub images: Vec<String>,
    /// The chart's notes.
    pub notes: String,
}

/// The end of a run on a target, or without one.
#[derive(Debug)]
pub struct Ended {
    pub target: Option<String>,
    pub result: Result<Outcome, RunError>,
}

impl Outcome {
    /// A run that was to make a revision and changed nothing is `Unchanged`.
    fn label(&self, goal: Goal) -> StepOutcome {
        match goal {
            Goal::Deploy | Goal::DeployPlan | Goal::Apply | Goal::Rollback { .. }
                if !self.changed =>
            {
                StepOutcome::Unchanged
            }
            _ => StepOutcome::Done,
        }
    }
}

impl Ended {
    /// The same as part of an event; `None` without a target.
    pub fn target_end(&self, goal: Goal) -> Option<TargetEnd> {
        let target = self.target.clone()?;
        Some(match &self.result {
            Ok(outcome) => TargetEnd {
                target,
                outcome: outcome.label(goal),
                revision: outcome.revision.filter(|_| !matches!(goal, Goal::Delete(_))),
                addresses: outcome.addresses.clone(),
                error: None,
            },
            Err(error) => {
                let cancelled = error.is_cancelled();
                let outcome = if cancelled { StepOutcome::Cancelled } else { StepOutcome::Failed };
                let error = Some(error.failure());
                TargetEnd { target, outcome, revision: None, addresses: Vec::new(), error }
            }
        })
    }
}

impl Outcome {
    /// The outcome of a run whose steps all succeeded. `made` is the revision that it made.
    pub(crate) fn of(cx: &Context, slots: &Slots, made: Option<u32>) -> Result<Self, RunError> {
        let deployed = slots.connected.get().and_then(|connected| connected.deployed.as_ref());
        let rendered = slots.rendered.get();
        let manifest = match rendered {
            Some(rendered) if cx.goal == Goal::Render => Some(for_people(rendered)?),
            _ => None,
        };
        let verified = slots.verified.get();
        Ok(Self {
            target: cx.target.clone(),
            revision: made.or_else(|| deployed.map(|record| record.revision)),
            changed: made.is_some(),
            addresses: verified.map(|verified| verified.addresses.clone()).unwrap_or_default(),
            manifest,
            difference: slots.difference.get().cloned(),
            warnings: cx.findings.warnings(),
            images: slots.images().iter().map(|state| state.reference.clone()).collect(),
            notes: rendered.map(|rendered| rendered.notes.clone()).unwrap_or_default(),
        })
    }
}
