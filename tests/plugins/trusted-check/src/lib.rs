//! A check that is trusted with one secret, by an author who wants to know everything: it hands out all that it was
//! given.

#[path = "../../recording-steps/src/record.rs"]
mod record;

use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Finding, NoOptions, Result};

use record::record;

struct TrustedCheck;

impl Check for TrustedCheck {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        use Phase::{Live, Preflight, Rendered, Source, Values};
        let phases = [Preflight, Source, Values, Rendered, Live];
        vec![CheckSpec::new("trusted", "what it is trusted with is handed out", phases)]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        let phase = subject.phase().unwrap_or_default().to_owned();
        record(&phase, subject.value().to_string());
        Ok(vec![Finding::passed("trusted.done", format!("{phase} is handed out"))])
    }
}

todohost_plugin::export!(TrustedCheck: check);
