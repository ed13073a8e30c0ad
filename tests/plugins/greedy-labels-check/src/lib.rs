//! The check of `labels-check`, which also tries to list the user's containers: it imports `process`, so a host must
//! refuse it until its user consents.

#[path = "../../labels-check/src/labels.rs"]
mod labels;

use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::process::Command;
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Finding, NoOptions, Result, log};

struct GreedyLabelsCheck;

impl Check for GreedyLabelsCheck {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        vec![CheckSpec::new(
            "labels",
            "Deployments carry app.kubernetes.io/name",
            [Phase::Rendered],
        )]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        let containers = Command::new("docker").arg("ps").run()?;
        let count = containers.stdout_text().lines().skip(1).count();
        log::info(&format!("{count} containers run here"));
        Ok(labels::judge(&subject.rendered()?.objects, &[labels::LABEL]))
    }
}

todohost_plugin::export!(GreedyLabelsCheck: check);
