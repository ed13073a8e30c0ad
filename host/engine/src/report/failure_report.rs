//! The failure report: an archive of a failed revision, written before the cluster rolls back. It holds the objects of
//! the revision and its hooks, their events, the logs of their containers, and the findings.
//!
//! Owns the selection, and that no secret is in it. `archive` owns the format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use crate::connected::Connected;
use crate::context::note;
use crate::error::RunError;
use todohost_cluster::{Client, LogRequest, Snapshot, Timeouts};
use todohost_model::event::Level;
use todohost_model::object::{Object, ObjectRef};
use todohost_secrets::Vault;

/// The rollback waits at most this long for evidence.
const WITHIN: Duration = Duration::from_secs(10);
/// Logs that are read at the same time.
const PARALLEL: usize = 8;
const MOST_LOGS: usize = 60;
/// Last lines of each container.
const LINES: u32 = 2000;
/// An annotation in which clients repeat the whole object.
const REPETITION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The evidence read from the cluster.
#[derive(Default)]
pub(crate) struct Evidence {
    snapshots: Vec<Snapshot>,
    /// Logs, by pod and file.
    logs: BTreeMap<(String, String), String>,
}

impl Evidence {
    /// Reads objects that are about to be removed, with their events and logs. Objects that cannot be read in time
    /// are left out.
    pub(crate) async fn secure(&mut self, connected: &Connected, refs: &[ObjectRef]) {
        let _ = timeout(WITHIN, self.gather(connected, refs)).await;
    }

    async fn gather(&mut self, connected: &Connected, refs: &[ObjectRef]) {
        // The run is cancelled for everything else.
        let client = connected.client.without_cancel(Timeouts::default());
        let Ok(mut watch) = client.watch(refs, CancellationToken::new()).await else { return };
        let Ok(Some(snapshots)) = watch.next().await else { return };
        drop(watch);
        let wanted = logs_of(&parts_of(&snapshots));
        self.snapshots.extend(snapshots);
        let asked =
            wanted.into_iter().map(|(request, file)| log(connected, &client, request, file));
        let mut asked = stream::iter(asked).buffer_unordered(PARALLEL);
        while let Some(log) = asked.next().await {
            self.logs.extend(log);
        }
    }
}

/// Writes the archive of a failed revision, and reports its path. `hooks` are the objects that hooks made. A failure to
/// write it is a warning.
pub(crate) async fn write(
    connected: &Connected,
    mut evidence: Evidence,
    revision: u32,
    objects: &[ObjectRef],
    hooks: &[(ObjectRef, String)],
    why: &RunError,
) {
    let cx = &connected.cx;
    let hooks = hooks.iter().map(|(object, _)| object);
    let refs: Vec<ObjectRef> = objects.iter().chain(hooks).cloned().collect();
    evidence.secure(connected, &refs).await;
    let mut archive = Archive::default();
    archive.add(&["summary.txt"], &summary(connected, revision, why));
    let findings = serde_json::to_string_pretty(&cx.findings.failed()).unwrap_or_default();
    archive.add(&["findings.json"], &findings);
    add_evidence(&mut archive, &connected.vault, evidence);
    let app = cx.app();
    let name = format!("{}-{}-{revision}-{}", app.name, app.namespace, cx.run.now / 1_000_000_000);
    let folder = cx.run.environment.state_dir().join("failed");
    let written = tokio::task::spawn_blocking(move || archive.write(&folder, &name)).await;
    let (level, message) = match written {
        Ok(Ok(path)) => (Level::Info, kept(revision, &path)),
        Ok(Err(error)) => (Level::Warn, format!("cannot write the failure report: {error}")),
        Err(error) => (Level::Warn, format!("cannot write the failure report: {error}")),
    };
    note(&cx.bus.for_step("rollback"), level, message);
}

fn summary(connected: &Connected, revision: u32, why: &RunError) -> String {
    let app = connected.cx.app();
    let failure = why.failure();
    let error = connected.vault.redact(&failure.text("error:", ""));
    let target = connected.cx.target_name();
    let context = connected.client.context();
    format!(
        "release    {}\nnamespace  {}\nrevision   {revision}\ntarget     {target}\ncontext    {context}\ntodohost   {}\n\n{error}\n",
        app.name,
        app.namespace,
        env!("CARGO_PKG_VERSION"),
    )
}

/// The log of a container, redacted, by pod and file.
async fn log(
    connected: &Connected,
    client: &Client,
    request: LogRequest,
    file: String,
) -> Option<((String, String), String)> {
    let text = client.logs(&request).await.ok()?;
    let key = (request.pod.name, file);
    (!text.is_empty()).then(|| (key, connected.vault.redact_output(&text)))
}

fn add_evidence(archive: &mut Archive, vault: &Vault, evidence: Evidence) {
    let Evidence { snapshots, logs } = evidence;
    for part in parts_of(&snapshots) {
        let text = serde_json::to_string_pretty(&masked(vault, part)).unwrap_or_default();
        let word = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or("_");
        let file = format!("{}.json", word("/metadata/name"));
        archive.add(&["objects", word("/kind"), &file], &text);
    }
    archive.add(&["events.txt"], &vault.redact_output(&reports(&snapshots)));
    for ((pod, file), text) in logs {
        archive.add(&["logs", &pod, &file], &text);
    }
}

/// The object without anything secret: a Secret without its data, other objects without known values.
fn masked(vault: &Vault, object: &Object) -> Object {
    let mut object = object.clone();
    if object["kind"] == "Secret"
        && let Some(members) = object.as_object_mut()
    {
        members
            .retain(|name, _| ["apiVersion", "kind", "metadata", "type"].contains(&name.as_str()));
    }
    if let Some(annotations) =
        object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.shift_remove(REPETITION);
    }
    redact(&mut object, &|text| vault.redact_output(text));
    object
}

fn kept(revision: u32, path: &Path) -> String {
    format!("kept a report of the failed revision {revision} in {}", path.display())
}

fn redact(value: &mut Value, clean: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, clean)),
        Value::Object(members) => members.values_mut().for_each(|value| redact(value, clean)),
        _ => {}
    }
}

/// The logs of the last two runs of every container, each with its file name in the archive.
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

/// Every object of the snapshots once, in its first state.
fn parts_of(snapshots: &[Snapshot]) -> Vec<&Object> {
    let mut seen = BTreeSet::new();
    let parts = snapshots.iter().flat_map(|one| one.object.iter().chain(&one.related));
    parts.filter(|part| seen.insert(part["metadata"]["uid"].as_str())).collect()
}

/// The events, one line each, oldest first.
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
