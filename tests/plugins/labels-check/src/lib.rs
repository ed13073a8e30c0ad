//! A check from outside: every Deployment must carry the label `app.kubernetes.io/name`. It needs no capability.

mod labels;

use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Finding, NoOptions, Result, log};

struct LabelsCheck;

impl Check for LabelsCheck {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        vec![CheckSpec::new(
            "labels",
            "Deployments carry app.kubernetes.io/name",
            [Phase::Rendered],
        )]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        let objects = subject.rendered()?.objects;
        log::debug(&format!("looking at the labels of {} objects", objects.len()));
        Ok(labels::judge(&objects))
    }
}

todohost_plugin::export!(LabelsCheck: check);
