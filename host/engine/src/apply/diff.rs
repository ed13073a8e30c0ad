//! Shows the changes of a deploy without making them.

use std::collections::HashMap;

use super::plan_changes::{self, ApplyPlan};
use super::unified_diff::unified;
use crate::connected::Connected;
use crate::context::Deadline;
use crate::error::RunError;
use crate::plan::Chosen;
use crate::scheduler::Report;
use crate::stages::{ImageSet, Rendered};
use todohost_model::event::{Bus, Difference, ObjectDifference};
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use todohost_release::PlannedChange;

/// Compares the rendered objects with the cluster.
pub(crate) async fn run(
    connected: &Connected,
    rendered: &Rendered,
    images: &ImageSet,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Difference, Report), RunError> {
    let plan = plan_changes::run(connected, rendered, chosen, &bus).await?;
    let images = missing_images(connected, images, &bus).await?;
    let difference = Difference { images, ..difference(connected, rendered, &plan)? };
    let counted = |change| difference.objects.iter().filter(|one| one.change == change).count();
    let detail = format!(
        "{} created, {} configured, {} deleted",
        counted(ObjectChange::Created),
        counted(ObjectChange::Configured),
        counted(ObjectChange::Deleted)
    );
    let is_any = difference.is_any();
    let report = if is_any { Report::done(detail) } else { Report::unchanged("no difference") };
    Ok((difference, report))
}

/// The planned changes as they are shown: unified diffs with masked secrets.
pub(super) fn difference(
    connected: &Connected,
    rendered: &Rendered,
    plan: &ApplyPlan,
) -> Result<Difference, RunError> {
    let app = connected.cx.app();
    let vault = &connected.vault;
    let by_name = |objects: Vec<&Object>| -> HashMap<ObjectRef, Object> {
        let named = objects.into_iter().filter_map(|one| Some((ObjectRef::of(one)?, one.clone())));
        named.collect()
    };
    let desired = by_name(plan.desired.iter().collect());
    let previous = by_name(plan.previous.iter().map(|document| &document.object).collect());
    let mut objects = Vec::new();
    for one in &plan.dry_run.objects {
        let PlannedChange { object, change, reason, before, after, .. } = one;
        let diff = match change {
            ObjectChange::Unchanged => continue,
            ObjectChange::Kept => String::new(),
            // Without the fields that the server would fill in.
            ObjectChange::Created => {
                let wanted = desired.get(object).map(|one| vault.seal(one.clone())).transpose()?;
                unified(vault, None, wanted.as_ref())
            }
            ObjectChange::Deleted => unified(vault, previous.get(object).or(before.as_ref()), None),
            _ => unified(vault, before.as_ref(), after.as_ref().or(desired.get(object))),
        };
        let (object, change, reason) = (object.clone(), *change, reason.clone());
        objects.push(ObjectDifference { object, change, reason, diff });
    }
    let event = if connected.deployed.is_some() { "upgrade" } else { "install" };
    let hooks = rendered.hooks.iter().filter_map(|hook| {
        let runs =
            |one: &&String| one.strip_prefix("pre-").or(one.strip_prefix("post-")) == Some(event);
        let event = hook.events.iter().find(runs)?;
        Some(format!("{}/{} ({event})", hook.kind, hook.name))
    });
    Ok(Difference {
        release: app.name.clone(),
        namespace: app.namespace.clone(),
        revision: connected.deployed.as_ref().map(|record| record.revision),
        objects,
        images: Vec::new(),
        hooks: hooks.collect(),
    })
}

/// References of the images that the target lacks.
async fn missing_images(
    connected: &Connected,
    images: &ImageSet,
    bus: &Bus,
) -> Result<Vec<String>, RunError> {
    let wanted = images.for_components();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut target = connected.call_target(bus.clone(), Deadline::Short, "diff")?;
    let missing = target.missing_images(connected.target_options(), wanted).await?;
    Ok(missing.into_iter().map(|image| image.reference).collect())
}
