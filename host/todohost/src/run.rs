//! Executes a Plan: scheduling, cancellation, and the decision to roll back.
//!
//! Owns the order of things and what is handed from step to step. What a step decides is its component's,
//! how objects get into the cluster and back is `release`'s, how anything looks is `ui`'s.

mod apply;
mod builds;
mod candidates;
mod check;
mod consent;
mod delete;
mod diff;
mod discard;
mod error;
mod evidence;
mod examine;
mod exclusive;
mod forward;
mod history;
mod hook;
mod images;
mod leave;
mod left_behind;
mod outcome;
mod reach;
mod recall;
mod render;
mod revision;
mod saved;
mod schedule;
mod session;
mod teardown;
mod template;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::{LocalBoxFuture, join_all};
use tokio_util::sync::CancellationToken;

use crate::plan::{Action, Goal, Plan, Planner, Step, TargetPlan};
use todohost_model::environment::Environment;
use todohost_model::event::{Bus, EventKind};
use todohost_project::values::Values;
use todohost_project::{Project, TimeLimit};
use todohost_release::{ReleaseError, Takeover};
use todohost_runtime::plugin::{Registry, Role, Runtime};

pub use builds::Builds;
pub use candidates::{Candidate, Choice, candidates, choose};
pub use consent::Consent;
pub use error::{Clue, RunError};
pub use examine::facts;
pub use exclusive::LOCK_TIMEOUT;
pub use forward::{Forward, ForwardError};
pub use history::Revision;
pub use leave::AfterFailure;
pub use outcome::{Ended, Outcome, State};
pub use saved::SavedPlan;
use schedule::{Report, StepRunner};
use session::{Session, lock};
pub use teardown::{TeardownError, doomed, tear_down};

/// How often a run begins anew because another deploy of the same release was quicker.
const ATTEMPTS: usize = 3;

/// What every step of every target may use.
pub struct Run {
    /// The project.
    pub project: Project,
    /// The user's values.
    pub values: Values,
    /// The surroundings.
    pub environment: Environment,
    /// The components that there are.
    pub registry: Registry,
    /// What runs them.
    pub runtime: Runtime,
    /// Where events go.
    pub bus: Bus,
    /// Stops the run.
    pub cancel: CancellationToken,
    /// What the user said about fields that others manage.
    pub takeover: Takeover,
    /// How long objects may take to become ready: those of a wave, all of them, and what a rollback put back.
    pub ready_within: TimeLimit,
    /// How long another deploy of the release is waited for.
    pub lock_timeout: TimeLimit,
    /// What becomes of the cluster where the run fails.
    pub after_failure: AfterFailure,
    /// Images that were built for one target and are of use to the others.
    pub builds: Builds,
    /// Whether a target may start or create what is not there.
    pub consent: Consent,
    /// Where a plan is written to, where that was asked for.
    pub plan_file: Option<PathBuf>,
    /// The plan that is carried out, where there is one.
    pub saved: Option<Arc<SavedPlan>>,
    /// The time of the run, in nanoseconds since the Unix epoch: every component has the same.
    pub now: u64,
}

/// The time of a run that begins now.
pub fn time_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Executes the plan for all its targets at the same time; they share nothing, so that one may fail alone.
pub async fn execute(run: &Arc<Run>, plan: &Plan) -> Vec<Ended> {
    let targets = plan.targets.iter().map(|target| async move {
        let result = execute_target(run, plan, target).await;
        Ended { target: target.target.clone(), result }
    });
    join_all(targets).await
}

