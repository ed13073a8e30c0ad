//! `status`: what is deployed, how it is, and where it answers.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, StatusOptions};
use crate::run::{self, RunError, State};
use crate::ui;

impl Cli {
    pub(super) async fn status(
        &self,
        common: &Common,
        options: &StatusOptions,
    ) -> Result<(), RunError> {
        let run = Arc::new(self.open(common, &[])?);
        let mut targets = options.target.clone();
        if targets.is_empty() {
            targets.push(self.local_target(&run).await?);
        }
        for target in &targets {
            let state = run::state(&run, target).await?;
            self.show(common, &state, &text(&state))?;
        }
        Ok(())
    }
}

fn text(state: &State) -> String {
    let State { release, namespace, target, revision, status, objects, addresses } = state;
    let mut text =
        format!("{release} on {target}, namespace {namespace}: revision {revision} {status}\n");
    let width = objects.iter().map(|object| object.object.len()).max().unwrap_or(0);
    for object in objects {
        let name = ui::clean(&object.object);
        let message = ui::clean(&object.message);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<width$}  {:<11}  {message}", object.health);
    }
    for address in addresses {
        let _ = writeln!(text, "  {}", ui::clean(address));
    }
    text
}
