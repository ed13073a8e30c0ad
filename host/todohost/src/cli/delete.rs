//! `delete`: deletes the app, after the user agreed.

use super::Cli;
use super::arguments::{Common, DeleteOptions};
use todohost_engine::plan::{Deletion, Goal};
use todohost_engine::{Ask as _, Run, RunError};
use todohost_model::exit::Exit;
use todohost_release::OwnershipPolicy;

impl Cli {
    pub(super) async fn delete(
        &self,
        common: &Common,
        options: &DeleteOptions,
    ) -> Result<Exit, RunError> {
        let deletion =
            Deletion { keep_history: options.keep_history, with_namespace: options.with_namespace };
        let goal = Goal::Delete(deletion);
        let run = self.begin(goal, common, &[], OwnershipPolicy::default())?;
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
            self.confirm_deletion(what).await?;
        }
        self.run_plan(common, run, goal, &targets).await
    }

    /// Asks whether `what` is really to be deleted.
    pub(super) async fn confirm_deletion(&self, what: String) -> Result<(), RunError> {
        let question = format!("delete {what}?");
        let answer = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(RunError::cancelled()),
            answer = self.questions.confirm(&question) => answer,
        };
        match answer {
            Some(true) => Ok(()),
            Some(false) => Err(RunError::cancelled()),
            None => Err(RunError::Unconfirmed { what }),
        }
    }
}
