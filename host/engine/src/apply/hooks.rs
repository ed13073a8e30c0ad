//! Runs the hooks of a chart: creates each, waits for it by the verify step, and notes the result in the record.
//!
//! Owns the order around one hook, and the meaning of a failed one. `release` knows which hooks there are and when their
//! objects are removed; the verify step decides when one has completed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connected::Connected;
use crate::context::note;
use crate::error::RunError;
use crate::report::failure_report::Evidence;
use crate::scheduler::Report;
use crate::verify::wait_healthy;
use todohost_cluster::{Client, Snapshot};
use todohost_model::event::{Bus, EventKind, HookPhase, Level};
use todohost_model::object::{Object, ObjectRef};
use todohost_release::{AppliedChanges, HookDeletion, HookEvent, Record, Transaction};

/// How long a hook may take, as in Helm. A Job with `activeDeadlineSeconds` may have less.
const HOOK_WITHIN: Duration = Duration::from_mins(5);

/// The last lines of a container arrive a moment after its end.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(3);

/// The surroundings of the hooks of one moment.
pub(super) struct Stage<'a> {
    pub connected: &'a Connected,
    /// Creates and removes their objects, with the client's rules for cancellation.
    pub transaction: &'a Transaction,
    /// The revision of the hooks, which records their results.
    pub record: &'a mut Record,
    /// Receives the objects that were created.
    pub done: &'a mut AppliedChanges,
    /// Hooks that completed before the last deploy was interrupted.
    pub completed: &'a BTreeSet<usize>,
    /// Receives the objects of failed hooks before they are removed.
    pub evidence: &'a mut Evidence,
    pub bus: &'a Bus,
}

/// Runs the hooks of a moment, one after the other, and records each result in the cluster. A moment without hooks makes
/// no request.
///
/// # Errors
/// `Hook` with the cause at the first that fails. Later ones do not run.
pub(super) async fn run_hooks(event: HookEvent, stage: &mut Stage<'_>) -> Result<(), RunError> {
    let order = stage.record.hooks_at(event);
    let mut succeeded = Vec::new();
    let mut result = Ok(());
    for index in order {
        result = run_hook(event, index, stage).await;
        if result.is_err() {
            break;
        }
        succeeded.push(index);
    }
    for index in succeeded.into_iter().rev() {
        let cleared = clear_hook(index, HookDeletion::Succeeded, stage).await;
        result = result.and(cleared);
    }
    result
}

/// Runs the tests of the chart of the current revision.
pub(crate) async fn test(connected: &Connected, bus: Bus) -> Result<Report, RunError> {
    let deployed = connected.deployed.clone();
    let mut record = deployed.ok_or_else(|| connected.not_deployed())?;
    let count = record.hooks_at(HookEvent::Test).len();
    if count == 0 {
        return Ok(Report::skipped("the chart has no tests"));
    }
    let (mut done, completed, mut evidence) =
        (AppliedChanges::default(), BTreeSet::new(), Evidence::default());
    let mut stage = Stage {
        connected,
        transaction: &connected.transaction(&bus),
        record: &mut record,
        done: &mut done,
        completed: &completed,
        evidence: &mut evidence,
        bus: &bus,
    };
    run_hooks(HookEvent::Test, &mut stage).await?;
    Ok(Report::done(format!("{count} tests passed")))
}

async fn run_hook(event: HookEvent, index: usize, stage: &mut Stage<'_>) -> Result<(), RunError> {
    let connected = stage.connected;
    let client = &stage.transaction.client;
    let store = &connected.store.with_client(client.clone());
    let objects = hook_objects(client, index, stage.record).await?;
    let refs: Vec<ObjectRef> = objects.iter().filter_map(ObjectRef::of).collect();
    if stage.completed.contains(&index) {
        let names: Vec<String> = refs.iter().map(ToString::to_string).collect();
        let message =
            format!("{} completed before the last deploy was interrupted", names.join(", "));
        note(stage.bus, Level::Info, message);
        return Ok(());
    }
    clear_hook(index, HookDeletion::BeforeCreation, stage).await?;
    stage.record.hooks[index].begin();
    store.update(stage.record).await?;
    let ends = stage.record.hooks[index].ends();
    let began = Instant::now();
    let report = |phase| {
        for object in refs.iter().filter(|_| ends) {
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (object, moment) = (object.clone(), event.as_str().to_owned());
            stage.bus.send(EventKind::Hook { object, moment, phase, elapsed_ms });
        }
    };
    report(HookPhase::Running);
    let result = async {
        for object in &objects {
            stage.transaction.create_hook(object, stage.done).await?;
        }
        if !ends {
            return Ok(());
        }
        wait_for_hook(connected, event, &refs, client, stage.bus).await
    }
    .await;
    report(if result.is_ok() { HookPhase::Succeeded } else { HookPhase::Failed });
    stage.record.hooks[index].end(result.is_ok());
    let noted = store.update(stage.record).await;
    let Err(error) = result else { return Ok(noted?) };
    let cleared = if error.is_cancelled() {
        // A hook that the user stopped must not work on while the rollback runs.
        remove_objects(&objects, stage.transaction).await
    } else {
        if stage.record.hooks[index].is_removed(HookDeletion::Failed) {
            stage.evidence.secure(connected, &refs).await;
        }
        clear_hook(index, HookDeletion::Failed, stage).await
    };
    if let Err(second) = noted.map_err(RunError::from).and(cleared) {
        let message = format!("could not clean up after the failed hook: {second}");
        note(stage.bus, Level::Warn, connected.vault.redact(&message));
    }
    Err(error)
}

