//! Running the hooks of a chart: each is made, waited for by the verify step, and noted in the record.
//!
//! Owns the order of things around one hook and what a failed one means. Which hooks there are and when their
//! objects are removed is `release`'s, what completed means is the verify step's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::RunError;
use super::schedule::Report;
use super::session::Session;
use todohost_cluster::{Client, Snapshot};
use todohost_model::event::{Bus, EventKind, HookPhase};
use todohost_model::object::{Object, ObjectRef};
use todohost_release::{Done, HookDeletion, HookEvent, Record, Transaction};

/// How long a hook may take, as long as Helm gives it; a Job with `activeDeadlineSeconds` gives itself less.
const HOOK_WITHIN: Duration = Duration::from_mins(5);

/// A container's last lines arrive a moment after its end.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(3);

/// What the hooks of a moment work on.
pub(super) struct Stage<'a> {
    /// Makes and removes their objects; its client says what stops that.
    pub transaction: &'a Transaction,
    /// The revision that they belong to, which keeps how they ended.
    pub record: &'a mut Record,
    /// Gets what they made.
    pub done: &'a mut Done,
    /// Hooks that completed before the last deploy was interrupted.
    pub through: &'a BTreeSet<usize>,
    /// Gets their events.
    pub bus: &'a Bus,
}

impl Session {
    /// Runs the hooks of a moment, one after the other. What the record says of them is kept in the cluster as they
    /// go; the moments without a hook cost nothing.
    ///
    /// # Errors
    /// `Hook` with the cause at the first that fails; the ones after it are not run.
    pub(super) async fn run_hooks(
        &self,
        event: HookEvent,
        stage: &mut Stage<'_>,
    ) -> Result<(), RunError> {
        let order = stage.record.hooks_at(event);
        let mut succeeded = Vec::new();
        let mut result = Ok(());
        for index in order {
            result = self.run_hook(event, index, stage).await;
            if result.is_err() {
                break;
            }
            succeeded.push(index);
        }
        for index in succeeded.into_iter().rev() {
            let cleared = self.clear_hook(index, HookDeletion::Succeeded, stage).await;
            result = result.and(cleared);
        }
        result
    }

    /// Runs the tests that the chart of the revision in force has.
    pub(super) async fn test(&self, bus: Bus) -> Result<Report, RunError> {
        let deployed = self.reached()?.deployed.clone();
        let mut record = deployed.ok_or_else(|| self.not_deployed())?;
        let count = record.hooks_at(HookEvent::Test).len();
        if count == 0 {
            return Ok(Report::skipped("the chart has no tests"));
        }
        let (mut done, through) = (Done::default(), BTreeSet::new());
        let mut stage = Stage {
            transaction: &self.transaction(&bus)?,
            record: &mut record,
            done: &mut done,
            through: &through,
            bus: &bus,
        };
        self.run_hooks(HookEvent::Test, &mut stage).await?;
        Ok(Report::done(format!("{count} tests passed")))
    }

    async fn run_hook(
        &self,
        event: HookEvent,
        index: usize,
        stage: &mut Stage<'_>,
    ) -> Result<(), RunError> {
        let client = &stage.transaction.client;
        let store = &self.reached()?.store.by(client.clone());
        let objects = hook_objects(client, index, stage.record).await?;
        let refs: Vec<ObjectRef> = objects.iter().filter_map(ObjectRef::of).collect();
        if stage.through.contains(&index) {
            let names: Vec<String> = refs.iter().map(ToString::to_string).collect();
            let message =
                format!("{} completed before the last deploy was interrupted", names.join(", "));
            self.note(stage.bus, "info", message);
            return Ok(());
        }
        self.clear_hook(index, HookDeletion::BeforeCreation, stage).await?;
        stage.record.hooks[index].begin();
        store.update(stage.record).await?;
        let ends = stage.record.hooks[index].ends();
        let began = Instant::now();
        let tell = |phase| {
            for object in refs.iter().filter(|_| ends) {
                let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (object, moment) = (object.clone(), event.as_str().to_owned());
                stage.bus.send(EventKind::Hook { object, moment, phase, elapsed_ms });
            }
        };
        tell(HookPhase::Running);
        let result = async {
            for object in &objects {
                stage.transaction.create_hook(object, stage.done).await?;
            }
            if !ends {
                return Ok(());
            }
            self.wait_for_hook(event, &refs, client, stage.bus).await
        }
        .await;
        tell(if result.is_ok() { HookPhase::Succeeded } else { HookPhase::Failed });
        stage.record.hooks[index].end(result.is_ok());
        let noted = store.update(stage.record).await;
        let Err(error) = result else { return Ok(noted?) };
        let cleared = if error.is_cancelled() {
            // What the user stopped does not go on working behind the rollback's back.
            self.remove_objects(&objects, stage.transaction).await
        } else {
            if stage.record.hooks[index].is_removed(HookDeletion::Failed) {
                self.secure_evidence(&refs).await;
            }
            self.clear_hook(index, HookDeletion::Failed, stage).await
        };
        if let Err(second) = noted.map_err(RunError::from).and(cleared) {
            let message = format!("the failed hook could not be tidied up: {second}");
            self.note(stage.bus, "warn", self.vault().redact(&message));
        }
        Err(error)
    }

