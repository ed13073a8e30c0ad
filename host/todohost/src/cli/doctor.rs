//! `doctor`: checks that target, cluster and database are ready for a deploy, as a table with advice.

use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, DoctorOptions};
use todohost_engine;
use todohost_engine::RunError;
use todohost_engine::plan::{Goal, Planner};
use todohost_model::exit::Exit;
use todohost_release::OwnershipPolicy;

impl Cli {
    pub(super) async fn doctor(
        &self,
        common: &Common,
        options: &DoctorOptions,
    ) -> Result<Exit, RunError> {
        let values = options.values.arguments();
        let run = self.begin(Goal::Doctor, common, &values, OwnershipPolicy::default())?;
        self.tell_typed_secrets(&run);
        let (targets, unnamed) = match self.named_targets(&run, &options.target).await {
            Ok(targets) => (targets, None),
            // Rows that need no cluster are judged in any case.
            Err(error @ RunError::NoTarget { .. }) => (Vec::new(), Some(error)),
            Err(error) => return Err(error),
        };
        let planner = Planner { project: &run.project, registry: &run.registry };
        let plan = planner.plan(Goal::Doctor, &targets)?;
        let ended = todohost_engine::execute(&Arc::new(run), &plan).await;
        let outcomes = self.collect(Goal::Doctor, ended);
        if let Some(error) = unnamed {
            return Err(error);
        }
        let warnings: usize = outcomes?.iter().map(|outcome| outcome.warnings).sum();
        let app = plan.app;
        let (exit, summary) = match warnings {
            0 => (Exit::Success, format!("nothing stands in the way of a deploy of {app}")),
            1 => (Exit::Warning, format!("a deploy of {app} may work: see the warning")),
            many => (Exit::Warning, format!("a deploy of {app} may work: see the {many} warnings")),
        };
        self.emit_finished(exit, summary, None, Vec::new());
        Ok(exit)
    }
}
