//! How a target's run ended, and how the app is right now.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::error::RunError;
use super::history::Revision;
use super::render::for_people;
use super::session::{Session, lock};
use crate::plan::Goal;
use todohost_model::event::{Difference, StepOutcome, TargetEnd};

/// How a target's run ended well.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The target.
    pub target: Option<String>,
    /// The revision in force.
    pub revision: Option<u32>,
    /// A new revision was made.
    pub changed: bool,
    /// Where the app answers.
    pub addresses: Vec<String>,
    /// The rendered objects, where those were asked for.
    #[serde(skip)]
    pub manifest: Option<String>,
    /// What a deploy would change, where that was asked for.
    #[serde(skip)]
    pub difference: Option<Difference>,
    /// How many warnings checks gave.
    pub warnings: usize,
    /// Images by reference.
    pub images: Vec<String>,
    /// What the chart has to say to its users.
    pub notes: String,
}

/// How a run ended on a target, or without any.
#[derive(Debug)]
pub struct Ended {
    /// The target.
    pub target: Option<String>,
    /// What came of it.
    pub result: Result<Outcome, RunError>,
}

impl Outcome {
    /// Where a revision was to be made and nothing would change, nothing was done.
    fn word(&self, goal: Goal) -> StepOutcome {
        match goal {
            Goal::Deploy | Goal::Reviewed | Goal::Apply | Goal::Rollback { .. }
                if !self.changed =>
            {
                StepOutcome::Unchanged
            }
            _ => StepOutcome::Done,
        }
    }
}

impl Ended {
    /// The same for those who watch the run; `None` where there was no target.
    pub fn tell(&self, goal: Goal) -> Option<TargetEnd> {
        let target = self.target.clone()?;
        Some(match &self.result {
            Ok(outcome) => TargetEnd {
                target,
                outcome: outcome.word(goal),
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

/// How the app is right now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Name of the release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// The target.
    pub target: String,
    /// The revision in force.
    pub revision: u32,
    /// The revision's state, as recorded.
    pub status: String,
    /// What its record tells beyond that.
    pub record: Option<Revision>,
    /// A newer revision that did not come into force, or not yet.
    pub newer: Option<Revision>,
    /// Each object with its health.
    pub objects: Vec<ObjectState>,
    /// Where the app answers.
    pub addresses: Vec<String>,
    /// What the chart has to say to its users.
    pub notes: String,
}

/// How an object is right now.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectState {
    /// `Kind/name`.
    pub object: String,
    /// E.g. `healthy`.
    pub health: String,
    /// Why, where it is not plain.
    pub message: String,
}

impl Session {
    /// All steps went well.
    pub(super) async fn conclude(&self) -> Result<Outcome, RunError> {
        let made = self.put_in_force().await?;
        let deployed = self.reached.get().and_then(|reached| reached.deployed.as_ref());
        let manifest = match self.rendered.get() {
            Some(rendered) if self.goal == Goal::Render => Some(for_people(rendered)?),
            _ => None,
        };
        Ok(Outcome {
            target: self.target.clone(),
            revision: made.or_else(|| deployed.map(|record| record.revision)),
            changed: made.is_some(),
            addresses: lock(&self.addresses).clone(),
            manifest,
            difference: self.difference.get().cloned(),
            warnings: self.warnings.load(Ordering::Relaxed),
            images: self.images().into_iter().map(|state| state.reference).collect(),
            notes: self.rendered.get().map(|rendered| rendered.notes.clone()).unwrap_or_default(),
        })
    }
}
