//! A check that logs everything it can read: the project, the Secrets, the records of releases, the logs and the HTTP
//! responses of the app.

mod every_phase;
#[path = "../../recording-steps/src/record.rs"]
mod record;

use std::time::Duration;

use todohost_plugin::check::CheckSpec;
use todohost_plugin::cluster::{self, Query};
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Finding, NoOptions, ObjectRef, Result, workspace};

use record::record;

const KINDS: [(&str, &str); 6] = [
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("v1", "Pod"),
    ("v1", "Event"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
];

struct RecordingCheck;

impl Check for RecordingCheck {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        every_phase::check("everything", "every received byte is logged")
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        let phase = every_phase::record_subject(subject);
        match phase.as_str() {
            "source" => read_files(subject)?,
            "preflight" | "live" => read_cluster(subject)?,
            _ => {}
        }
        Ok(vec![Finding::passed("recording.done", format!("{phase} is logged"))])
    }
}

fn read_files(subject: &Subject) -> Result<()> {
    for path in subject.source()?.files {
        record(&path, workspace::read(&path)?);
    }
    Ok(())
}

fn read_cluster(subject: &Subject) -> Result<()> {
    let namespace = subject.preflight().map(|it| it.app.namespace).ok();
    let namespace = namespace.or_else(|| subject.live().ok().map(|it| it.app.namespace));
    for (api_version, kind) in KINDS {
        let objects = cluster::list(&Query {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.clone(),
            label_selector: None,
            field_selector: None,
            limit: None,
            continue_: None,
        })?;
        for object in &objects {
            record(kind, object.to_string());
            let named = ObjectRef::of(object);
            let again = cluster::get(&named)?;
            record(kind, again.unwrap_or_default().to_string());
            match kind {
                "Pod" => read_pod(&named),
                "Service" => {
                    if let Ok((_, body)) =
                        cluster::http_get(&named, 8000, "/", Duration::from_secs(5))
                    {
                        record("answer", body);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Errors are skipped: a pod that has not started has no logs.
fn read_pod(pod: &ObjectRef) {
    for previous in [false, true] {
        if let Ok(text) = cluster::logs(pod, None, previous, 100) {
            record("log", text);
        }
    }
}

todohost_plugin::export!(RecordingCheck: check);
