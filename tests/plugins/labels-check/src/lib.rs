//! A third-party check: every Deployment must have the labels in the project's `labels.txt`, one per line; without that
//! file, `app.kubernetes.io/name`. It requests to read only that file.

mod labels;

use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, ErrorKind, Finding, NoOptions, Result, log, workspace};

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
        let named = match workspace::read_text("labels.txt") {
            Ok(text) => text,
            Err(error) if error.kind == ErrorKind::NotFound => labels::LABEL.to_owned(),
            Err(error) => return Err(error),
        };
        let labels: Vec<&str> =
            named.lines().map(str::trim).filter(|label| !label.is_empty()).collect();
        Ok(labels::judge(&objects, &labels))
    }
}

todohost_plugin::export!(LabelsCheck: check);
