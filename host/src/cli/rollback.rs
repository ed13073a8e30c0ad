//! `rollback`: an older revision as a new one.

use super::Cli;
use super::arguments::{Common, RollbackOptions};
use crate::event::EventKind;
use crate::exit::Exit;
use crate::plan::Goal;
use crate::release::Takeover;
use crate::run::RunError;

impl Cli {
    pub(super) async fn rollback(
        &self,
        common: &Common,
        options: &RollbackOptions,
    ) -> Result<Exit, RunError> {
        self.bus.send(EventKind::RunStarted { command: "rollback".to_owned() });
        let run = self.open(common, &[], Takeover::default())?;
        let targets = self.named_targets(&run, &options.target).await?;
        let goal = Goal::Rollback { revision: options.revision };
        self.pursue(common, run, goal, &targets).await
    }
}
