//! A check by an author who wants to know everything: it reads the project, the Secrets, the records of releases, the
//! logs and the answers of the app, and hands out all that it was given.

#[path = "../../recording-steps/src/record.rs"]
mod record;

use std::time::Duration;

use todohost_plugin::check::{CheckSpec, Phase};
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
        use Phase::{Live, Preflight, Rendered, Source, Values};
        let phases = [Preflight, Source, Values, Rendered, Live];
        vec![CheckSpec::new("everything", "everything is handed out", phases)]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        let phase = subject.phase().unwrap_or_default().to_owned();
        record(&phase, subject.value().to_string());
        match phase.as_str() {
            "source" => read_files(subject)?,
            "preflight" | "live" => read_cluster(subject)?,
            _ => {}
        }
        Ok(vec![Finding::passed("recording.done", format!("{phase} is handed out"))])
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

/// A pod that has not begun yet has nothing to tell.
fn read_pod(pod: &ObjectRef) {
    for previous in [false, true] {
        if let Ok(text) = cluster::logs(pod, None, previous, 100) {
            record("log", text);
        }
    }
}

todohost_plugin::export!(RecordingCheck: check);
