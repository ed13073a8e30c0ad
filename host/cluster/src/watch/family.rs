//! Which kinds belong to a set of objects, and which objects belong to one of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::Snapshot;
use todohost_model::object::{Object, ObjectRef};

/// Most events of one object and its dependents; the newest are kept.
const EVENTS: usize = 100;

/// Kinds that run pods, or others that do.
const WORKLOADS: [&str; 8] = [
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
];

/// A list and watch: one kind in one namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    /// Field selector.
    pub selector: Option<String>,
    /// An object of it was asked for.
    pub needed: bool,
}

/// One object and nothing that belongs to it.
pub(super) fn alone(object: &ObjectRef) -> Subject {
    Subject {
        api_version: object.api_version.clone(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        selector: Some(format!("metadata.name={}", object.name)),
        needed: true,
    }
}

/// The kinds and namespaces of `objects` and of their dependents.
pub(super) fn subjects(objects: &[ObjectRef]) -> Vec<Subject> {
    let mut names: BTreeMap<(String, String, Option<String>), BTreeSet<String>> = BTreeMap::new();
    for object in objects {
        let key = (object.api_version.clone(), object.kind.clone(), object.namespace.clone());
        names.entry(key).or_default().insert(object.name.clone());
    }
    let mut added: BTreeSet<(String, String, Option<String>)> = BTreeSet::new();
    for object in objects {
        let mut add = |api_version: &str, kind: &str| {
            added.insert((api_version.to_owned(), kind.to_owned(), object.namespace.clone()));
        };
        if object.namespace.is_none() {
            continue;
        }
        add("v1", "Event");
        let custom = object
            .api_version
            .split_once('/')
            .is_some_and(|(group, _)| group.contains('.') && !group.ends_with(".k8s.io"));
        if custom || WORKLOADS.contains(&object.kind.as_str()) {
            add("v1", "Pod");
        }
        if custom || object.kind == "Deployment" {
            add("apps/v1", "ReplicaSet");
        }
        if custom || object.kind == "CronJob" {
            add("batch/v1", "Job");
        }
        if object.kind == "Service" {
            add("discovery.k8s.io/v1", "EndpointSlice");
        }
    }
    let mut subjects = Vec::new();
    for (key, names) in names {
        let whole = added.remove(&key);
        let (api_version, kind, namespace) = key;
        let selector = match names.first() {
            _ if whole => None,
            Some(name) if names.len() == 1 => Some(format!("metadata.name={name}")),
            // A release's own records are large, and none of them is ever asked for.
            _ if kind == "Secret" => Some("type!=helm.sh/release.v1".to_owned()),
            _ => None,
        };
        subjects.push(Subject { api_version, kind, namespace, selector, needed: true });
    }
    for (api_version, kind, namespace) in added {
        subjects.push(Subject { api_version, kind, namespace, selector: None, needed: false });
    }
    subjects
}

/// Objects by owner, events by object.
pub(super) struct Families<'a> {
    owned: HashMap<&'a str, Vec<&'a Object>>,
    events: HashMap<&'a str, Vec<&'a Object>>,
}

impl<'a> Families<'a> {
    pub(super) fn of(objects: impl Iterator<Item = &'a Object>) -> Self {
        let mut families = Self { owned: HashMap::new(), events: HashMap::new() };
        for object in objects {
            if object.get("kind").and_then(Value::as_str) == Some("Event") {
                if let Some(uid) = text(object, "/involvedObject/uid") {
                    families.events.entry(uid).or_default().push(object);
                }
                continue;
            }
            let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            for owner in owners.into_iter().flatten().filter_map(|owner| owner.get("uid")?.as_str())
            {
                families.owned.entry(owner).or_default().push(object);
            }
        }
        families
    }

    pub(super) fn snapshot(&self, wanted: &ObjectRef, object: Option<&Object>) -> Snapshot {
        let mut uids: Vec<&str> =
            object.and_then(|object| text(object, "/metadata/uid")).into_iter().collect();
        let mut related: Vec<&Object> = Vec::new();
        let mut position = 0;
        while let Some(uid) = uids.get(position).copied() {
            position += 1;
            for child in self.owned.get(uid).into_iter().flatten() {
                let Some(child_uid) = text(child, "/metadata/uid") else { continue };
                if !uids.contains(&child_uid) {
                    uids.push(child_uid);
                    related.push(child);
                }
            }
        }
        related.sort_by_key(|object| (text(object, "/kind"), text(object, "/metadata/name")));
        let mut events: Vec<&Object> =
            uids.iter().filter_map(|uid| self.events.get(uid)).flatten().copied().collect();
        events.sort_by_key(|event| (happened(event), text(event, "/metadata/name")));
        let newest = events.len().saturating_sub(EVENTS);
        Snapshot {
            object_ref: wanted.clone(),
            object: object.cloned(),
            related: related.into_iter().cloned().collect(),
            events: events.into_iter().skip(newest).cloned().collect(),
        }
    }
}

