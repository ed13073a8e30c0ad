//! Hooks of a chart: which of them run at a moment, in which order, and when their objects are removed.
//!
//! Owns Helm's rules for hooks and their state in the record. Waiting for a hook, and explaining why
//! it did not, is the run's.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::transaction::uid_of;
use super::{AppliedChanges, HookRecord, Record, ReleaseError, Transaction, parse_manifest};
use todohost_cluster::{ApplyOptions, reference};
use todohost_model::object::Object;

/// Field of Helm's record with the outcome of a hook.
const LAST_RUN: &str = "last_run";

/// Hooks of these kinds have an end that is waited for; every other one is done once it exists.
const ENDING: [&str; 2] = ["Job", "Pod"];

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// Before the objects of a first revision.
    PreInstall,
    /// After them.
    PostInstall,
    /// Before the objects of a later revision.
    PreUpgrade,
    /// After them.
    PostUpgrade,
    /// Before the objects of an older revision come back.
    PreRollback,
    /// After that.
    PostRollback,
    /// Before the release is taken away.
    PreDelete,
    /// After that.
    PostDelete,
    /// When the user asks for it.
    Test,
}

impl HookEvent {
    /// As annotations and records spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::Test => "test",
        }
    }
}

/// When the objects of a hook are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookDeletion {
    /// Before it runs again.
    BeforeCreation,
    /// Once every hook of the moment succeeded.
    Succeeded,
    /// Once it failed.
    Failed,
}

impl HookDeletion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeCreation => "before-hook-creation",
            Self::Succeeded => "hook-succeeded",
            Self::Failed => "hook-failed",
        }
    }
}

impl HookRecord {
    /// Whether it runs at that moment.
    pub fn runs_at(&self, event: HookEvent) -> bool {
        self.events.iter().any(|name| name == event.as_str())
    }

    /// Whether its objects are removed then. Without a word in the chart they are removed before they are made
    /// again; a definition never is, since everything of its kind would go with it.
    pub fn is_removed(&self, deletion: HookDeletion) -> bool {
        let policies = &self.delete_policies;
        self.kind != "CustomResourceDefinition"
            && (policies.iter().any(|policy| policy == deletion.as_str())
                || (policies.is_empty() && deletion == HookDeletion::BeforeCreation))
    }

    /// Whether it has an end to wait for.
    pub fn ends(&self) -> bool {
        ENDING.contains(&self.kind.as_str())
    }

    /// Its objects: one, unless the chart wrote a list.
    ///
    /// # Errors
    /// `Manifest` if it cannot be parsed.
    pub fn objects(&self) -> Result<Vec<Object>, ReleaseError> {
        let documents = parse_manifest(&self.path, &self.manifest)?;
        Ok(documents.into_iter().map(|document| document.object).collect())
    }

    /// It ran to its end and succeeded.
    pub fn has_succeeded(&self) -> bool {
        self.other.get(LAST_RUN).and_then(|run| run.get("phase")?.as_str()) == Some("Succeeded")
    }

    /// Notes that it begins.
    pub fn begin(&mut self) {
        let run = json!({ "started_at": Timestamp::now(), "phase": "Running" });
        self.other.insert(LAST_RUN.to_owned(), run);
    }

    /// Notes how it ended.
    pub fn end(&mut self, succeeded: bool) {
        let run = self.other.entry(LAST_RUN).or_insert_with(|| json!({}));
        run["completed_at"] = json!(Timestamp::now());
        run["phase"] = if succeeded { "Succeeded" } else { "Failed" }.into();
    }

    /// Forgets its last execution: that was another revision's.
    pub fn forget(&mut self) {
        self.other.remove(LAST_RUN);
    }

    /// Whether both hooks create the same objects at the same moments. Either may be recorded by stock Helm.
    pub fn is_same(&self, other: &Self) -> bool {
        let place = |hook: &Self| (hook.path.clone(), hook.weight, hook.events.clone());
        place(self) == place(other)
            && (self.manifest == other.manifest
                || matches!((self.objects(), other.objects()), (Ok(one), Ok(two)) if one == two))
    }
}

impl Record {
    /// Indices of the hooks that run at a moment, in their order: by weight, then by name.
    pub fn hooks_at(&self, event: HookEvent) -> Vec<usize> {
        let mut found: Vec<usize> =
            (0..self.hooks.len()).filter(|index| self.hooks[*index].runs_at(event)).collect();
        found.sort_by_key(|index| (self.hooks[*index].weight, self.hooks[*index].name.as_str()));
        found
    }
}

/// Takes over the state of hooks from an interrupted revision. Returns the indices of those that must not run again:
/// they completed there and are the same here. Hooks without an end are created again, and so are those that may have
/// completed at another moment than the next one.
pub fn continue_hooks(hooks: &mut [HookRecord], interrupted: &[HookRecord]) -> BTreeSet<usize> {
    let mut through = BTreeSet::new();
    for (index, hook) in hooks.iter_mut().enumerate() {
        let runs = |when| hook.events.iter().any(|event| event.starts_with(when));
        if runs("pre-") && runs("post-") {
            continue;
        }
        let before = interrupted.iter().find(|before| before.is_same(hook));
        let before = before.filter(|before| before.ends() && before.has_succeeded());
        if let Some(run) = before.and_then(|before| before.other.get(LAST_RUN)) {
            hook.other.insert(LAST_RUN.to_owned(), run.clone());
            through.insert(index);
        }
    }
    through
}

