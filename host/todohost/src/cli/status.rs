//! `status`: the deployed revision, the health of its objects, and its addresses.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, StatusOptions};
use todohost_engine;
use todohost_engine::{Revision, RunError, State};
use todohost_model::text;
use todohost_release::OwnershipPolicy;

impl Cli {
    pub(super) async fn status(
        &self,
        common: &Common,
        options: &StatusOptions,
    ) -> Result<(), RunError> {
        let run = Arc::new(self.open(common, &[], OwnershipPolicy::default())?);
        for target in self.named_targets(&run, &options.target).await? {
            let state = Box::pin(todohost_engine::state(&run, &target)).await?;
            self.show(common, &state, &text(&state))?;
        }
        Ok(())
    }
}

fn text(state: &State) -> String {
    let State { release, namespace, target, revision, status, objects, addresses, .. } = state;
    let mut text =
        format!("{release} on {target}, namespace {namespace}: revision {revision} {status}\n");
    if let Some(record) = &state.record {
        let Revision { chart, deployed, description, made_by, .. } = record;
        let line = format!("{chart}, {description}, {deployed} by {made_by}");
        let _ = writeln!(text, "  {}", text::clean(&line));
    }
    if let Some(newer) = &state.newer {
        let line =
            format!("revision {} is {}: {}", newer.revision, newer.status, newer.description);
        let _ = writeln!(text, "  {}", text::clean(&line));
    }
    let width = objects.iter().map(|object| object.object.len()).max().unwrap_or(0);
    for object in objects {
        let name = text::clean(&object.object);
        let message = text::clean(&object.message);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<width$}  {:<11}  {message}", object.health);
    }
    for address in addresses {
        let _ = writeln!(text, "  {}", text::clean(address));
    }
    for line in state.notes.trim().lines() {
        let _ = writeln!(text, "  | {}", text::clean(line));
    }
    text
}
