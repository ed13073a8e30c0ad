//! `target`: lists targets, selects the only local one, and deletes the cluster of one.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Cli;
use super::arguments::{Common, OutputFormat};
use crate::ui;
use todohost_engine::{Run, RunError, Selection, TargetStatus};
use todohost_model::event::{EventKind, Level};
use todohost_model::text;
use todohost_project::{AUTO, Project};
use todohost_release::OwnershipPolicy;

fn none_local(candidates: &[TargetStatus]) -> RunError {
    let known: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    let mut help = format!("name one with --target; known are: {}", known.join(", "));
    for TargetStatus { name, offer, .. } in candidates {
        if let Some(offer) = offer {
            let _ = write!(help, "; --target {name} --yes would {offer}");
        }
    }
    let message = "no local cluster is running, and no target was named".to_owned();
    RunError::NoTarget { message, help }
}

/// One line per target, in columns, with its offer and its warnings below.
fn table(candidates: &[TargetStatus]) -> String {
    let header = ["TARGET", "STATE", "KUBERNETES", "IMAGES", "DESCRIPTION"].map(str::to_owned);
    let rows = candidates.iter().map(|candidate| {
        let TargetStatus { name, plugin, state, detail, kubernetes_version, images_via, .. } =
            candidate;
        let TargetStatus { mode, runtime, nodes, .. } = candidate;
        let facts = todohost_engine::facts(mode.as_deref(), runtime.as_deref(), nodes);
        let facts = if facts.is_empty() { facts } else { format!(" ({})", text::clean(&facts)) };
        let known = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let plugin = if plugin == name { String::new() } else { format!("{plugin}: ") };
        [
            name.clone(),
            state.to_string(),
            text::clean(&known(kubernetes_version.as_deref())).into_owned(),
            known(*images_via),
            format!("{plugin}{}{facts}", text::clean(detail).trim()),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(rows).collect();
    let below = candidates.iter().map(Some);
    let mut lines = Vec::new();
    for (line, candidate) in ui::columns(&rows).into_iter().zip(std::iter::once(None).chain(below))
    {
        lines.push(line);
        let Some(TargetStatus { offer, warnings, .. }) = candidate else { continue };
        let offer =
            offer.iter().map(|offer| format!("  a deploy with --yes would {}", text::clean(offer)));
        let warnings =
            warnings.iter().map(|warning| format!("  warning: {}", text::clean(warning)));
        lines.extend(offer.chain(warnings));
    }
    lines.join("\n")
}

impl Cli {
    /// Has a target delete its cluster, after the user agreed.
    pub(super) async fn target_delete(
        &self,
        common: &Common,
        target: &str,
        yes: bool,
    ) -> Result<(), RunError> {
        let run = self.open_anywhere(common)?;
        let TargetStatus { detail, .. } = todohost_engine::deletable_cluster(&run, target).await?;
        let detail = text::clean(&detail).into_owned();
        let what = format!("the cluster of target {target} with everything in it ({detail})");
        if !yes {
            self.confirm_deletion(what).await?;
        }
        todohost_engine::delete_cluster(&run, target).await?;
        let deleted = serde_json::json!({ "target": target, "deleted": true });
        self.show(common, &deleted, &format!("the cluster of target {target} is deleted"))
    }

    pub(super) async fn target_list(&self, common: &Common, local: bool) -> Result<(), RunError> {
        let run = Arc::new(self.open_anywhere(common)?);
        let mut candidates = todohost_engine::targets(&run).await?;
        if local {
            candidates.retain(TargetStatus::is_ready_local);
        }
        let text = match common.output {
            OutputFormat::Name => {
                let names: Vec<&str> = candidates.iter().map(|one| one.name.as_str()).collect();
                names.join("\n")
            }
            OutputFormat::Human | OutputFormat::Json => table(&candidates),
        };
        if candidates.is_empty() {
            let _ = self.show(common, &candidates, "");
            return Ok(());
        }
        self.show(common, &candidates, &text)
    }

    /// The targets that were named, each once; without a name the only local one.
    pub(super) async fn named_targets(
        &self,
        run: &Run,
        named: &[String],
    ) -> Result<Vec<String>, RunError> {
        let mut targets: Vec<String> = Vec::new();
        for target in named {
            let target = if target == AUTO { self.best_target(run).await? } else { target.clone() };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        if targets.is_empty() {
            targets.push(self.local_target(run).await?);
        }
        Ok(targets)
    }

    /// The best local one, and a word about why.
    async fn best_target(&self, run: &Run) -> Result<String, RunError> {
        let candidates = todohost_engine::targets(run).await?;
        let Some(choice) = todohost_engine::select(&candidates) else {
            return Err(none_local(&candidates));
        };
        let Selection { target, reason } = choice;
        let message = format!("target {target}: {reason}");
        self.bus.send(EventKind::Note { level: Level::Info, message });
        Ok(target)
    }

    /// The only local cluster that runs. No other cluster is ever selected without being named.
    pub(super) async fn local_target(&self, run: &Run) -> Result<String, RunError> {
        let candidates = todohost_engine::targets(run).await?;
        let local: Vec<&str> = candidates
            .iter()
            .filter(|candidate| candidate.is_ready_local())
            .map(|candidate| candidate.name.as_str())
            .collect();
        match local.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => Err(none_local(&candidates)),
            several => Err(RunError::NoTarget {
                message: format!("several local clusters are running: {}", several.join(", ")),
                help: format!(
                    "name one: --target {}, or let it be chosen: --target {AUTO}",
                    several[0]
                ),
            }),
        }
    }

    /// Without a project the targets are those of the plugins that come with this program.
    fn open_anywhere(&self, common: &Common) -> Result<Run, RunError> {
        match self.open(common, &[], OwnershipPolicy::default()) {
            Err(RunError::Project(todohost_project::ProjectError::Missing { .. })) => {
                let root = super::current_directory()?;
                let registry = self.registry(&root)?;
                self.new_run(Project::empty(root), registry)
            }
            result => result,
        }
    }
}
