//! Telling what a deploy would change, without changing anything.

use std::collections::HashMap;

use super::apply::Intent;
use super::error::RunError;
use super::schedule::Report;
use super::session::{Deadline, Session};
use crate::plan::Chosen;
use crate::unified_diff::unified;
use todohost_model::event::{Bus, Difference, ObjectDifference};
use todohost_model::object::{Object, ObjectChange, ObjectRef};
use todohost_release::Prospective;

impl Session {
    pub(super) async fn diff(&self, chosen: &Chosen, bus: Bus) -> Result<Report, RunError> {
        let intent = self.intend(chosen, &bus).await?;
        let difference =
            Difference { images: self.unbuilt(&bus).await?, ..self.difference(&intent)? };
        let counted = |change| difference.objects.iter().filter(|one| one.change == change).count();
        let detail = format!(
            "{} created, {} configured, {} deleted",
            counted(ObjectChange::Created),
            counted(ObjectChange::Configured),
            counted(ObjectChange::Deleted)
        );
        let is_any = difference.is_any();
        if self.difference.set(difference).is_err() {
            return Err(RunError::internal("it was compared twice"));
        }
        Ok(if is_any { Report::done(detail) } else { Report::unchanged("no difference") })
    }

    /// What the intent comes to, for reading.
    pub(super) fn difference(&self, intent: &Intent) -> Result<Difference, RunError> {
        let reached = self.reached()?;
        let app = &self.run.project.file.app;
        let vault = self.vault();
        let by_name = |objects: Vec<&Object>| -> HashMap<ObjectRef, Object> {
            let named =
                objects.into_iter().filter_map(|one| Some((ObjectRef::of(one)?, one.clone())));
            named.collect()
        };
        let desired = by_name(intent.desired.iter().collect());
        let previous = by_name(intent.previous.iter().map(|document| &document.object).collect());
        let mut objects = Vec::new();
        for one in &intent.prospect.objects {
            let Prospective { object, change, reason, before, after, .. } = one;
            let diff = match change {
                ObjectChange::Unchanged => continue,
                ObjectChange::Kept => String::new(),
                // Without what the server would fill in: nobody wrote that.
                ObjectChange::Created => {
                    let wanted =
                        desired.get(object).map(|one| vault.seal(one.clone())).transpose()?;
                    unified(&vault, None, wanted.as_ref())
                }
                ObjectChange::Deleted => {
                    unified(&vault, previous.get(object).or(before.as_ref()), None)
                }
                _ => unified(&vault, before.as_ref(), after.as_ref().or(desired.get(object))),
            };
            let (object, change, reason) = (object.clone(), *change, reason.clone());
            objects.push(ObjectDifference { object, change, reason, diff });
        }
        let event = if reached.deployed.is_some() { "upgrade" } else { "install" };
        let hooks = self.rendered()?.hooks.iter().filter_map(|hook| {
            let runs = |one: &&String| {
                one.strip_prefix("pre-").or(one.strip_prefix("post-")) == Some(event)
            };
            let event = hook.events.iter().find(runs)?;
            Some(format!("{}/{} ({event})", hook.kind, hook.name))
        });
        Ok(Difference {
            release: app.name.clone(),
            namespace: app.namespace.clone(),
            revision: reached.deployed.as_ref().map(|record| record.revision),
            objects,
            images: Vec::new(),
            hooks: hooks.collect(),
        })
    }

    /// Images that the target lacks.
    async fn unbuilt(&self, bus: &Bus) -> Result<Vec<String>, RunError> {
        let wanted: Vec<_> = self.images().into_iter().map(|state| state.image).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let chosen = &self.reached()?.target;
        let plugin = self.plugin(chosen)?;
        let mut target = plugin.target(self.context(bus.clone(), Deadline::Short, "diff"))?;
        let missing = target.missing_images(chosen.options.to_string(), wanted).await?;
        Ok(missing.into_iter().map(|image| image.reference).collect())
    }
}
