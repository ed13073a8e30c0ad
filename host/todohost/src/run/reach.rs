//! Reaching the cluster: connect where it runs, start it where it does not, read the release.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::candidates::word;
use super::consent::{Consent, question};
use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Reached, Session, lock};
use crate::plan::Chosen;
use todohost_cluster::{Client, ClusterError, Connection, Timeouts};
use todohost_model::event::{Bus, EventKind};
use todohost_release::{Lease, Newest, Record, Store};
use todohost_runtime::plugin::wit::target;
use todohost_runtime::plugin::{CallContext, Plugin};
use todohost_secrets::{Salt, Vault};

impl Session {
    pub(super) async fn reach(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        // The usual case first: a cluster that runs is there after one request.
        let (client, started) = match self.connect(chosen, &bus).await {
            Ok(client) => (client, false),
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => (self.start(chosen, &bus, error).await?, true),
        };
        let app = &self.run.project.file.app;
        let client = client.until(self.cancel.clone());
        let store = Store::new(client.clone(), &app.namespace, &app.name);
        let lease = Lease::new(
            client.clone(),
            &app.namespace,
            &app.name,
            self.run.environment.person(),
            self.run.environment.cache_dir().join("leases"),
            self.run.lock_timeout.duration(),
        );
        let read = Box::pin(self.read_release(&client, &store, &lease, &bus));
        let (newest, salt) = self.or_cancelled(read).await?;
        let Newest { latest, deployed, interrupted } = newest;
        let planned = || self.run.saved.as_ref().and_then(|saved| saved.salt());
        let salt = salt.or_else(planned).map_or_else(Salt::random, Ok)?;
        let vault = Arc::new(Vault::new(salt.clone()));
        for path in self.vault().paths() {
            if let Some(value) = self.vault().value(&path) {
                vault.insert(&path, value);
            }
        }
        let records = latest.iter().chain(&deployed).chain(&interrupted);
        let held: Vec<_> = records.flat_map(Record::secret_values).collect();
        vault.guard(&held);
        let revision = deployed.as_ref().map_or_else(
            || "no release yet".to_owned(),
            |record| format!("revision {} is deployed", record.revision),
        );
        let version = client.version().git_version.clone();
        let detail = format!("context {}, Kubernetes {version}, {revision}", client.context());
        let target = chosen.clone();
        let reached =
            Reached { target, client, store, lease, latest, deployed, interrupted, salt, vault };
        if self.reached.set(reached).is_err() {
            return Err(RunError::internal("the target was reached twice"));
        }
        self.was_started.store(started, Ordering::Relaxed);
        Ok(if started { Report::done(detail) } else { Report::unchanged(detail) })
    }

    /// What the cluster knows of the release, once nobody else is changing it.
    async fn read_release(
        &self,
        client: &Client,
        store: &Store,
        lease: &Lease,
        bus: &Bus,
    ) -> Result<(Newest, Option<Salt>), RunError> {
        let release = async || Ok(tokio::try_join!(store.newest(), store.salt())?);
        let others = async {
            if self.goal.changes_release() {
                self.wait_for_others(lease, bus).await
            } else {
                Ok(false)
            }
        };
        // What the renderer is told of the cluster is asked for along with the rest; who needs it sees why it failed.
        let served = async {
            if self.goal.renders() {
                let _ = client.api_versions().await;
            }
            Ok(())
        };
        let (read, waited, ()) = tokio::try_join!(release(), others, served)?;
        // What another deploy made in the meantime is there to be read now.
        if waited { release().await } else { Ok(read) }
    }

