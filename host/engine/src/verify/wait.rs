//! Waits until objects are healthy: the host watches, the verify step judges, and a lasting fault ends the wait.
//!
//! Owns deadlines and patience. The verify step decides when an object is ready, and how long a fault may last.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::diagnose::{Diagnosis, last_lines};
use super::usage::UsageSampler;
use super::{is_good, judge, verifier};
use crate::connected::Connected;
use crate::error::RunError;
use crate::plan::Chosen;
use todohost_cluster::{Client, Snapshot};
use todohost_model::event::{Bus, EventKind, Readiness, Replicas};
use todohost_model::object::ObjectRef;
use todohost_runtime::plugin::Verify;
use todohost_runtime::plugin::wit::verify;

/// Most objects whose failure is explained, the gravest first.
const MOST_EXPLAINED: usize = 4;

/// Reading the last lines of a failed container must not delay the wait for the others.
const LINES_WITHIN: Duration = Duration::from_secs(3);

/// An object's last judgement.
pub(super) struct Judged {
    pub verdict: verify::Verdict,
    pub since: Instant,
    pub snapshot: Snapshot,
    /// The lines of its containers from when it began to fail: they may be gone later, with the pod.
    pub lines: Vec<(String, String)>,
    since_ms: u64,
}

/// The objects of a wait, with their last verdicts.
struct Waiting<'a> {
    connected: &'a Connected,
    bus: &'a Bus,
    usage: &'a UsageSampler,
    verifier: Verify,
    options: String,
    judged: BTreeMap<ObjectRef, Judged>,
}

/// Waits until all objects are healthy, at most for `limit`. Returns their number.
pub(super) async fn until_healthy(
    connected: &Connected,
    client: &Client,
    chosen: &Chosen,
    refs: &[ObjectRef],
    limit: Duration,
    bus: &Bus,
) -> Result<usize, RunError> {
    let usage = UsageSampler::new(client.clone());
    let mut waiting = Waiting {
        connected,
        bus,
        usage: &usage,
        verifier: verifier(connected, chosen, bus)?,
        options: chosen.options.to_string(),
        judged: BTreeMap::new(),
    };
    let deadline = Instant::now() + limit;
    let mut watch = client.watch(refs, client.stop()).await?;
    let wait = async {
        loop {
            // The next change, or the moment at which the patience with an unchanged object ends.
            let until = waiting.patience_ends().map_or(deadline, |end| end.min(deadline));
            match timeout_at(until, watch.next()).await {
                Ok(Ok(Some(snapshots))) => waiting.add(snapshots).await?,
                Ok(Ok(None)) => return Err(RunError::cancelled()),
                Ok(Err(error)) => return Err(error.into()),
                // There was no change. Before that ends the wait, read the objects afresh.
                Err(_elapsed) => {
                    let mut look = client.watch(refs, client.stop()).await?;
                    waiting.add(look.next().await?.unwrap_or_default()).await?;
                }
            }
            let is_out_of_time = Instant::now() >= deadline;
            if waiting.has_failed() || (is_out_of_time && waiting.lacks_health()) {
                return Err(waiting.explain().await);
            }
            if waiting.judged.len() >= refs.len() && !waiting.lacks_health() {
                return Ok(waiting.judged.len());
            }
            if is_out_of_time {
                return Err(RunError::internal("some objects were not observed in time"));
            }
        }
    };
    tokio::select! {
        result = wait => result,
        never = usage.run(|used| bus.send(EventKind::ObjectUses(used))) => match never {},
    }
}