impl Transaction {
    /// Creates an object of a hook. It gets no marks of the release, since Helm does not upgrade, roll back or delete the
    /// objects of hooks.
    ///
    /// # Errors
    /// The API server's refusal.
    pub async fn create_hook(
        &self,
        object: &Object,
        done: &mut AppliedChanges,
    ) -> Result<(), ReleaseError> {
        let named = reference(object)?;
        let applied = self.client.apply(object, ApplyOptions::default()).await?;
        let uid = uid_of(&applied.object).unwrap_or_default().to_owned();
        done.hooks.push((named, uid));
        Ok(())
    }

    /// Removes an object of a hook, even if another tool created it, and waits until it is gone.
    ///
    /// # Errors
    /// If the user is not allowed to, or the object is not removed in time.
    pub async fn remove_hook(&self, object: &Object) -> Result<(), ReleaseError> {
        self.delete_and_wait(&reference(object)?).await
    }
}

/// The policies for showing logs that the chart's author wrote: stock Helm reads them from the record.
pub fn output_policies(object: &Object) -> Vec<String> {
    let text = object
        .pointer("/metadata/annotations/helm.sh~1hook-output-log-policy")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &str, weight: i32, events: &[&str], policies: &[&str]) -> HookRecord {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        HookRecord {
            name: name.to_owned(),
            kind: "Job".to_owned(),
            path: format!("app/templates/{name}.yaml"),
            manifest: format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec: {{x: 1}}\n"
            ),
            events: texts(events),
            weight,
            delete_policies: texts(policies),
            other: serde_json::Map::new(),
        }
    }

    fn record(hooks: Vec<HookRecord>) -> Record {
        let mut record: Record =
            serde_json::from_value(json!({ "name": "app", "version": 1 })).unwrap();
        record.hooks = hooks;
        record
    }

    #[test]
    fn hooks_run_by_weight_and_then_by_name() {
        let both = ["pre-install", "pre-upgrade"];
        let record = record(vec![
            hook("late", 5, &both, &[]),
            hook("b", 0, &both, &[]),
            hook("other", -9, &["test"], &[]),
            hook("a", 0, &["pre-upgrade"], &[]),
            hook("first", -1, &both, &[]),
        ]);
        let names = |event| -> Vec<&str> {
            let indices = record.hooks_at(event).into_iter();
            indices.map(|index| record.hooks[index].name.as_str()).collect()
        };
        assert_eq!(names(HookEvent::PreUpgrade), ["first", "a", "b", "late"]);
        assert_eq!(names(HookEvent::PreInstall), ["first", "b", "late"]);
        assert_eq!(names(HookEvent::PreDelete), Vec::<&str>::new());
    }

    #[test]
    fn without_a_policy_a_hook_is_removed_before_it_runs_again() {
        let silent = hook("a", 0, &[], &[]);
        assert!(silent.is_removed(HookDeletion::BeforeCreation));
        assert!(!silent.is_removed(HookDeletion::Succeeded));
        let spoken = hook("a", 0, &[], &["hook-succeeded", "hook-failed"]);
        assert!(!spoken.is_removed(HookDeletion::BeforeCreation));
        assert!(spoken.is_removed(HookDeletion::Succeeded));
        assert!(spoken.is_removed(HookDeletion::Failed));
        let mut definition = hook("a", 0, &[], &["hook-succeeded"]);
        "CustomResourceDefinition".clone_into(&mut definition.kind);
        assert!(!definition.is_removed(HookDeletion::Succeeded));
    }

    #[test]
    fn a_hook_that_was_through_before_the_interruption_is_not_run_again() {
        let mut through = hook("migrate", 0, &["pre-upgrade"], &[]);
        through.begin();
        assert!(!through.has_succeeded());
        through.end(true);
        let mut failed = hook("seed", 0, &["pre-upgrade"], &[]);
        failed.begin();
        failed.end(false);
        let mut settings = hook("settings", 0, &["pre-upgrade"], &[]);
        "ConfigMap".clone_into(&mut settings.kind);
        settings.end(true);
        let mut twice = hook("twice", 0, &["pre-upgrade", "post-upgrade"], &[]);
        twice.end(true);
        let interrupted = [through.clone(), failed, settings.clone(), twice.clone()];

        let fresh =
            |hook: &HookRecord| HookRecord { other: serde_json::Map::new(), ..hook.clone() };
        let mut changed = fresh(&through);
        changed.manifest = changed.manifest.replace("x: 1", "x: 2");
        let mut rewritten = fresh(&through);
        rewritten.manifest = rewritten.manifest.replace("{x: 1}", "{ \"x\": 1 } # same");
        let mut next = [
            changed,
            rewritten,
            hook("seed", 0, &["pre-upgrade"], &[]),
            fresh(&settings),
            fresh(&twice),
        ];
        assert_eq!(continue_hooks(&mut next, &interrupted), BTreeSet::from([1]));
        let through: Vec<bool> = next.iter().map(HookRecord::has_succeeded).collect();
        assert_eq!(through, [false, true, false, false, false]);
    }

    #[test]
    fn policies_for_logs_are_read_from_the_annotation() {
        let object = json!({ "metadata": { "annotations": { "helm.sh/hook-output-log-policy": "hook-failed, Hook-Succeeded," } } });
        assert_eq!(output_policies(&object), ["hook-failed", "hook-succeeded"]);
        assert_eq!(output_policies(&json!({})), Vec::<String>::new());
    }
}
