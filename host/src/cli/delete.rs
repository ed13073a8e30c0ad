//! `delete`: taking the app away, once the user said so.

use super::Cli;
use super::arguments::{Common, DeleteOptions};
use crate::exit::Exit;
use crate::plan::{Deletion, Goal};
use crate::release::Takeover;
use crate::run::{Run, RunError};
use crate::ui;

impl Cli {
    pub(super) async fn delete(
        &self,
        common: &Common,
        options: &DeleteOptions,
    ) -> Result<Exit, RunError> {
        let deletion =
            Deletion { keep_history: options.keep_history, with_namespace: options.with_namespace };
        let goal = Goal::Delete(deletion);
        let run = self.begin(goal, common, &[], Takeover::default())?;
        let run = Run { lock_timeout: options.lock.timeout(), ..run };
        let targets = self.named_targets(&run, &options.target).await?;
        let app = &run.project.file.app;
        let what = format!(
            "release {} from namespace {} on {}",
            app.name,
            app.namespace,
            targets.join(", ")
        );
        if !options.yes {
            match ui::confirm(&format!("delete {what}?")) {
                Some(true) => {}
                Some(false) => return Err(RunError::cancelled()),
                None => return Err(RunError::Unconfirmed { what }),
            }
        }
        self.pursue(common, run, goal, &targets).await
    }
}
