//! What is left behind where a stopped deploy cannot be taken back: which objects, and what to type.

use std::collections::BTreeMap;

use super::error::{Clue, RunError};
use super::session::{Pending, Reached, Session};
use todohost_cluster::{ClusterError, namespace_ref};
use todohost_model::object::ObjectRef;

impl Session {
    /// The error for a run that was stopped with something begun, on a cluster that does not answer any more.
    pub(super) fn stranded(
        &self,
        failed: RunError,
        silence: ClusterError,
        reached: &Reached,
        pending: &Pending,
    ) -> RunError {
        let app = &self.run.project.file.app;
        let target = self.target.clone().unwrap_or_default();
        let again =
            format!("once it answers: todohost deploy --target {target} goes on from there");
        let help = if pending.is_upgrade {
            again
        } else {
            let begun = if pending.done.created_namespace {
                vec![namespace_ref(&app.namespace)]
            } else {
                self.left_by(reached, pending).into_iter().map(|(object, _)| object).collect()
            };
            let commands = delete_commands(reached.client.context(), &begun).join("; ");
            format!("{again}; {commands} takes it away instead")
        };
        let left = self.left_by(reached, pending);
        let left = left.iter().map(|(object, what)| Clue(format!("{object} {what}")));
        RunError::Stranded { failed: Box::new(failed), silence, left: left.collect(), help }
    }

    /// Everything that was begun, with what became of it.
    fn left_by(&self, reached: &Reached, pending: &Pending) -> Vec<(ObjectRef, &'static str)> {
        const CREATED: &str = "was created";
        const DOUBTED: &str = "may have been created";
        let done = &pending.done;
        let mut begun = Vec::new();
        if done.created_namespace {
            begun.push((namespace_ref(&self.run.project.file.app.namespace), DOUBTED));
        }
        match &pending.record {
            Some(record) => begun.push((reached.store.record_ref(record.revision), CREATED)),
            None => {
                let next = reached.latest.as_ref().map_or(0, |latest| latest.revision) + 1;
                begun.push((reached.store.record_ref(next), DOUBTED));
            }
        }
        if reached.latest.is_none() {
            begun.push((reached.store.salt_ref(), DOUBTED));
        }
        begun.extend(done.created.iter().map(|(object, _)| (object.clone(), CREATED)));
        begun.extend(done.configured.iter().map(|object| (object.clone(), "was changed")));
        begun.extend(done.deleted.iter().map(|object| (object.clone(), "was deleted")));
        begun.extend(done.in_doubt.iter().map(|object| {
            let is_new = pending.prospect.creates(object);
            (object.clone(), if is_new { DOUBTED } else { "may have been changed" })
        }));
        begun
    }
}

/// What deletes objects by hand: a command per namespace.
fn delete_commands(context: &str, objects: &[ObjectRef]) -> Vec<String> {
    let mut by_namespace: BTreeMap<Option<&str>, Vec<String>> = BTreeMap::new();
    for object in objects {
        let kind = object.kind.to_lowercase();
        let kind = match object.api_version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}"),
            None => kind,
        };
        let names = by_namespace.entry(object.namespace.as_deref()).or_default();
        names.push(format!("{kind}/{}", object.name));
    }
    by_namespace
        .into_iter()
        .map(|(namespace, names)| {
            let namespace = namespace.map(|name| format!(" --namespace {name}"));
            let names = names.join(" ");
            format!("kubectl --context {context}{} delete {names}", namespace.unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_deleted_by_namespace_and_by_their_whole_kind() {
        let object = |api_version: &str, kind: &str, namespace: Option<&str>| ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: "web".into(),
        };
        let objects = [
            object("apps/v1", "Deployment", Some("shop")),
            object("rbac.authorization.k8s.io/v1", "ClusterRole", None),
            object("v1", "Service", Some("shop")),
        ];
        assert_eq!(
            delete_commands("lab", &objects),
            [
                "kubectl --context lab delete clusterrole.rbac.authorization.k8s.io/web",
                "kubectl --context lab --namespace shop delete deployment.apps/web service/web",
            ]
        );
    }
}