    /// Waits for cluster work, unless the user stops it; the request is dropped then.
    pub(super) async fn or_cancelled<T, E: Into<RunError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(RunError::cancelled()),
            result = work => result.map_err(Into::into),
        }
    }

    async fn connect(&self, chosen: &Chosen, bus: &Bus) -> Result<Client, RunError> {
        let plugin = self.plugin(chosen)?;
        let context = self.context(bus.clone(), Deadline::Short, &chosen.digest);
        let connection = connection(&plugin, &context, chosen.options.to_string()).await?;
        let files = self.run.environment.kubeconfig();
        self.or_cancelled(Client::connect(&connection, &files, Timeouts::default())).await
    }

    /// Lets the target say what is wrong, and start what is stopped.
    async fn start(&self, chosen: &Chosen, bus: &Bus, why: RunError) -> Result<Client, RunError> {
        // Credentials that are refused are not cured by starting anything.
        if let RunError::Cluster(
            ClusterError::Unauthorised { .. } | ClusterError::Forbidden { .. },
        ) = &why
        {
            return Err(why);
        }
        let plugin = self.plugin(chosen)?;
        let options = chosen.options.to_string();
        let context = self.context(bus.clone(), Deadline::Long, &chosen.digest);
        let status = plugin.target(context.clone())?.detect(options.clone()).await?;
        if status.state == target::State::Ready {
            return Err(why);
        }
        let name = self.target.clone().unwrap_or_default();
        let detail = status.detail.map(|detail| self.vault().redact(&detail));
        // Without an offer it can do nothing itself, and only says what the user has to do.
        if let Some(offer) = status.offer {
            let offer = self.vault().redact(&offer);
            let question = question(&name, word(status.state), detail.as_deref(), &offer);
            let agrees = self.agrees(&question).await?;
            let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            if !agrees {
                return Err(RunError::NotStarted { target: name, detail, offer });
            }
            self.note(bus, "info", format!("{name} is not running{detail}; it will {offer}"));
            *lock(&self.being_started) = Some(offer);
        }
        let status = plugin.target(context)?.ensure(options).await?;
        let client = match status.state {
            target::State::Ready | target::State::Starting => self.wait_for(chosen, bus).await,
            _ => self.connect(chosen, bus).await,
        }?;
        *lock(&self.being_started) = None;
        Ok(client)
    }

    /// Whether the target had to be started, and was; waits until that is known.
    pub(super) async fn was_started(&self) -> Result<bool, RunError> {
        if self.target.is_none() || matches!(self.run.consent, Consent::Withheld) {
            return Ok(false);
        }
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(RunError::cancelled()),
            () = self.reach_is_over.cancelled() => Ok(self.was_started.load(Ordering::Relaxed)),
        }
    }

    /// A cluster that was just started takes a while until its API server answers.
    async fn wait_for(&self, chosen: &Chosen, bus: &Bus) -> Result<Client, RunError> {
        let ends = Instant::now() + START;
        let line = |message: String, closed| {
            bus.send(EventKind::StepProgress {
                id: WAITING,
                message,
                done: 0,
                total: None,
                closed,
            });
        };
        loop {
            let error = match self.connect(chosen, bus).await {
                Err(error) if is_early(&error) && Instant::now() < ends => error,
                result => {
                    line(String::new(), true);
                    return result;
                }
            };
            line(format!("waiting until the cluster answers: {error}"), false);
            tokio::select! {
                () = self.cancel.cancelled() => return Err(RunError::cancelled()),
                () = sleep(PAUSE) => {}
            }
        }
    }
}

/// How long a cluster may take to answer once its target started it.
const START: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_secs(1);
/// Components count their lines from zero.
const WAITING: u64 = u64::MAX;

/// What passes by itself while a cluster starts: its context is not written yet, or nothing answers behind it.
fn is_early(error: &RunError) -> bool {
    matches!(
        error,
        RunError::Cluster(
            ClusterError::NoKubeconfig { .. }
                | ClusterError::ContextMissing { .. }
                | ClusterError::Unreachable { .. }
                | ClusterError::Timeout { .. }
                | ClusterError::Server { .. }
                | ClusterError::Answer { .. }
        )
    )
}

/// How to come to a client of a target's cluster.
pub(super) async fn connection(
    plugin: &Arc<Plugin>,
    context: &CallContext,
    options: String,
) -> Result<Connection, RunError> {
    Ok(match plugin.target(context.clone())?.connect(options).await? {
        target::Connection::Context(name) => Connection::Context(name),
        target::Connection::Command(command) => {
            Connection::Kubeconfig(plugin.output_for_host(context, command).await?)
        }
    })
}
