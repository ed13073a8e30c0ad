//! Verifying: the host watches, the verify step judges, the host probes and asks for reasons.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::{Clue, RunError};
use super::outcome::{ObjectState, State};
use super::schedule::Report;
use super::session::{Deadline, Session, lock};
use crate::cluster::{LogRequest, Snapshot};
use crate::event::{Bus, EventKind};
use crate::object::{Object, ObjectRef};
use crate::plan::{Chosen, Planner};
use crate::plugin::wit::{target, verify};
use crate::plugin::{Role, Verify};

/// Pods have this long to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What looks like a failure and stays the same for this long is one.
const PATIENCE: Duration = Duration::from_secs(15);
/// A ready pod is not yet routed to everywhere: probes are tried again for this long.
const PROBES_WITHIN: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// Lines of a failing container that explain its failure.
const LOG_LINES: u32 = 20;

/// What a node answers, with success, where it has removed the container that is asked for.
const LOG_GONE: &str = "unable to retrieve container logs for ";
const MOST_LOGS: usize = 12;

/// An object's last judgement.
struct Judged {
    verdict: verify::Verdict,
    since: Instant,
    snapshot: Snapshot,
}

impl Session {
    pub(super) async fn verify(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let (objects, refs) = self.release_objects().await?;
        let judged = self.wait_healthy_with(chosen, &refs, &bus, &self.cancel).await?;
        let probes = self.probe(chosen, &objects, &bus);
        let (probed, ()) = tokio::join!(probes, self.find_addresses(&objects, &bus));
        let probed = probed?;
        Ok(Report::done(format!("{judged} objects healthy, {probed} probes answered")))
    }

    /// What this run applied, or else what is deployed.
    async fn release_objects(&self) -> Result<(Vec<Object>, Vec<ObjectRef>), RunError> {
        let app = &self.run.project.file.app;
        let objects = match self.objects.get() {
            Some(objects) => objects.clone(),
            None => {
                let reached = self.reached()?;
                let record = reached.deployed.as_ref().ok_or_else(|| RunError::NotDeployed {
                    release: app.name.clone(),
                    namespace: app.namespace.clone(),
                    target: self.target.clone().unwrap_or_default(),
                })?;
                let vault = self.vault();
                let documents = record.documents()?.into_iter();
                let objects = documents.map(|document| vault.tokenise(document.object)).collect();
                self.or_cancelled(reached.client.place(objects, &app.namespace)).await?
            }
        };
        let refs = objects.iter().filter_map(ObjectRef::of).collect();
        Ok((objects, refs))
    }

    fn verifier(&self, chosen: &Chosen, bus: &Bus) -> Result<Verify, RunError> {
        let mut context = self.context(bus.clone(), Deadline::Short, "verify");
        // Judging also goes on while a stopped run is rolled back.
        context.cancel = CancellationToken::new();
        Ok(self.plugin(chosen)?.verify(context)?)
    }

    /// Waits for objects of a wave, by the project's verify step.
    pub(super) async fn wait_healthy(
        &self,
        refs: &[ObjectRef],
        bus: &Bus,
        cancel: &CancellationToken,
    ) -> Result<usize, RunError> {
        let planner = Planner { project: &self.run.project, registry: &self.run.registry };
        let chosen = planner.step_plugin(Role::Verify)?;
        self.wait_healthy_with(&chosen, refs, bus, cancel).await
    }

    /// What a rollback put back must run again. The user's Ctrl-C does not cut this short.
    pub(super) async fn verify_restored(&self, refs: &[ObjectRef]) -> Result<(), RunError> {
        let bus = self.bus.for_step("rollback");
        self.wait_healthy(refs, &bus, &CancellationToken::new()).await.map(drop)
    }