/// Of several targets each has its own events.
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
            // What is already built, rendered and delivered is not done again.
            Err(RunError::Release(error @ ReleaseError::Taken { .. })) => {
                let message = format!("{error}; beginning again from what it left");
                bus.send(EventKind::Note { level: "info".into(), message });
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
    let session = Session::new(run, plan, target, bus.clone());
    session.warm(&target.steps);
    let mut result = schedule::execute(&target.steps, &session, bus, &session.cancel).await;
    if let Some(error) = lock(&session.unreached).take() {
        result = Err(error);
    }
    if result.is_ok() {
        result = session.run_last_hooks().await;
    }
    let result = match result {
        Ok(()) => session.conclude().await,
        Err(error) => Err(Box::pin(session.take_back(error)).await),
    };
    session.give_lease_back().await;
    result
}

/// How the app is right now on a target.
///
/// # Errors
/// Where the target cannot be reached or nothing is deployed.
pub async fn state(run: &Arc<Run>, target: &str) -> Result<State, RunError> {
    let session = Box::pin(look(run, target)).await?;
    let planner = Planner { project: &run.project, registry: &run.registry };
    session.state(&planner.step_plugin(Role::Verify)?).await
}

/// The revisions of the release on a target, oldest first.
///
/// # Errors
/// Where the target cannot be reached or nothing is deployed.
pub async fn history(run: &Arc<Run>, target: &str) -> Result<Vec<Revision>, RunError> {
    Box::pin(look(run, target)).await?.history().await
}

/// A port of this machine that leads to a Service on a target; without a name to the only one that is open.
///
/// # Errors
/// Where the target cannot be reached, it is not clear which Service is meant, or the port cannot be had.
pub async fn forward(
    run: &Arc<Run>,
    target: &str,
    service: Option<&str>,
    port: Option<u16>,
) -> Result<Forward, RunError> {
    Box::pin(look(run, target)).await?.forward(service, port).await
}

/// A session that only reads.
async fn look(run: &Arc<Run>, target: &str) -> Result<Session, RunError> {
    let planner = Planner { project: &run.project, registry: &run.registry };
    let plan = planner.plan(Goal::Verify, &[target.to_owned()])?;
    let first = plan.targets.first();
    let first = first.ok_or_else(|| RunError::internal("a plan without a target"))?;
    let session = Session::new(run, &plan, first, run.bus.clone());
    session.reach(&planner.target(target)?, run.bus.clone()).await?;
    Ok(session)
}

impl StepRunner for Session {
    fn run<'a>(&'a self, step: &'a Step, bus: Bus) -> LocalBoxFuture<'a, Result<Report, RunError>> {
        Box::pin(async move {
            let plugin = step.plugin.as_ref();
            let plugin = plugin.ok_or_else(|| RunError::internal("a step without a plugin"))?;
            match &step.action {
                Action::Reach => {
                    let reached = self.reach(plugin, bus).await;
                    self.reach_is_over.cancel();
                    reached
                }
                Action::Examine => self.examine(plugin, bus).await,
                Action::CheckInputs { check } => self.check_inputs(check, plugin, bus).await,
                Action::Inputs { image, spec } => self.inputs(image, spec, plugin, bus).await,
                Action::Build { image, spec } => self.build(image, spec, plugin, bus).await,
                Action::Render => self.render(plugin, bus).await,
                Action::CheckRendered { check } => self.check_rendered(check, plugin, bus).await,
                Action::Deliver { must_exist } => self.deliver(*must_exist, plugin, bus).await,
                Action::Apply => self.apply(plugin, bus).await,
                Action::Diff => self.diff(plugin, bus).await,
                Action::Save => self.save_plan(plugin, bus).await,
                Action::Review => self.review(plugin, bus).await,
                Action::Verify => self.verify(plugin, bus).await,
                Action::CheckLive { check } => self.check_live(check, plugin, bus).await,
                Action::Recall { revision } => self.recall(*revision).await,
                Action::Test => self.test(bus).await,
                Action::Delete { deletion } => self.delete(plugin, *deletion, bus).await,
            }
        })
    }

    fn stops_at_failures(&self) -> bool {
        // Who asks what checks judge wants all that can be judged.
        !matches!(self.goal, Goal::Check | Goal::Doctor)
    }
}
