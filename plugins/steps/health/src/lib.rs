//! The verifier `health`: is what runs ready, and if it will never be, why.
//!
//! It judges one object at a time from what the host watches: by `kstatus` conventions for the object itself, and by
//! its pods for the first plain cause of failure. It calls nothing, so every judgement can be replayed.

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
        // What is ready is ready, even if an old pod of it is still failing; and before its controller has looked at
        // it, its pods are those of another state.
        if matches!(verdict.health, State::Healthy | State::NoOpinion)
            || [rules::NOT_OBSERVED, rules::TERMINATING].contains(&verdict.reason.as_str())
        {
            return Ok(verdict);
        }
        Ok(with_cause(verdict, subject))
    }

    fn probes(_options: NoOptions, objects: &[Value]) -> Result<Vec<Probe>> {
        Ok(probes::of(objects))
    }

    fn explain(
        _options: NoOptions,
        subject: &Subject,
        logs: &[(String, String)],
        usage: &[Usage],
    ) -> Result<Vec<Finding>> {
        Ok(explain::why(subject, logs, usage))
    }
}

/// The verdict with the gravest cause in its pods, or else with what one of them is at.
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
    let of_cause = cause.into_verdict();
    // What the object calls failed stays so; its pods say why.
    let health = if verdict.health == State::Failed { State::Failed } else { of_cause.health };
    Verdict { health, replicas, ..of_cause }
}

todohost_plugin::export!(Health: verify);
