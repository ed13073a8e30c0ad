//! Why an object did not become ready: collects the evidence for the verify step, and makes the error of its findings.

use futures::future::join_all;

use super::subject;
use super::wait::Judged;
use crate::connected::Connected;
use crate::error::{Cause, RunError};
use todohost_cluster::{LogRequest, Snapshot};
use todohost_model::event::{Bus, Finding};
use todohost_model::object::ObjectRef;
use todohost_runtime::plugin::Verify;
use todohost_runtime::plugin::wit::verify;

/// Last lines of a failing container that the verify step reads.
const LOG_LINES: u32 = 20;
/// Most containers whose lines are read.
const MOST_LOGS: usize = 12;
/// Lines of evidence that the error itself repeats.
const LINES_IN_ERROR: usize = 6;
/// A node answers this, with status 200, if it has removed the container.
const LOG_GONE: &str = "unable to retrieve container logs for ";

/// The findings about the objects that ended a wait.
pub(super) struct Diagnosis<'a> {
    connected: &'a Connected,
    bus: &'a Bus,
    /// The first object, and its verdict.
    first: Option<(String, String)>,
    findings: Vec<Finding>,
}

impl<'a> Diagnosis<'a> {
    pub(super) fn new(connected: &'a Connected, bus: &'a Bus) -> Self {
        Self { connected, bus, first: None, findings: Vec::new() }
    }

    /// Asks the verify step for the cause, with the last lines of the containers.
    pub(super) async fn look_into(
        &mut self,
        verifier: &mut Verify,
        options: &str,
        failed: &Judged,
        usage: Vec<verify::Usage>,
    ) -> Result<(), RunError> {
        let connected = self.connected;
        let mut logs = last_lines(connected, &failed.snapshot).await;
        for (key, text) in &failed.lines {
            if logs.iter().all(|(known, _)| known != key) {
                logs.push((key.clone(), text.clone()));
            }
        }
        let subject = subject(&failed.snapshot);
        let findings = verifier.explain(options.to_owned(), subject, logs, usage).await?;
        let findings = findings.into_iter().map(|finding| finding.into_event("verify")).collect();
        self.findings.extend(connected.report_findings(self.bus, findings));
        self.first.get_or_insert_with(|| {
            let object = failed.snapshot.object_ref.to_string();
            (object, connected.vault.redact(&failed.verdict.message))
        });
        Ok(())
    }

    pub(super) fn conclude(self) -> RunError {
        let Some((object, reason)) = self.first else {
            return RunError::internal("a wait failed for no object");
        };
        let help = self.findings.iter().find_map(|finding| finding.help.clone());
        let evidence = self.findings.first().map(|finding| finding.evidence.as_slice());
        let shown = evidence.unwrap_or_default().iter().take(LINES_IN_ERROR).cloned();
        let mut causes: Vec<Cause> =
            self.findings.iter().map(|finding| Cause(finding.message.clone())).collect();
        causes.splice(causes.len().min(1)..causes.len().min(1), shown.map(Cause));
        RunError::NotReady { object, reason, causes, help }
    }
}

/// The last lines of an object's containers, redacted, by `POD/CONTAINER`.
pub(super) async fn last_lines(
    connected: &Connected,
    snapshot: &Snapshot,
) -> Vec<(String, String)> {
    let parts = snapshot.related.iter().chain(&snapshot.object);
    let mut wanted = Vec::new();
    for pod in parts.filter(|part| part["kind"] == "Pod") {
        let Some(name) = ObjectRef::of(pod) else { continue };
        let statuses = ["initContainerStatuses", "containerStatuses"];
        let statuses = statuses.iter().filter_map(|field| pod["status"][field].as_array());
        for status in statuses.flatten() {
            let has_ended =
                ["state", "lastState"].iter().any(|state| status[state]["terminated"].is_object());
            let is_running = status["state"]["running"].is_object();
            let Some(container) = status["name"].as_str() else { continue };
            if has_ended || (is_running && status["ready"] != true) {
                // A container that is not running has the log of the run that just ended. The node soon removes the log of
                // the run before.
                let previous = has_ended && is_running;
                // Containers that are not ready come first.
                let rank = status["ready"] == true;
                wanted.push((rank, name.clone(), container.to_owned(), previous));
            }
        }
    }
    wanted.sort_by_key(|(rank, ..)| *rank);
    wanted.truncate(MOST_LOGS);
    let asked = wanted.into_iter().map(|(_, pod, container, previous)| async move {
        let key = format!("{}/{container}", pod.name);
        let mut request =
            LogRequest { pod, container: Some(container), previous, tail_lines: LOG_LINES };
        let mut text = connected.client.logs(&request).await.unwrap_or_default();
        if text.is_empty() || text.starts_with(LOG_GONE) {
            request.previous = !previous;
            text = connected.client.logs(&request).await.ok()?;
        }
        (!text.starts_with(LOG_GONE)).then(|| (key, connected.vault.redact_output(&text)))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
