//! Changes that could not be rolled back: the objects, and the commands that remove them.

use std::collections::BTreeMap;

use super::revision::Pending;
use crate::error::{Cause, RunError};
use todohost_cluster::{ClusterError, namespace_ref};
use todohost_model::object::ObjectRef;

/// The error of a run that was stopped with changes under way, on a cluster that no longer answers.
pub(super) fn unreachable_rollback(
    failed: RunError,
    silence: ClusterError,
    pending: &Pending,
) -> RunError {
    let connected = &pending.connected;
    let app = connected.cx.app();
    let target = connected.cx.target_name();
    let again = format!("when it answers: todohost deploy --target {target} continues from there");
    let left = leftovers(pending);
    let help = if pending.is_upgrade {
        again
    } else {
        let begun = if pending.done.created_namespace {
            vec![namespace_ref(&app.namespace)]
        } else {
            left.iter().map(|(object, _)| object.clone()).collect()
        };
        let commands = delete_commands(connected.client.context(), &begun).join("; ");
        format!("{again}; to remove everything instead: {commands}")
    };
    let left = left.iter().map(|(object, state)| Cause(format!("{object} {state}"))).collect();
    RunError::Stranded { failed: Box::new(failed), silence, left, help }
}

/// Every object that was changed, or may have been, with its state.
fn leftovers(pending: &Pending) -> Vec<(ObjectRef, &'static str)> {
    const CREATED: &str = "was created";
    const UNCONFIRMED: &str = "may have been created";
    let Pending { connected, done, .. } = pending;
    let mut begun = Vec::new();
    if done.created_namespace {
        begun.push((namespace_ref(&connected.cx.app().namespace), UNCONFIRMED));
    }
    match &pending.record {
        Some(record) => begun.push((connected.store.record_ref(record.revision), CREATED)),
        None => {
            let next = connected.latest.as_ref().map_or(0, |latest| latest.revision) + 1;
            begun.push((connected.store.record_ref(next), UNCONFIRMED));
        }
    }
    if connected.latest.is_none() {
        begun.push((connected.store.salt_ref(), UNCONFIRMED));
    }
    begun.extend(done.created.iter().map(|(object, _)| (object.clone(), CREATED)));
    begun.extend(done.configured.iter().map(|object| (object.clone(), "was changed")));
    begun.extend(done.deleted.iter().map(|object| (object.clone(), "was deleted")));
    begun.extend(done.unknown.iter().map(|object| {
        let is_new = pending.dry_run.creates(object);
        (object.clone(), if is_new { UNCONFIRMED } else { "may have been changed" })
    }));
    begun
}

/// The commands that delete objects by hand, one per namespace.
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
    fn delete_commands_are_grouped_by_namespace_and_name_full_kinds() {
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
