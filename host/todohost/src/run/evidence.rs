//! The evidence of a revision that failed, kept in a bundle before the cluster goes back: its objects and those of its
//! hooks, what was reported about them, what their containers printed, and what was found out.
//!
//! Owns what goes in and that no secret does. The archive itself is `bundle`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use super::session::{Session, lock};
use crate::bundle::Bundle;
use crate::ui;
use todohost_cluster::{Client, LogRequest, Snapshot, Timeouts};
use todohost_model::object::{Object, ObjectRef};

/// Going back does not wait longer than this for evidence.
const WITHIN: Duration = Duration::from_secs(10);
/// Logs that are read at the same time, and at most.
const PARALLEL: usize = 8;
const MOST_LOGS: usize = 60;
/// Last lines of each container.
const LINES: u32 = 2000;
/// An annotation in which clients repeat the whole object.
const REPETITION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What was found in the cluster.
#[derive(Default)]
pub(super) struct Evidence {
    snapshots: Vec<Snapshot>,
    /// What was printed, by pod and file.
    logs: BTreeMap<(String, String), String>,
}

impl Session {
    /// Looks at objects that are about to be removed, for a bundle that may be made later.
    pub(super) async fn secure_evidence(&self, refs: &[ObjectRef]) {
        // What is not read in time is left out.
        let _ = timeout(WITHIN, self.gather(refs)).await;
    }

    /// Keeps what can be found out within a moment, and says where. That nothing can be kept is no failure. `hooks`
    /// are the objects that hooks made.
    pub(super) async fn keep_evidence(
        &self,
        revision: u32,
        hooks: &[(ObjectRef, String)],
        why: &RunError,
    ) {
        let objects = self.objects.get().into_iter().flatten().filter_map(ObjectRef::of);
        let refs: Vec<ObjectRef> =
            objects.chain(hooks.iter().map(|(object, _)| object.clone())).collect();
        self.secure_evidence(&refs).await;
        let evidence = std::mem::take(&mut *lock(&self.evidence));
        let mut bundle = Bundle::default();
        bundle.add(&["summary.txt"], &self.evidence_summary(revision, why));
        let findings = serde_json::to_string_pretty(&*lock(&self.findings)).unwrap_or_default();
        bundle.add(&["findings.json"], &findings);
        self.put_in(&mut bundle, evidence);
        let app = &self.run.project.file.app;
        let name =
            format!("{}-{}-{revision}-{}", app.name, app.namespace, self.run.now / 1_000_000_000);
        let folder = self.run.environment.state_dir().join("failed");
        let written = tokio::task::spawn_blocking(move || bundle.write(&folder, &name)).await;
        let (level, message) = match written {
            Ok(Ok(path)) => ("info", kept(revision, &path)),
            Ok(Err(error)) => ("warn", format!("the evidence could not be kept: {error}")),
            Err(error) => ("warn", format!("the evidence could not be kept: {error}")),
        };
        self.note(&self.bus.for_step("rollback"), level, message);
    }

    fn evidence_summary(&self, revision: u32, why: &RunError) -> String {
        let app = &self.run.project.file.app;
        let failure = why.failure();
        let error = self.vault().redact(&ui::render_failure(&failure, why, false));
        let target = self.target.as_deref().unwrap_or_default();
        let context = self.reached().map(|reached| reached.client.context()).unwrap_or_default();
        format!(
            "release    {}\nnamespace  {}\nrevision   {revision}\ntarget     {target}\ncontext    {context}\ntodohost   {}\n\n{error}\n",
            app.name,
            app.namespace,
            env!("CARGO_PKG_VERSION"),
        )
    }

    async fn gather(&self, refs: &[ObjectRef]) {
        let Ok(reached) = self.reached() else { return };
        // The run is over for everything else.
        let client = reached.client.regardless(Timeouts::default());
        let Ok(mut watch) = client.watch(refs, CancellationToken::new()).await else { return };
        let Ok(Some(snapshots)) = watch.next().await else { return };
        drop(watch);
        let wanted = logs_of(&parts_of(&snapshots));
        lock(&self.evidence).snapshots.extend(snapshots);
        let asked = wanted.into_iter().map(|(request, file)| self.log(&client, request, file));
        let mut asked = stream::iter(asked).buffer_unordered(PARALLEL);
        while let Some(log) = asked.next().await {
            lock(&self.evidence).logs.extend(log);
        }
    }

