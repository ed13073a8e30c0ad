//! A check that runs in every phase and logs its subjects. Also compiled into `trusted-check`.

use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;

use crate::record::record;

pub fn check(id: &str, title: &str) -> Vec<CheckSpec> {
    use Phase::{Live, Preflight, Rendered, Source, Values};
    vec![CheckSpec::new(id, title, [Preflight, Source, Values, Rendered, Live])]
}

/// Logs the subject; returns the name of its phase.
pub fn record_subject(subject: &Subject) -> String {
    let phase = subject.phase().unwrap_or_default().to_owned();
    record(&phase, subject.value().to_string());
    phase
}
