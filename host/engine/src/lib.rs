//! The deploy: executes a plan on its targets.
//!
//! A plan is a graph of steps. `steps` wires each step to its stage (`connect`, `images`, `render`, `check`, `apply`,
//! `verify`), the scheduler runs them, and `report` sums the run up. Components decide, `release` changes the cluster,
//! and the program shows the events: nothing here prints.

mod apply;
mod check;
mod connect;
mod connected;
mod context;
mod error;
mod images;
pub mod plan;
mod port_forward;
mod render;
mod report;
mod scheduler;
mod slots;
mod stages;
mod steps;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use todohost_model::environment::Environment;
use todohost_model::event::{Bus, EventKind, Level};
use todohost_project::values::Values;
use todohost_project::{Project, READY_WITHIN, TimeLimit};
use todohost_release::{OwnershipPolicy, ReleaseError};
use todohost_runtime::plugin::{Registry, Role, Runtime};

use self::connected::Connected;
use self::context::Context;
use self::plan::{Goal, Plan, Planner, TargetPlan};
use self::steps::Steps;

pub use self::apply::AfterFailure;
pub use self::apply::lock::LOCK_TIMEOUT;
pub use self::apply::plan_file::SavedPlan;
pub use self::connect::consent::{Ask, Consent};
pub use self::connect::delete_cluster::{DeleteClusterError, deletable_cluster, delete_cluster};
pub use self::connect::doctor::facts;
pub use self::connect::targets::{Selection, TargetState, TargetStatus, list as targets, select};
pub use self::error::{Cause, RunError};
pub use self::images::shared_builds::Builds;
pub use self::port_forward::{Forward, ForwardError};
pub use self::report::history::Revision;
pub use self::report::outcome::{Ended, Outcome};
pub use self::report::status::{ObjectState, State};

/// How often a run starts, in all, if another deploy of the same release was quicker.
const ATTEMPTS: usize = 3;

/// The inputs of a run, shared by all its targets.
pub struct Run {
    pub project: Project,
    /// The user's values.
    pub values: Values,
    /// Environment variables and directories.
    pub environment: Environment,
    /// The components to choose from.
    pub registry: Registry,
    /// Runs components.
    pub runtime: Runtime,
    /// Receives every event.
    pub bus: Bus,
    /// Stops the run.
    pub cancel: CancellationToken,
    /// The user's choices about objects and fields of other owners.
    pub takeover: OwnershipPolicy,
    /// How long objects may take to become ready: those of a wave, all of them, and those that a rollback restored.
    pub ready_within: TimeLimit,
    /// How long to wait for another deploy of the release.
    pub lock_timeout: TimeLimit,
    /// The state to leave in the cluster if the run fails.
    pub after_failure: AfterFailure,
    /// Images that were built for one target and serve the others, too.
    pub builds: Builds,
    /// Whether a target may start or create its cluster.
    pub consent: Consent,
    /// The plan file to write, for `Goal::Plan`.
    pub plan_file: Option<PathBuf>,
    /// The plan file to carry out, for `Goal::DeployPlan`.
    pub saved: Option<Arc<SavedPlan>>,
    /// The time that every component sees, in nanoseconds since the Unix epoch.
    pub now: u64,
}

impl Run {
    /// A run with the default options and without values.
    pub fn new(
        project: Project,
        environment: Environment,
        registry: Registry,
        runtime: Runtime,
        bus: Bus,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            ready_within: project.file.app.ready_within.unwrap_or(READY_WITHIN),
            project,
            values: Values::default(),
            environment,
            registry,
            runtime,
            bus,
            cancel,
            takeover: OwnershipPolicy::default(),
            lock_timeout: LOCK_TIMEOUT,
            after_failure: AfterFailure::default(),
            builds: Builds::default(),
            consent: Consent::Withheld,
            plan_file: None,
            saved: None,
            now: time_now(),
        }
    }
}