    /// What a container printed, without secrets, by pod and file.
    async fn log(
        &self,
        client: &Client,
        request: LogRequest,
        file: String,
    ) -> Option<((String, String), String)> {
        let text = client.logs(&request).await.ok()?;
        (!text.is_empty()).then(|| ((request.pod.name, file), self.vault().redact_output(&text)))
    }

    fn put_in(&self, bundle: &mut Bundle, evidence: Evidence) {
        let Evidence { snapshots, logs } = evidence;
        for part in parts_of(&snapshots) {
            let text = serde_json::to_string_pretty(&self.masked(part)).unwrap_or_default();
            let word = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or("_");
            let file = format!("{}.json", word("/metadata/name"));
            bundle.add(&["objects", word("/kind"), &file], &text);
        }
        bundle.add(&["events.txt"], &self.vault().redact_output(&reports(&snapshots)));
        for ((pod, file), text) in logs {
            bundle.add(&["logs", &pod, &file], &text);
        }
    }

    /// The object without anything secret: of a Secret only what it is, of others no value that is known as one.
    fn masked(&self, object: &Object) -> Object {
        let mut object = object.clone();
        if object["kind"] == "Secret"
            && let Some(members) = object.as_object_mut()
        {
            members.retain(|name, _| {
                ["apiVersion", "kind", "metadata", "type"].contains(&name.as_str())
            });
        }
        if let Some(annotations) =
            object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.shift_remove(REPETITION);
        }
        let vault = self.vault();
        redact(&mut object, &|text| vault.redact_output(text));
        object
    }
}

fn kept(revision: u32, path: &Path) -> String {
    format!("what is known of the failed revision {revision} is kept in {}", path.display())
}

fn redact(value: &mut Value, clean: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, clean)),
        Value::Object(members) => members.values_mut().for_each(|value| redact(value, clean)),
        _ => {}
    }
}

/// What every container of the pods printed in its last run and the one before, and the file for it.
fn logs_of(parts: &[&Object]) -> Vec<(LogRequest, String)> {
    let mut wanted = Vec::new();
    for pod in parts.iter().filter(|part| part["kind"] == "Pod") {
        let Some(name) = ObjectRef::of(pod) else { continue };
        for list in ["initContainers", "containers"] {
            for container in pod["spec"][list].as_array().into_iter().flatten() {
                let Some(container) = container["name"].as_str() else { continue };
                for (previous, ending) in [(false, "log"), (true, "previous.log")] {
                    let (pod, name) = (name.clone(), Some(container.to_owned()));
                    let request = LogRequest { pod, container: name, previous, tail_lines: LINES };
                    wanted.push((request, format!("{container}.{ending}")));
                }
            }
        }
    }
    wanted.truncate(MOST_LOGS);
    wanted
}

/// Every object of the snapshots once, as it was first seen.
fn parts_of(snapshots: &[Snapshot]) -> Vec<&Object> {
    let mut seen = BTreeSet::new();
    let parts = snapshots.iter().flat_map(|one| one.object.iter().chain(&one.related));
    parts.filter(|part| seen.insert(part["metadata"]["uid"].as_str())).collect()
}

/// What was reported, one line each, oldest first.
fn reports(snapshots: &[Snapshot]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for event in snapshots.iter().flat_map(|one| &one.events) {
        let word = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
        let time = match word("/lastTimestamp") {
            "-" => word("/eventTime"),
            time => time,
        };
        let count = event.pointer("/count").and_then(Value::as_u64).unwrap_or(1);
        let line = format!(
            "{time} {} {}/{} {}: {} ({count})",
            word("/type"),
            word("/involvedObject/kind"),
            word("/involvedObject/name"),
            word("/reason"),
            word("/message").split_whitespace().collect::<Vec<_>>().join(" "),
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.sort();
    lines.push(String::new());
    lines.join("\n")
}