    async fn wait_healthy_with(
        &self,
        chosen: &Chosen,
        refs: &[ObjectRef],
        bus: &Bus,
        cancel: &CancellationToken,
    ) -> Result<usize, RunError> {
        let client = &self.reached()?.client;
        let mut verifier = self.verifier(chosen, bus)?;
        let options = chosen.options.to_string();
        let deadline = Instant::now() + READY_WITHIN;
        let mut judged: BTreeMap<ObjectRef, Judged> = BTreeMap::new();
        let mut watch = client.watch(refs, cancel.clone()).await?;
        loop {
            // The next change, or the moment at which patience ends with what does not change.
            let until = patience_ends(&judged).map_or(deadline, |end| end.min(deadline));
            match timeout_at(until, watch.next()).await {
                Ok(Ok(Some(snapshots))) => {
                    for snapshot in snapshots {
                        let verdict = judge(&mut verifier, &options, &snapshot).await?;
                        self.note_verdict(bus, &mut judged, snapshot, verdict);
                    }
                }
                Ok(Ok(None)) => return Err(RunError::cancelled()),
                Ok(Err(error)) => return Err(error.into()),
                Err(_elapsed) => {}
            }
            let is_out_of_time = Instant::now() >= deadline;
            let failed = judged.values().find(|one| is_failure(one)).or_else(|| {
                judged.values().find(|one| is_out_of_time && !is_good(one.verdict.health))
            });
            if let Some(failed) = failed {
                return Err(self.explain(&mut verifier, &options, failed, bus).await);
            }
            if judged.len() >= refs.len() && judged.values().all(|one| is_good(one.verdict.health))
            {
                return Ok(judged.len());
            }
            if is_out_of_time {
                return Err(RunError::internal("objects were not told of in time"));
            }
        }
    }

    fn note_verdict(
        &self,
        bus: &Bus,
        judged: &mut BTreeMap<ObjectRef, Judged>,
        snapshot: Snapshot,
        verdict: verify::Verdict,
    ) {
        let object = snapshot.object_ref.clone();
        let before = judged.get(&object);
        let is_same = before.is_some_and(|before| {
            (before.verdict.health, &before.verdict.reason) == (verdict.health, &verdict.reason)
        });
        let since = match before {
            Some(before) if is_same => before.since,
            _ => Instant::now(),
        };
        let ready = is_good(verdict.health);
        // What is good at first sight is not worth a line.
        let is_news =
            before.map_or(!ready, |before| before.verdict.message != verdict.message || !is_same);
        if is_news {
            let reason = self.vault().redact(&verdict.message);
            bus.send(EventKind::ObjectWaiting { object: object.clone(), reason, ready });
        }
        judged.insert(object, Judged { verdict, since, snapshot });
    }

    /// Looks for the cause: the verify step's, from the objects and the last lines of their containers.
    async fn explain(
        &self,
        verifier: &mut Verify,
        options: &str,
        failed: &Judged,
        bus: &Bus,
    ) -> RunError {
        let vault = self.vault();
        let object = failed.snapshot.object_ref.to_string();
        let reason = vault.redact(&failed.verdict.message);
        let logs = self.last_lines(&failed.snapshot).await;
        let subject = subject(&failed.snapshot);
        let findings = match verifier.explain(options.to_owned(), subject, logs).await {
            Ok(findings) => findings,
            Err(error) => return error.into(),
        };
        let findings: Vec<_> =
            findings.into_iter().map(|finding| finding.into_event("verify")).collect();
        let help = findings.iter().find_map(|finding| finding.help.clone());
        let causes = findings.iter().map(|finding| Clue(vault.redact(&finding.message))).collect();
        self.tell_findings(bus, findings);
        RunError::NotReady { object, reason, causes, help: help.map(|help| vault.redact(&help)) }
    }

