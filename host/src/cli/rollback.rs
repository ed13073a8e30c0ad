//! `rollback`: an older revision as a new one.

use super::Cli;
use super::arguments::{Common, RollbackOptions};
use crate::event::EventKind;
use crate::plan::Goal;
use crate::run::RunError;

impl Cli {
    pub(super) async fn rollback(
        &self,
        common: &Common,
        options: &RollbackOptions,
    ) -> Result<(), RunError> {
        self.bus.send(EventKind::RunStarted { command: "rollback".to_owned() });
        let run = self.open(common, &[], false)?;
        let targets = self.named_targets(&run, &options.target).await?;
        let goal = Goal::Rollback { revision: options.revision };
        self.pursue(common, run, goal, &targets).await
    }
}
