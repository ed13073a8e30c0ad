//! The verifier `health`: is what runs ready, and if it will never be, why.
//!
//! It judges one object at a time from what the host watches: by `kstatus` conventions for the object itself, and by
//! its pods for the first plain cause of failure. It calls nothing, so every judgement can be replayed.

mod document;
mod explain;
mod pods;
mod probes;
mod rules;

use serde::Deserialize;
use serde_json::Value;
use todohost_plugin::verify::{Health as State, Probe, Subject, Verdict};
use todohost_plugin::{Finding, Result, Verify};

struct Health;

/// The host enforces the time; it is here so that the schema and the type agree.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    #[serde(default, rename = "readyWithin")]
    _ready_within: Option<String>,
}

impl Verify for Health {
    type Options = Options;

    fn judge(_options: Options, subject: &Subject) -> Result<Verdict> {
        let verdict = rules::judge(&subject.object);
        // What is ready is ready, even if an old pod of it is still failing.
        if matches!(verdict.health, State::Healthy | State::NoOpinion | State::Failed) {
            return Ok(verdict);
        }
        Ok(pods::worst(&subject.object, &subject.related)
            .map_or(verdict, pods::Cause::into_verdict))
    }

    fn probes(_options: Options, objects: &[Value]) -> Result<Vec<Probe>> {
        Ok(probes::of(objects))
    }

    fn explain(
        _options: Options,
        subject: &Subject,
        logs: &[(String, String)],
    ) -> Result<Vec<Finding>> {
        Ok(explain::why(subject, logs))
    }
}

todohost_plugin::export!(Health: verify);