    /// Removes a hook's objects, where its policies say so.
    async fn clear_hook(
        &self,
        index: usize,
        deletion: HookDeletion,
        stage: &Stage<'_>,
    ) -> Result<(), RunError> {
        if !stage.record.hooks[index].is_removed(deletion) {
            return Ok(());
        }
        let client = &stage.transaction.client;
        let objects = hook_objects(client, index, stage.record).await?;
        self.remove_objects(&objects, stage.transaction).await
    }

    async fn remove_objects(
        &self,
        objects: &[Object],
        transaction: &Transaction,
    ) -> Result<(), RunError> {
        for object in objects.iter().rev() {
            transaction.remove_hook(object).await?;
        }
        Ok(())
    }

    async fn wait_for_hook(
        &self,
        event: HookEvent,
        refs: &[ObjectRef],
        client: &Client,
        bus: &Bus,
    ) -> Result<(), RunError> {
        let (followed, lines) = (BTreeSet::new(), SelectAll::new());
        let mut output = HookOutput { session: self, client, bus, followed, lines };
        let waiting = self.wait_healthy_within(HOOK_WITHIN, client, refs, bus);
        let result = tokio::select! {
            result = waiting => result,
            error = output.follow(refs) => Err(error),
        };
        // The first look after the end shows every container that ever ran.
        let _ = timeout(LAST_LINES_WITHIN, output.finish(refs)).await;
        match result {
            Ok(_) => Ok(()),
            Err(RunError::NotReady { object, reason, causes, help }) => {
                Err(RunError::Hook { event: event.as_str(), object, reason, causes, help })
            }
            Err(error) => Err(error),
        }
    }
}

async fn hook_objects(
    client: &Client,
    index: usize,
    record: &Record,
) -> Result<Vec<Object>, RunError> {
    Ok(client.place(record.hooks[index].objects()?, &record.namespace).await?)
}

/// What the containers of a hook print, as they print it.
struct HookOutput<'a> {
    session: &'a Session,
    client: &'a Client,
    bus: &'a Bus,
    /// Pods with their containers.
    followed: BTreeSet<(String, String)>,
    lines: SelectAll<BoxStream<'static, String>>,
}

impl HookOutput<'_> {
    /// Tells lines until it is dropped; an error only where nothing can be watched.
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
                Some(line) = self.lines.next(), if !self.lines.is_empty() => self.tell(&line),
            }
        }
    }

    /// Tells what is left after the hook's end.
    async fn finish(&mut self, refs: &[ObjectRef]) -> Result<(), RunError> {
        let snapshots = self.client.watch(refs, CancellationToken::new()).await?.next().await?;
        self.open(&snapshots.unwrap_or_default());
        while let Some(line) = self.lines.next().await {
            self.tell(&line);
        }
        Ok(())
    }

    /// Begins to read every container that has begun.
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

    fn tell(&self, line: &str) {
        let line = self.session.vault().redact_output(line);
        self.bus.send(EventKind::StepOutput { line });
    }
}