/// The parts of a snapshot; a difference is a change.
pub(super) fn state(snapshot: &Snapshot) -> Vec<(String, String)> {
    let parts = snapshot.object.iter().chain(&snapshot.related).chain(&snapshot.events);
    let read = |object, pointer| text(object, pointer).unwrap_or_default().to_owned();
    parts
        .map(|part| (read(part, "/metadata/uid"), read(part, "/metadata/resourceVersion")))
        .collect()
}

/// When an event was last seen; both forms of events write RFC 3339, so texts sort as times do.
fn happened(event: &Object) -> &str {
    [
        "/lastTimestamp",
        "/series/lastObservedTime",
        "/eventTime",
        "/firstTimestamp",
        "/metadata/creationTimestamp",
    ]
    .iter()
    .find_map(|pointer| text(event, pointer))
    .unwrap_or_default()
}

fn text<'a>(object: &'a Object, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(api_version: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: Some("todo".into()),
            name: name.into(),
        }
    }

    fn kinds(objects: &[ObjectRef]) -> Vec<String> {
        let mut kinds: Vec<_> = subjects(objects)
            .iter()
            .map(|subject| {
                format!("{} {}", subject.kind, subject.selector.as_deref().unwrap_or("all"))
            })
            .collect();
        kinds.sort();
        kinds
    }

    #[test]
    fn lists_only_the_kinds_that_the_objects_need() {
        assert_eq!(
            kinds(&[
                named("v1", "ConfigMap", "a"),
                named("v1", "Secret", "b"),
                named("v1", "Secret", "c")
            ]),
            ["ConfigMap metadata.name=a", "Event all", "Secret type!=helm.sh/release.v1"]
        );
        assert_eq!(
            kinds(&[
                named("apps/v1", "Deployment", "a"),
                named("apps/v1", "Deployment", "b"),
                named("v1", "Service", "a")
            ]),
            [
                "Deployment all",
                "EndpointSlice all",
                "Event all",
                "Pod all",
                "ReplicaSet all",
                "Service metadata.name=a"
            ]
        );
        assert_eq!(
            kinds(&[named("v1", "Pod", "a"), named("apps/v1", "StatefulSet", "b")]),
            ["Event all", "Pod all", "StatefulSet metadata.name=b"]
        );
        assert_eq!(
            kinds(&[named("example.org/v1", "Widget", "a")]),
            ["Event all", "Job all", "Pod all", "ReplicaSet all", "Widget metadata.name=a"]
        );
    }

    #[test]
    fn a_snapshot_has_indirect_dependents_and_ordered_events() {
        let object = |kind: &str, uid: &str, owner: &str| {
            json!({ "kind": kind, "metadata": { "name": uid, "uid": uid, "resourceVersion": "1",
                "ownerReferences": [{ "uid": owner }] } })
        };
        let event = |uid: &str, about: &str, time: &str| {
            json!({ "kind": "Event", "metadata": { "name": uid, "uid": uid, "resourceVersion": "1" },
                "involvedObject": { "uid": about }, "lastTimestamp": time })
        };
        let all = [
            object("ReplicaSet", "rs", "deployment"),
            object("Pod", "pod", "rs"),
            object("Pod", "stranger", "other"),
            event("late", "pod", "2026-11-21T05:00:02Z"),
            event("early", "rs", "2026-11-21T05:00:01Z"),
            event("strange", "stranger", "2026-11-21T05:00:00Z"),
        ];
        let deployment = object("Deployment", "deployment", "nobody");
        let families = Families::of(all.iter());
        let snapshot = families.snapshot(&named("apps/v1", "Deployment", "a"), Some(&deployment));
        let names = |objects: &[Object]| -> Vec<String> {
            objects
                .iter()
                .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(&snapshot.related), ["pod", "rs"]);
        assert_eq!(names(&snapshot.events), ["early", "late"]);
        assert_eq!(state(&snapshot).len(), 5);
        assert!(families.snapshot(&named("v1", "Pod", "gone"), None).related.is_empty());
    }

    #[test]
    fn objects_that_own_each_other_end() {
        let object = |uid: &str, owner: &str| json!({ "kind": "Pod", "metadata": { "name": uid, "uid": uid, "ownerReferences": [{ "uid": owner }] } });
        let all = [object("a", "b"), object("b", "a")];
        let snapshot = Families::of(all.iter()).snapshot(&named("v1", "Pod", "a"), Some(&all[0]));
        assert_eq!(snapshot.related.len(), 1);
    }
}
