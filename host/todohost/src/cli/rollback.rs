//! `rollback`: an older revision as a new one.

use super::Cli;
use super::arguments::{Common, RollbackOptions};
use todohost_engine::plan::Goal;
use todohost_engine::{Run, RunError};
use todohost_model::exit::Exit;
use todohost_release::OwnershipPolicy;

impl Cli {
    pub(super) async fn rollback(
        &self,
        common: &Common,
        options: &RollbackOptions,
    ) -> Result<Exit, RunError> {
        let goal = Goal::Rollback { revision: options.revision };
        let run = self.begin(goal, common, &[], OwnershipPolicy::default())?;
        let run = Run { lock_timeout: options.lock.timeout(), ..run };
        let targets = self.named_targets(&run, &options.target).await?;
        self.run_plan(common, run, goal, &targets).await
    }
}