impl Waiting<'_> {
    async fn add(&mut self, snapshots: Vec<Snapshot>) -> Result<(), RunError> {
        for snapshot in snapshots {
            let verdict = judge(&mut self.verifier, &self.options, &snapshot).await?;
            self.add_verdict(snapshot, verdict).await;
        }
        let bad = self.judged.values().filter(|one| !is_good(one.verdict.health));
        self.usage.look_at(bad.map(|one| &one.snapshot));
        Ok(())
    }

    async fn add_verdict(&mut self, snapshot: Snapshot, verdict: verify::Verdict) {
        let object = snapshot.object_ref.clone();
        let before = self.judged.remove(&object);
        let same = before.as_ref().filter(|before| {
            (before.verdict.health, &before.verdict.reason) == (verdict.health, &verdict.reason)
        });
        let (since, since_ms) = same.map_or_else(
            || (Instant::now(), self.bus.elapsed_ms()),
            |before| (before.since, before.since_ms),
        );
        let begins_to_fail = same.is_none() && verdict.health == verify::Health::Failing;
        // An object that is healthy from the start needs no line.
        let is_news = before.as_ref().map_or(!is_good(verdict.health), |before| {
            (&before.verdict.message, before.verdict.replicas)
                != (&verdict.message, verdict.replicas)
                || same.is_none()
        });
        if is_news {
            self.report(&object, &verdict, since_ms);
        }
        let mut lines = before.map(|before| before.lines).unwrap_or_default();
        if begins_to_fail {
            let read = timeout(LINES_WITHIN, last_lines(self.connected, &snapshot)).await;
            lines = read.ok().filter(|read| !read.is_empty()).unwrap_or(lines);
        }
        self.judged.insert(object, Judged { verdict, since, snapshot, lines, since_ms });
    }

    fn report(&self, object: &ObjectRef, verdict: &verify::Verdict, since_ms: u64) {
        self.bus.send(EventKind::ObjectWaiting {
            object: object.clone(),
            state: match verdict.health {
                verify::Health::Healthy | verify::Health::NoOpinion => Readiness::Ready,
                verify::Health::Progressing => Readiness::Waiting,
                verify::Health::Failing => Readiness::Failing,
                verify::Health::Failed => Readiness::Failed,
            },
            reason: verdict.reason.clone(),
            message: self.connected.vault.redact(&verdict.message),
            replicas: verdict.replicas.map(|replicas| Replicas {
                ready: replicas.ready,
                updated: replicas.updated,
                desired: replicas.desired,
            }),
            since_ms,
        });
    }

    fn has_failed(&self) -> bool {
        self.judged.values().any(|one| match one.verdict.health {
            verify::Health::Failed => true,
            _ => one.patience_ends().is_some_and(|end| Instant::now() >= end),
        })
    }

    fn lacks_health(&self) -> bool {
        self.judged.values().any(|one| !is_good(one.verdict.health))
    }

    fn patience_ends(&self) -> Option<Instant> {
        self.judged.values().filter_map(Judged::patience_ends).min()
    }

    /// The cause of the end: of the objects that failed, or else of those that are not ready.
    async fn explain(&mut self) -> RunError {
        let is_over = |one: &&Judged| {
            matches!(one.verdict.health, verify::Health::Failing | verify::Health::Failed)
        };
        let mut failed: Vec<&Judged> = self.judged.values().filter(is_over).collect();
        if failed.is_empty() {
            failed = self.judged.values().filter(|one| !is_good(one.verdict.health)).collect();
        }
        // Final failures come before those that may pass. Of equals, the one that began first is nearer the cause.
        failed.sort_by_key(|one| (one.verdict.health != verify::Health::Failed, one.since));
        failed.truncate(MOST_EXPLAINED);
        let mut diagnosis = Diagnosis::new(self.connected, self.bus);
        for one in failed {
            let found = diagnosis
                .look_into(&mut self.verifier, &self.options, one, self.usage.peaks())
                .await;
            if let Err(error) = found {
                return error;
            }
        }
        diagnosis.conclude()
    }
}

impl Judged {
    fn patience_ends(&self) -> Option<Instant> {
        let patience =
            self.verdict.patience_ms.filter(|_| self.verdict.health == verify::Health::Failing)?;
        Some(self.since + Duration::from_millis(patience.into()))
    }
}
