//! Connects to the cluster: at once if it runs, else after its target started it. Then reads the release.

pub(super) mod consent;
pub(super) mod delete_cluster;
pub(super) mod doctor;
pub(super) mod targets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use self::consent::{Consent, agrees, question};
use self::targets::TargetState;
use super::apply::lock::wait_for_others;
use super::connected::Connected;
use super::context::{Context, Deadline, note};
use super::error::RunError;
use super::plan::Chosen;
use super::scheduler::Report;
use super::slots::Slot;
use todohost_cluster::{Client, ClusterError, Connection, Timeouts};
use todohost_model::event::{Bus, EventKind, Level};
use todohost_release::{Lease, Newest, Record, Store};
use todohost_runtime::plugin::wit::target;
use todohost_runtime::plugin::{CallContext, Plugin};
use todohost_secrets::{Salt, Vault};

/// Connects to the target's cluster.
pub(super) async fn run(
    cx: &Arc<Context>,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Arc<Connected>, Report), RunError> {
    // A cluster that runs needs one request, so try that before asking the target about its state.
    let (client, was_started) = match open(cx, chosen, &bus).await {
        Ok(client) => (client, false),
        Err(error) if error.is_cancelled() => return Err(error),
        Err(error) => (start(cx, chosen, &bus, error).await?, true),
    };
    let app = cx.app();
    let client = client.with_cancel(cx.cancel.clone());
    let store = Store::new(client.clone(), &app.namespace, &app.name);
    let lease = Lease::new(
        client.clone(),
        &app.namespace,
        &app.name,
        cx.run.environment.person(),
        cx.run.environment.cache_dir().join("leases"),
        cx.run.lock_timeout.duration(),
    );
    let read = Box::pin(read_release(cx, &client, &store, &lease, &bus));
    let (newest, salt) = cx.or_cancelled(read).await?;
    let Newest { latest, deployed, interrupted } = newest;
    let planned = || cx.run.saved.as_ref().and_then(|saved| saved.salt());
    let salt = salt.or_else(planned).map_or_else(Salt::random, Ok)?;
    let vault = Arc::new(Vault::new(salt.clone()));
    for path in cx.vault.paths() {
        if let Some(value) = cx.vault.value(&path) {
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
    let (cx, target) = (Arc::clone(cx), chosen.clone());
    let connected = Connected {
        cx,
        target,
        client,
        store,
        lease,
        latest,
        deployed,
        interrupted,
        salt,
        vault,
        was_started,
    };
    let report = if was_started { Report::done(detail) } else { Report::unchanged(detail) };
    Ok((Arc::new(connected), report))
}

/// Reads the release, after other deploys of it have ended.
async fn read_release(
    cx: &Context,
    client: &Client,
    store: &Store,
    lease: &Lease,
    bus: &Bus,
) -> Result<(Newest, Option<Salt>), RunError> {
    let release = async || Ok(tokio::try_join!(store.newest(), store.salt())?);
    let others = async {
        if cx.goal.changes_release() { wait_for_others(cx, lease, bus).await } else { Ok(false) }
    };
    // The renderer needs the API versions: ask for them beside the rest. If this fails, the render step reports it.
    let served = async {
        if cx.goal.renders() {
            let _ = client.api_versions().await;
        }
        Ok(())
    };
    let (read, waited, ()) = tokio::try_join!(release(), others, served)?;
    // Another deploy may have made a revision since: read again.
    if waited { release().await } else { Ok(read) }
}

async fn open(cx: &Context, chosen: &Chosen, bus: &Bus) -> Result<Client, RunError> {
    let plugin = cx.plugin(chosen)?;
    let context = cx.offline().call(bus.clone(), Deadline::Short, &chosen.digest);
    let connection = connection(&plugin, &context, chosen.options.to_string()).await?;
    let files = cx.run.environment.kubeconfig();
    cx.or_cancelled(Client::connect(&connection, &files, Timeouts::default())).await
}

/// Asks the target for its state, and starts the cluster if the user agrees.
async fn start(
    cx: &Context,
    chosen: &Chosen,
    bus: &Bus,
    why: RunError,
) -> Result<Client, RunError> {
    // Refused credentials are not cured by starting anything.
    if let RunError::Cluster(ClusterError::Unauthorised { .. } | ClusterError::Forbidden { .. }) =
        &why
    {
        return Err(why);
    }
    let plugin = cx.plugin(chosen)?;
    let options = chosen.options.to_string();
    let context = cx.offline().call(bus.clone(), Deadline::Long, &chosen.digest);
    let status = plugin.target(context.clone())?.detect(options.clone()).await?;
    if status.state == target::State::Ready {
        return Err(why);
    }
    let name = cx.target_name().to_owned();
    let detail = status.detail.map(|detail| cx.vault.redact(&detail));
    let mut begun = None;
    // A target without an offer cannot start anything, and its detail is the advice for the user.
    if let Some(offer) = status.offer {
        let offer = cx.vault.redact(&offer);
        let question =
            question(&name, TargetState::from(status.state).as_str(), detail.as_deref(), &offer);
        let agrees = agrees(cx, &question).await?;
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        if !agrees {
            return Err(RunError::NotStarted { target: name, detail, offer });
        }
        note(bus, Level::Info, format!("{name} is not running{detail}; it will {offer}"));
        begun = Some(offer);
    }
    let started = async {
        let status = plugin.target(context)?.ensure(options).await?;
        match status.state {
            target::State::Ready | target::State::Starting => wait_for(cx, chosen, bus).await,
            _ => open(cx, chosen, bus).await,
        }
    };
    started.await.map_err(|error: RunError| match begun {
        Some(offer) if error.is_cancelled() => RunError::Cancelled {
            left: format!(
                "it had begun to {offer}: the next deploy with --yes continues from there"
            ),
        },
        _ => error,
    })
}

/// Whether the target had to start its cluster, and did. Waits until the connect step is over.
pub(super) async fn was_started(
    cx: &Context,
    connected: &Slot<Arc<Connected>>,
) -> Result<bool, RunError> {
    if cx.target.is_none() || matches!(cx.run.consent, Consent::Withheld) {
        return Ok(false);
    }
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(RunError::cancelled()),
        connected = connected.settled() => Ok(connected.is_some_and(|it| it.was_started)),
    }
}

/// Waits until the API server of a cluster that was just started answers.
async fn wait_for(cx: &Context, chosen: &Chosen, bus: &Bus) -> Result<Client, RunError> {
    let ends = Instant::now() + START;
    let line = |message: String, closed| {
        bus.send(EventKind::StepProgress { id: WAITING, message, done: 0, total: None, closed });
    };
    loop {
        let error = match open(cx, chosen, bus).await {
            Err(error) if is_early(&error) && Instant::now() < ends => error,
            result => {
                line(String::new(), true);
                return result;
            }
        };
        line(format!("waiting until the cluster answers: {error}"), false);
        tokio::select! {
            () = cx.cancel.cancelled() => return Err(RunError::cancelled()),
            () = sleep(PAUSE) => {}
        }
    }
}

/// How long a cluster may take to answer once its target started it.
const START: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_secs(1);
/// Components count their lines from zero.
const WAITING: u64 = u64::MAX;

/// Errors that pass while a cluster starts: its context is not written yet, or its API server does not answer.
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

/// Asks the target how to connect to its cluster.
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
