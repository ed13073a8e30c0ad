//! A check that is granted one secret and logs everything that it receives.

#[path = "../../recording-check/src/every_phase.rs"]
mod every_phase;
#[path = "../../recording-steps/src/record.rs"]
mod record;

use todohost_plugin::check::CheckSpec;
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Finding, NoOptions, Result};

struct TrustedCheck;

impl Check for TrustedCheck {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        every_phase::check("trusted", "every received byte is logged")
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        let phase = every_phase::record_subject(subject);
        Ok(vec![Finding::passed("trusted.done", format!("{phase} is logged"))])
    }
}

todohost_plugin::export!(TrustedCheck: check);
