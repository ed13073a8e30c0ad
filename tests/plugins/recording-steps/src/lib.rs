//! All steps and a target, each with a minimal implementation that logs everything it receives.

mod images;
mod record;

use serde_json::{Value, json};
use todohost_plugin::apply::{self, Operation, Wave};
use todohost_plugin::render::{self, Manifest, Rendered};
use todohost_plugin::verify::{Health, Subject, Usage, Verdict};
use todohost_plugin::{Apply, Finding, NoOptions, ObjectRef, Render, Result, Verify};

use record::record;

struct RecordingSteps;

impl Render for RecordingSteps {
    type Options = NoOptions;

    fn render(_options: NoOptions, request: render::Request) -> Result<Rendered> {
        record("render", format!("{request:?}"));
        for (path, content) in &request.values.set_file {
            record(path, content);
        }
        let value = |path: &str| {
            let all = request.values.set_string.iter().chain(&request.values.set);
            let found = all.filter_map(|text| text.strip_prefix(path)?.strip_prefix('=')).last();
            found.unwrap_or_default().to_owned()
        };
        let metadata = |name: &str| json!({ "name": name, "namespace": request.namespace });
        let image = request.images.first().map_or("", |image| &image.reference);
        let labels = json!({ "app": "shop-web" });
        let objects = [
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata("shop-secrets"),
                "stringData": { "DATABASE_URL": value("secrets.databaseUrl"), "API_KEY": value("secrets.apiKey") } }),
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata("shop-web"),
                "spec": { "selector": labels, "ports": [{ "name": "http", "port": 8000 }] } }),
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("shop-web"),
                "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": "web", "image": image, "imagePullPolicy": "Never",
                        "env": [{ "name": "GREETING", "value": value("greeting") }] }] } } } }),
        ];
        let manifests = objects
            .iter()
            .map(|object| Manifest { source: "all in one".into(), content: object.to_string() });
        Ok(Rendered {
            manifests: manifests.collect(),
            hooks: Vec::new(),
            definitions: Vec::new(),
            notes: format!("greeted with {}", value("greeting")),
            chart: json!({ "metadata": { "name": "shop", "version": "0.1.0" } }).to_string(),
            config: json!({ "greeting": value("greeting") }).to_string(),
            effective: json!({}).to_string(),
            findings: Vec::new(),
        })
    }
}

impl Apply for RecordingSteps {
    type Options = NoOptions;

    fn plan(_options: NoOptions, request: apply::Request) -> Result<Vec<Wave>> {
        let apply::Request { desired, previous, live, .. } = request;
        for (what, objects) in [("desired", &desired), ("previous", &previous), ("live", &live)] {
            objects.iter().for_each(|object| record(what, object));
        }
        let operations = desired.into_iter().map(Operation::Apply).collect();
        Ok(vec![Wave { title: "everything".into(), operations, wait_for: Vec::new() }])
    }
}

impl Verify for RecordingSteps {
    type Options = NoOptions;

    fn judge(_options: NoOptions, subject: &Subject) -> Result<Verdict> {
        record_subject("judge", subject);
        let has_failed = subject.events.iter().any(|event| event["reason"] == "BackOff");
        let is_ready = subject.object["kind"] != "Deployment"
            || (subject.object["status"]["readyReplicas"] == 1
                && subject.object["status"]["observedGeneration"]
                    == subject.object["metadata"]["generation"]);
        Ok(if has_failed {
            Verdict::new(Health::Failed, "BackOff", "its container ends again and again")
        } else if is_ready {
            Verdict::new(Health::Healthy, "Ready", "it is ready")
        } else {
            Verdict::new(Health::Progressing, "Waiting", "it is not ready")
        })
    }

    fn explain(
        _options: NoOptions,
        subject: &Subject,
        logs: &[(String, String)],
        _usage: &[Usage],
    ) -> Result<Vec<Finding>> {
        record_subject("explain", subject);
        for (_, text) in logs {
            record("last lines", text);
        }
        let lines = logs.iter().flat_map(|(_, text)| text.lines());
        let finding = Finding::failed("recording.back-off", "its container ends again and again")
            .object(ObjectRef::of(&subject.object));
        Ok(vec![lines.fold(finding, |finding, line| finding.evidence(line))])
    }
}

fn record_subject(what: &str, subject: &Subject) {
    let objects = [&subject.object].into_iter().chain(&subject.related).chain(&subject.events);
    objects.for_each(|object: &Value| record(what, object.to_string()));
}

todohost_plugin::export!(RecordingSteps: target, build, render, apply, verify);