    async fn last_lines(&self, snapshot: &Snapshot) -> Vec<(String, String)> {
        let Ok(reached) = self.reached() else { return Vec::new() };
        let mut wanted = Vec::new();
        for pod in snapshot.related.iter().chain(&snapshot.object) {
            if pod["kind"] != "Pod" {
                continue;
            }
            let Some(name) = ObjectRef::of(pod) else { continue };
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            for container in containers.filter_map(|container| container["name"].as_str()) {
                let restarted =
                    pod["status"]["containerStatuses"].as_array().into_iter().flatten().any(
                        |status| {
                            // One that is not running answers for the run that just ended; the run before that is
                            // soon removed from the node.
                            status["name"] == container
                                && status["lastState"]["terminated"].is_object()
                                && status["state"]["running"].is_object()
                        },
                    );
                wanted.push((name.clone(), container.to_owned(), restarted));
            }
        }
        wanted.truncate(MOST_LOGS);
        let asked = wanted.into_iter().map(|(pod, container, previous)| async move {
            let key = format!("{}/{container}", pod.name);
            let mut request =
                LogRequest { pod, container: Some(container), previous, tail_lines: LOG_LINES };
            let mut text = reached.client.logs(&request).await.unwrap_or_default();
            if text.is_empty() || text.starts_with(LOG_GONE) {
                request.previous = !previous;
                text = reached.client.logs(&request).await.ok()?;
            }
            (!text.starts_with(LOG_GONE)).then(|| (key, self.vault().redact(&text)))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Makes the probes that the verify step names, all at the same time; gives their number.
    async fn probe(
        &self,
        chosen: &Chosen,
        objects: &[Object],
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let documents = objects
            .iter()
            .filter(|object| object["kind"] != "Secret")
            .map(ToString::to_string)
            .collect();
        let probes =
            self.verifier(chosen, bus)?.probes(chosen.options.to_string(), documents).await?;
        let count = probes.len();
        let results = join_all(probes.into_iter().map(|probe| self.one_probe(probe))).await;
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(count)
    }

    async fn one_probe(&self, probe: verify::Probe) -> Result<(), RunError> {
        let client = &self.reached()?.client;
        let object = probe.object.clone().into();
        let until = Instant::now() + PROBES_WITHIN;
        loop {
            let asked = client.http_get(&object, probe.port, &probe.path, PROBE_TIMEOUT);
            let reason = match self.or_cancelled(asked).await {
                Ok(answer) if probe.expect_status.contains(&answer.status) => return Ok(()),
                Ok(answer) => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let body: String = self.vault().redact(&body).chars().take(200).collect();
                    format!("{} answers {} {body}", probe.path, answer.status)
                }
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= until {
                return Err(RunError::Probe { title: probe.title, reason });
            }
            sleep(PROBE_PAUSE).await;
        }
    }

    /// Asks the target where the services that are open to the outside answer.
    pub(super) async fn find_addresses(&self, objects: &[Object], bus: &Bus) {
        let Ok(reached) = self.reached() else { return };
        let Ok(plugin) = self.plugin(&reached.target) else { return };
        let services = objects.iter().filter_map(open_service).collect::<Vec<_>>();
        let asked = services.into_iter().map(|service| {
            let (plugin, bus) = (plugin.clone(), bus.clone());
            async move {
                let context = self.context(bus, Deadline::Short, "reach");
                let options = reached.target.options.to_string();
                let hint = format!(
                    "kubectl --context {} --namespace {} port-forward service/{} {}:{}",
                    reached.client.context(),
                    service.namespace,
                    service.name,
                    service.port,
                    service.port
                );
                let reach = plugin.target(context).ok()?.reach_service(options, service).await;
                Some(match reach {
                    Ok(target::Reach::Url(url)) if answers(&url).await => url,
                    Ok(target::Reach::Url(url)) => {
                        format!("{url} (does not answer yet; or: {hint})")
                    }
                    _ => hint,
                })
            }
        });
        let found: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
        lock(&self.addresses).extend(found);
    }

    /// How the app is at this moment.
    pub(super) async fn state(&self, chosen: &Chosen) -> Result<State, RunError> {
        let bus = self.bus.clone();
        let (objects, refs) = self.release_objects().await?;
        let reached = self.reached()?;
        let mut watch = reached.client.watch(&refs, self.cancel.clone()).await?;
        let mut verifier = self.verifier(chosen, &bus)?;
        let options = chosen.options.to_string();
        let snapshots = self.or_cancelled(watch.next()).await?.ok_or_else(RunError::cancelled)?;
        let mut states = Vec::new();
        for snapshot in snapshots {
            let verdict = judge(&mut verifier, &options, &snapshot).await?;
            states.push(ObjectState {
                object: snapshot.object_ref.to_string(),
                health: health_word(verdict.health).to_owned(),
                message: self.vault().redact(&verdict.message),
            });
        }
        self.find_addresses(&objects, &bus).await;
        let app = &self.run.project.file.app;
        let record = reached.deployed.as_ref();
        Ok(State {
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            target: self.target.clone().unwrap_or_default(),
            revision: record.map_or(0, |record| record.revision),
            status: record.map_or("unknown", |record| record.info.status.as_str()).to_owned(),
            objects: states,
            addresses: lock(&self.addresses).clone(),
        })
    }
}

async fn judge(
    verifier: &mut Verify,
    options: &str,
    snapshot: &Snapshot,
) -> Result<verify::Verdict, RunError> {
    if snapshot.object.is_none() {
        return Ok(verify::Verdict {
            health: verify::Health::Progressing,
            reason: "Missing".to_owned(),
            message: "it does not exist".to_owned(),
            since_matters: false,
        });
    }
    Ok(verifier.judge(options.to_owned(), subject(snapshot)).await?)
}

fn subject(snapshot: &Snapshot) -> verify::Subject {
    let texts = |objects: &[Object]| objects.iter().map(ToString::to_string).collect();
    verify::Subject {
        object: snapshot.object.as_ref().unwrap_or(&Value::Null).to_string(),
        related: texts(&snapshot.related),
        events: texts(&snapshot.events),
    }
}

const fn is_good(health: verify::Health) -> bool {
    matches!(health, verify::Health::Healthy | verify::Health::NoOpinion)
}

const fn health_word(health: verify::Health) -> &'static str {
    match health {
        verify::Health::Healthy => "healthy",
        verify::Health::Progressing => "progressing",
        verify::Health::Failing => "failing",
        verify::Health::Failed => "failed",
        verify::Health::NoOpinion => "no opinion",
    }
}

fn is_failure(one: &Judged) -> bool {
    match one.verdict.health {
        verify::Health::Failed => true,
        verify::Health::Failing => one.since.elapsed() >= PATIENCE,
        _ => false,
    }
}

fn patience_ends(judged: &BTreeMap<ObjectRef, Judged>) -> Option<Instant> {
    let failing = judged.values().filter(|one| one.verdict.health == verify::Health::Failing);
    failing.map(|one| one.since + PATIENCE).min()
}

/// A service that is meant to be reached from outside the cluster, with its first port.
fn open_service(object: &Object) -> Option<target::Service> {
    let spec = object.get("spec")?;
    let is_open = matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if object["kind"] != "Service" || !is_open {
        return None;
    }
    let port = spec["ports"].as_array()?.first()?;
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let name = ObjectRef::of(object)?;
    Some(target::Service {
        namespace: name.namespace?,
        name: name.name,
        port: number(&port["port"])?,
        node_port: number(&port["nodePort"]),
    })
}

/// Whether anything speaks HTTP there; a pod that is ready is routed to within a moment.
async fn answers(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    let request = format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let attempt = async {
            let mut stream = tokio::net::TcpStream::connect((host, port)).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut head = [0; 5];
            stream.read_exact(&mut head).await?;
            std::io::Result::Ok(&head == b"HTTP/")
        };
        if matches!(timeout(Duration::from_secs(2), attempt).await, Ok(Ok(true))) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(PROBE_PAUSE).await;
    }
}
