//! The verifier `health`: whether an object is ready, and why it is not.
//!
//! The host passes one object at a time, with its pods and their events. The object's own status is read by the
//! `kstatus` conventions, its pods for the most severe cause of failure. The verifier makes no host calls: equal input
//! gives an equal verdict.

mod advice;
mod cause;
mod containers;
mod creation;
mod document;
mod events;
mod explain;
mod pods;
mod probes;
mod quantity;
mod rules;

use serde_json::Value;
use todohost_plugin::verify::{Health as State, Probe, Subject, Usage, Verdict};
use todohost_plugin::{Finding, NoOptions, Result, Verify};

struct Health;

impl Verify for Health {
    type Options = NoOptions;

    fn judge(_options: NoOptions, subject: &Subject) -> Result<Verdict> {
        let verdict = rules::judge(subject);
        // A ready object stays ready even if an old pod of it is still failing. Until its controller has observed the
        // object, its pods belong to the previous state.
        if matches!(verdict.health, State::Healthy | State::NoOpinion)
            || [rules::NOT_OBSERVED, rules::TERMINATING].contains(&verdict.reason.as_str())
        {
            return Ok(verdict);
        }
        Ok(with_cause(verdict, subject))
    }

    fn probes(_options: NoOptions, objects: &[Value]) -> Result<Vec<Probe>> {
        Ok(probes::for_objects(objects))
    }

    fn explain(
        _options: NoOptions,
        subject: &Subject,
        logs: &[(String, String)],
        usage: &[Usage],
    ) -> Result<Vec<Finding>> {
        Ok(explain::findings(subject, logs, usage))
    }
}

/// Adds the most severe cause found in the object's pods or, without a cause, the stage that a pod has reached.
fn with_cause(verdict: Verdict, subject: &Subject) -> Verdict {
    let replicas = verdict.replicas;
    let Some(cause) = cause::all(subject).into_iter().next() else {
        let pods = pods::current(subject);
        let stage = pods.iter().find_map(|pod| {
            let stage = pods::stage(pod, &subject.events)?;
            Some(format!("{} {stage}", document::text(pod, "/metadata/name")))
        });
        return match stage {
            Some(stage) if verdict.health == State::Progressing => {
                Verdict { message: format!("{}: {stage}", verdict.message), ..verdict }
            }
            _ => verdict,
        };
    };
    let from_cause = cause.into_verdict();
    // If the object's own status is failed, its pods only add the reason.
    let health = if verdict.health == State::Failed { State::Failed } else { from_cause.health };
    Verdict { health, replicas, ..from_cause }
}

todohost_plugin::export!(Health: verify);