/// Removes a hook's objects, if its policies ask for that.
async fn clear_hook(
    index: usize,
    deletion: HookDeletion,
    stage: &Stage<'_>,
) -> Result<(), RunError> {
    if !stage.record.hooks[index].is_removed(deletion) {
        return Ok(());
    }
    let client = &stage.transaction.client;
    let objects = hook_objects(client, index, stage.record).await?;
    remove_objects(&objects, stage.transaction).await
}

async fn remove_objects(objects: &[Object], transaction: &Transaction) -> Result<(), RunError> {
    for object in objects.iter().rev() {
        transaction.remove_hook(object).await?;
    }
    Ok(())
}

async fn wait_for_hook(
    connected: &Connected,
    event: HookEvent,
    refs: &[ObjectRef],
    client: &Client,
    bus: &Bus,
) -> Result<(), RunError> {
    let (followed, lines) = (BTreeSet::new(), SelectAll::new());
    let mut output = HookOutput { connected, client, bus, followed, lines };
    let waiting = wait_healthy(connected, client, refs, HOOK_WITHIN, bus);
    let result = tokio::select! {
        result = waiting => result,
        error = output.follow(refs) => Err(error),
    };
    // The first snapshot after the end lists every container that ever ran.
    let _ = timeout(LAST_LINES_WITHIN, output.finish(refs)).await;
    match result {
        Ok(_) => Ok(()),
        Err(RunError::NotReady { object, reason, causes, help }) => {
            Err(RunError::Hook { event: event.as_str(), object, reason, causes, help })
        }
        Err(error) => Err(error),
    }
}

async fn hook_objects(
    client: &Client,
    index: usize,
    record: &Record,
) -> Result<Vec<Object>, RunError> {
    Ok(client.place(record.hooks[index].objects()?, &record.namespace).await?)
}

/// Streams the output of a hook's containers.
struct HookOutput<'a> {
    connected: &'a Connected,
    client: &'a Client,
    bus: &'a Bus,
    /// Pods with their containers.
    followed: BTreeSet<(String, String)>,
    lines: SelectAll<BoxStream<'static, String>>,
}

impl HookOutput<'_> {
    /// Sends lines until it is dropped. Returns only if the hook cannot be watched.
    async fn follow(&mut self, refs: &[ObjectRef]) -> RunError {
        let mut watch = match self.client.watch(refs, CancellationToken::new()).await {
            Ok(watch) => watch,
            Err(error) => return error.into(),
        };
        loop {
            tokio::select! {
                snapshots = watch.next() => match snapshots {
                    Ok(snapshots) => self.open(&snapshots.unwrap_or_default()),
                    Err(error) => return error.into(),
                },
                Some(line) = self.lines.next(), if !self.lines.is_empty() => self.report(&line),
            }
        }
    }

    /// Sends the remaining lines after the hook ended.
    async fn finish(&mut self, refs: &[ObjectRef]) -> Result<(), RunError> {
        let snapshots = self.client.watch(refs, CancellationToken::new()).await?.next().await?;
        self.open(&snapshots.unwrap_or_default());
        while let Some(line) = self.lines.next().await {
            self.report(&line);
        }
        Ok(())
    }

    /// Starts to read every container that has started.
    fn open(&mut self, snapshots: &[Snapshot]) {
        let parts =
            snapshots.iter().flat_map(|snapshot| snapshot.object.iter().chain(&snapshot.related));
        for pod in parts.filter(|part| part["kind"] == "Pod") {
            let Some(name) = ObjectRef::of(pod) else { continue };
            let statuses = ["initContainerStatuses", "containerStatuses"]
                .into_iter()
                .filter_map(|field| pod["status"][field].as_array())
                .flatten();
            for status in statuses {
                let state = &status["state"];
                let begun = state["running"].is_object() || state["terminated"].is_object();
                let Some(container) = status["name"].as_str().filter(|_| begun) else { continue };
                if self.followed.insert((name.name.clone(), container.to_owned())) {
                    self.lines.push(self.client.follow(&name, container));
                }
            }
        }
    }

    fn report(&self, line: &str) {
        let line = self.connected.vault.redact_output(line);
        self.bus.send(EventKind::StepOutput { line });
    }
}
