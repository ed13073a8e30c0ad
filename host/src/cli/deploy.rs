//! `deploy`, `build`, `render`, `apply`, `verify` and `check`: goals of a Plan.

use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, OutputFormat, RunOptions};
use crate::event::EventKind;
use crate::plan::{self, Goal, Planner};
use crate::run::{self, AfterFailure, Outcome, RunError};
use crate::ui;

impl Cli {
    pub(super) async fn carry_out(
        &self,
        goal: Goal,
        common: &Common,
        options: &RunOptions,
        after_failure: AfterFailure,
    ) -> Result<(), RunError> {
        self.bus.send(EventKind::RunStarted { command: goal.name().to_owned() });
        let mut run = self.open(common, &options.values.arguments(), options.force)?;
        run.after_failure = after_failure;
        let needs_secrets = matches!(goal, Goal::Deploy | Goal::Apply | Goal::Check);
        if needs_secrets {
            run.values.require_secrets(&run.project)?;
        }
        let mut targets: Vec<String> = Vec::new();
        for target in &options.target {
            if !targets.contains(target) {
                targets.push(target.clone());
            }
        }
        let needs_cluster = matches!(goal, Goal::Deploy | Goal::Apply | Goal::Verify);
        if targets.is_empty() && needs_cluster {
            targets.push(self.local_target(&run).await?);
        }
        let planner = Planner { project: &run.project, registry: &run.registry };
        let plan = planner.plan(goal, &targets)?;
        if options.dry_run {
            self.show(common, &plan, &plan::print(&plan))?;
            return Ok(());
        }
        if !run.values.typed_secrets.is_empty() {
            let message = format!(
                "{} given with --set stays in the shell's history; --secret PATH=env:NAME does not",
                run.values.typed_secrets.join(", ")
            );
            self.bus.send(EventKind::Note { level: "info".to_owned(), message });
        }
        let app = plan.app.clone();
        let outcomes = run::execute(&Arc::new(run), &plan).await?;
        for manifest in outcomes.iter().filter_map(|outcome| outcome.manifest.as_ref()) {
            if common.output != OutputFormat::Json {
                let _ = ui::data(manifest);
            }
        }
        // A run has one end, however many targets it has.
        let summaries: Vec<String> =
            outcomes.iter().map(|outcome| summary(goal, &app, outcome)).collect();
        let revision = match outcomes.as_slice() {
            [only] => only.revision,
            _ => None,
        };
        let addresses = outcomes.into_iter().flat_map(|outcome| outcome.addresses).collect();
        self.finish(summaries.join("; "), revision, addresses);
        Ok(())
    }
}

fn summary(goal: Goal, app: &str, outcome: &Outcome) -> String {
    let place = outcome.target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
    let revision = outcome.revision.unwrap_or_default();
    match goal {
        Goal::Deploy | Goal::Apply if outcome.changed => {
            format!("{app} is deployed{place}, revision {revision}")
        }
        Goal::Deploy | Goal::Apply => {
            format!("nothing changed: {app} runs{place}, revision {revision}")
        }
        Goal::Build => format!("images: {}", outcome.images.join(", ")),
        Goal::Render => format!("{app} is rendered"),
        Goal::Verify => format!("{app} is healthy{place}, revision {revision}"),
        Goal::Check => format!("{app} passes all checks"),
    }
}