/// The current time in nanoseconds since the Unix epoch.
fn time_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Executes the plan for all its targets at the same time. Targets share only built images, so one may fail alone.
pub async fn execute(run: &Arc<Run>, plan: &Plan) -> Vec<Ended> {
    let targets = plan.targets.iter().map(|target| async move {
        let result = execute_target(run, plan, target).await;
        Ended { target: target.target.clone(), result }
    });
    join_all(targets).await
}

/// With several targets, every event names its target.
fn bus_of(run: &Run, plan: &Plan, target: &TargetPlan) -> Bus {
    match &target.target {
        Some(name) if plan.targets.len() > 1 => run.bus.for_target(name),
        _ => run.bus.clone(),
    }
}

async fn execute_target(
    run: &Arc<Run>,
    plan: &Plan,
    target: &TargetPlan,
) -> Result<Outcome, RunError> {
    let bus = bus_of(run, plan, target);
    for _ in 1..ATTEMPTS {
        match Box::pin(attempt(run, plan, target, &bus)).await {
            // The second attempt finds everything built, rendered and delivered.
            Err(RunError::Release(error @ ReleaseError::Taken { .. })) => {
                let message = format!("{error}; starting again from its result");
                bus.send(EventKind::Note { level: Level::Info, message });
            }
            result => return result,
        }
    }
    Box::pin(attempt(run, plan, target, &bus)).await
}

async fn attempt(
    run: &Arc<Run>,
    plan: &Plan,
    target: &TargetPlan,
    bus: &Bus,
) -> Result<Outcome, RunError> {
    let cx = Arc::new(Context::new(run, plan, target, bus.clone()));
    cx.warm(&target.steps);
    let steps = Steps::new(Arc::clone(&cx));
    let mut result = scheduler::execute(&target.steps, &steps, bus, &cx.cancel).await;
    let Steps { mut slots, revision, .. } = steps;
    let mut revision = revision.into_inner();
    if let Some(error) = slots.take_unreachable() {
        result = Err(error);
    }
    if result.is_ok() {
        result = revision.run_last_hooks().await;
    }
    let connected = slots.connected.get().map(AsRef::as_ref);
    let result = match result {
        Ok(()) => revision.mark_deployed().await,
        Err(error) => Err(Box::pin(revision.roll_back(connected, error)).await),
    };
    if let Some(connected) = connected {
        revision.release_lock(connected).await;
    }
    result.and_then(|()| Outcome::of(&cx, &slots, revision.deployed()))
}

/// The state of the app on a target at this moment.
///
/// # Errors
/// If the target cannot be connected or nothing is deployed.
pub async fn state(run: &Arc<Run>, target: &str) -> Result<State, RunError> {
    let connected = Box::pin(open(run, target)).await?;
    let verifier = connected.cx.planner().step_plugin(Role::Verify)?;
    report::status::state(&connected, &verifier).await
}

/// The revisions of the release on a target, oldest first.
///
/// # Errors
/// If the target cannot be connected or nothing is deployed.
pub async fn history(run: &Arc<Run>, target: &str) -> Result<Vec<Revision>, RunError> {
    let connected = Box::pin(open(run, target)).await?;
    report::history::history(&connected).await
}

/// Forwards a port of this machine to a Service on a target: the named one, or the only one that is open.
///
/// # Errors
/// If the target cannot be connected, the Service is ambiguous, or the port is taken.
pub async fn forward(
    run: &Arc<Run>,
    target: &str,
    service: Option<&str>,
    port: Option<u16>,
) -> Result<Forward, RunError> {
    let connected = Box::pin(open(run, target)).await?;
    port_forward::listen(&connected, service, port).await
}

/// Connects to a target for reading.
async fn open(run: &Arc<Run>, target: &str) -> Result<Arc<Connected>, RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let plan = planner.plan(Goal::Verify, &[target.to_owned()])?;
    let first = plan.targets.first();
    let first = first.ok_or_else(|| RunError::internal("a plan without a target"))?;
    let cx = Arc::new(Context::new(run, &plan, first, run.bus.clone()));
    let (connected, _) = connect::run(&cx, &planner.target(target)?, run.bus.clone()).await?;
    Ok(connected)
}
