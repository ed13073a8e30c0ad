//! Applies the rendered objects: plans the changes, and makes a revision if there are any.

pub(super) mod diff;
mod hooks;
mod keep_failed;
mod leftovers;
pub(super) mod lock;
mod plan_changes;
pub(super) mod plan_file;
pub(super) mod revision;
mod rollback;
mod unified_diff;
pub(super) mod uninstall;

use std::sync::Arc;

use self::revision::Revision;
use super::connected::Connected;
use super::error::RunError;
use super::plan::Chosen;
use super::scheduler::Report;
use super::stages::{Applied, ImageSet, Rendered};
use super::verify::look_before;
use todohost_model::event::Bus;
use todohost_release::{Document, HookRecord};

pub(super) use self::hooks::test;
pub use self::keep_failed::AfterFailure;

/// Brings the cluster to the rendered state. Changes that are begun belong to `revision`, which rolls them back if the
/// run fails.
pub(super) async fn run(
    connected: &Arc<Connected>,
    rendered: &Rendered,
    images: &ImageSet,
    revision: &mut Revision,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Applied, Report), RunError> {
    let (plan, answered_before) = tokio::try_join!(
        plan_changes::run(connected, rendered, chosen, &bus),
        look_before(connected, rendered, &bus),
    )?;
    let changed = plan.dry_run.changes().count();
    let applied = Applied { objects: plan.desired.clone(), answered_before };
    let base = connected.deployed.as_ref();
    if let (Some(base), true, 0) = (base, connected.interrupted.is_empty(), changed)
        && has_same_hooks(&base.hooks, &rendered.hooks)
    {
        // A run that was killed at its very end may have left two revisions marked as deployed.
        connected.store.settle(base.revision).await?;
        let report = Report::unchanged(format!("no change, revision {} stays", base.revision));
        return Ok((applied, report));
    }
    let documents = plan
        .desired
        .iter()
        .skip(rendered.definitions.len())
        .zip(&rendered.documents)
        .map(|(object, document)| {
            let object = connected.vault.substitute(object.clone())?;
            Ok(Document { source: document.source.clone(), object })
        })
        .collect::<Result<Vec<_>, RunError>>()?;
    let number = revision.make(connected, rendered, images, documents, plan, &bus).await?;
    Ok((applied, Report::done(format!("revision {number}, {changed} objects changed"))))
}

/// Whether the same hooks would run at the same moments. The record may come from stock Helm.
fn has_same_hooks(recorded: &[HookRecord], rendered: &[HookRecord]) -> bool {
    recorded.len() == rendered.len()
        && rendered.iter().all(|hook| recorded.iter().any(|other| other.is_same(hook)))
}
