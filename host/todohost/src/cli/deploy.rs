//! `deploy`, `build`, `render`, `apply`, `verify` and `check`: goals of a Plan.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Cli;
use super::arguments::{ChangeOptions, Common, OutputFormat, RunOptions};
use crate::ui;
use todohost_engine;
use todohost_engine::plan::{Deletion, Goal, Planner};
use todohost_engine::{AfterFailure, LOCK_TIMEOUT, Outcome, Run, RunError, SavedPlan, plan};
use todohost_model::event::{Difference, EventKind, Level};
use todohost_model::exit::Exit;
use todohost_project::TimeLimit;
use todohost_release::OwnershipPolicy;

/// Options of one command.
pub(super) struct DeployParams {
    /// The plan file to write.
    pub plan_file: Option<PathBuf>,
    /// The state to leave in the cluster after a failure.
    pub after_failure: AfterFailure,
    /// How long to wait for another deploy.
    pub lock_timeout: TimeLimit,
}

impl Default for DeployParams {
    fn default() -> Self {
        let after_failure = AfterFailure::default();
        Self { plan_file: None, after_failure, lock_timeout: LOCK_TIMEOUT }
    }
}

impl Cli {
    pub(super) async fn run(
        &self,
        goal: Goal,
        common: &Common,
        options: &RunOptions,
        params: DeployParams,
    ) -> Result<Exit, RunError> {
        let run = self.begin(goal, common, &options.values.arguments(), options.takeover())?;
        let DeployParams { plan_file, after_failure, lock_timeout } = params;
        let ready_within = options.ready_within.unwrap_or(run.ready_within);
        let consent = self.consent(options.yes);
        let run = Run { ready_within, lock_timeout, after_failure, consent, plan_file, ..run };
        let needs_secrets = !matches!(goal, Goal::Build | Goal::Render | Goal::Verify | Goal::Test);
        if needs_secrets {
            run.values.require_secrets(&run.project)?;
        }
        let needs_cluster =
            matches!(goal, Goal::Deploy | Goal::Apply | Goal::Diff | Goal::Verify | Goal::Test);
        let targets = if needs_cluster || !options.target.is_empty() {
            self.named_targets(&run, &options.target).await?
        } else {
            Vec::new()
        };
        if let (Some(file), true) = (&run.plan_file, targets.len() > 1) {
            let reason = "it is for one target: give --target once".to_owned();
            return Err(RunError::PlanFile { file: file.display().to_string(), reason });
        }
        if options.dry_run {
            let planner = Planner { project: &run.project, registry: &run.registry };
            let plan = planner.plan(goal, &targets)?;
            self.show(common, &plan, &plan::print(&plan))?;
            return Ok(Exit::Success);
        }
        self.run_plan(common, run, goal, &targets).await
    }

    /// Carries out a plan file.
    pub(super) async fn deploy_plan_file(
        &self,
        common: &Common,
        file: &Path,
        change: &ChangeOptions,
    ) -> Result<Exit, RunError> {
        let goal = Goal::DeployPlan;
        let options = &change.run;
        let values = options.values.arguments();
        let run = self.begin(goal, common, &values, OwnershipPolicy::default())?;
        let saved = SavedPlan::read(file)?;
        let wrong =
            |reason: String| RunError::PlanFile { file: file.display().to_string(), reason };
        // The project's own values files are in the plan already.
        if !run.values.set.is_empty() {
            return Err(wrong(
                "it has its values already: only secrets are given again".to_owned(),
            ));
        }
        if let Some(other) = options.target.iter().find(|target| **target != saved.target) {
            return Err(wrong(format!("it is for target {}, not for {other}", saved.target)));
        }
        let targets = [saved.target.clone()];
        let ready_within = options.ready_within.unwrap_or(run.ready_within);
        let after_failure = change.after_failure();
        let lock_timeout = change.lock.timeout();
        let saved = Some(Arc::new(saved));
        let consent = self.consent(options.yes);
        let run = Run { ready_within, lock_timeout, after_failure, consent, saved, ..run };
        self.run_plan(common, run, goal, &targets).await
    }

    /// Warns once that a typed secret stays in the shell's history.
    pub(super) fn tell_typed_secrets(&self, run: &Run) {
        if !run.values.typed_secrets.is_empty() {
            let message = format!(
                "{} given with --set stays in the shell's history; --secret PATH=env:NAME does not",
                run.values.typed_secrets.join(", ")
            );
            self.bus.send(EventKind::Note { level: Level::Info, message });
        }
    }

    /// Plans, executes and reports the result.
    pub(super) async fn run_plan(
        &self,
        common: &Common,
        run: Run,
        goal: Goal,
        targets: &[String],
    ) -> Result<Exit, RunError> {
        self.tell_typed_secrets(&run);
        let planner = Planner { project: &run.project, registry: &run.registry };
        let plan = planner.plan(goal, targets)?;
        let app = plan.app.clone();
        let plan_file = run.plan_file.clone();
        let outcomes = self.collect(goal, todohost_engine::execute(&Arc::new(run), &plan).await)?;
        for manifest in outcomes.iter().filter_map(|outcome| outcome.manifest.as_ref()) {
            if common.output != OutputFormat::Json {
                let _ = ui::data(manifest);
            }
        }
        let differences: Vec<&Difference> =
            outcomes.iter().filter_map(|outcome| outcome.difference.as_ref()).collect();
        for difference in &differences {
            if common.output == OutputFormat::Json {
                self.bus.send(EventKind::Difference((*difference).clone()));
            } else {
                let colours = ui::data_has_colours(self.environment.is_plain());
                let text = ui::difference_text(difference, colours);
                // A reader that closes the pipe early is not an error.
                let _ = if text.is_empty() { Ok(()) } else { ui::data(&text) };
            }
        }
        let is_any = differences.into_iter().any(Difference::is_any);
        let exit = if goal == Goal::Diff && is_any { Exit::Difference } else { Exit::Success };
        // A run has one end, however many targets it has.
        let summaries: Vec<String> = outcomes
            .iter()
            .map(|outcome| summary(goal, &app, outcome, plan_file.as_deref()))
            .collect();
        let revision = match outcomes.as_slice() {
            [only] => only.revision,
            _ => None,
        };
        let addresses = outcomes.into_iter().flat_map(|outcome| outcome.addresses).collect();
        self.emit_finished(exit, summaries.join("; "), revision, addresses);
        Ok(exit)
    }
}

fn summary(goal: Goal, app: &str, outcome: &Outcome, plan_file: Option<&Path>) -> String {
    let place = outcome.target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
    let revision = outcome.revision.unwrap_or_default();
    match goal {
        Goal::Rollback { .. } if outcome.changed => {
            format!("{app} is rolled back{place}, as revision {revision}")
        }
        Goal::Deploy | Goal::DeployPlan | Goal::Apply if outcome.changed => {
            format!("{app} is deployed{place}, revision {revision}")
        }
        Goal::Deploy | Goal::DeployPlan | Goal::Apply | Goal::Rollback { .. } => {
            format!("nothing changed: {app} runs{place}, revision {revision}")
        }
        Goal::Build => format!("images: {}", outcome.images.join(", ")),
        Goal::Render => format!("{app} is rendered"),
        Goal::Verify => format!("{app} is healthy{place}, revision {revision}"),
        Goal::Plan => {
            let file = plan_file.unwrap_or(Path::new("-")).display();
            format!("planned: todohost deploy --plan {file} applies exactly this{place}")
        }
        Goal::Test => format!("{app} is healthy{place} and its tests passed, revision {revision}"),
        Goal::Delete(Deletion { keep_history: true, .. }) => {
            format!("{app} is deleted{place}, its history is kept")
        }
        Goal::Delete(_) => format!("{app} is deleted{place}"),
        Goal::Check | Goal::Doctor => format!("{app} passes all checks"),
        Goal::Diff if outcome.difference.as_ref().is_some_and(Difference::is_any) => {
            format!("a deploy would change {app}{place}")
        }
        Goal::Diff => {
            format!("a deploy would change nothing: {app} runs{place}, revision {revision}")
        }
    }
}
