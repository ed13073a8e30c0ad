//! The plan itself: which object is applied, kept or deleted, and when.

use crate::object::{Identity, Object, read};
use crate::{compare, order};
use order::{STAGES, Stage, is_built_in, is_never_pruned, place};
use std::collections::BTreeMap;
use todohost_plugin::Result;
use todohost_plugin::apply::{Operation, Request, Wave};

const POLICY: &str = "helm.sh/resource-policy";
const RELEASE: &str = "meta.helm.sh/release-name";

type Objects = BTreeMap<Identity, Object>;

/// Waves in their order, empty ones left out; the same request gives the same plan, in whichever order its objects
/// come.
///
/// # Errors
/// When a document is no object, or two are the same one.
pub fn plan(request: &Request) -> Result<Vec<Wave>> {
    let desired = read(&request.desired, &request.namespace)?;
    let previous = read(&request.previous, &request.namespace)?;
    let live = read(&request.live, &request.namespace)?;
    let mut waves: Vec<_> =
        STAGES.iter().map(|stage| stage_wave(*stage, &desired, &previous, &live)).collect();
    waves.push(Wave {
        title: "what is no longer wanted".to_owned(),
        operations: prune(&request.release, &desired, &previous, &live),
        wait_ready: false,
    });
    waves.retain(|wave| !wave.operations.is_empty());
    Ok(waves)
}

fn stage_wave(stage: Stage, desired: &Objects, previous: &Objects, live: &Objects) -> Wave {
    let mut objects: Vec<_> =
        desired.values().filter(|object| place(&object.identity).0 == stage).collect();
    objects.sort_by_key(|object| (place(&object.identity), &object.identity));
    let operation = |object: &Object| {
        let identity = &object.identity;
        if is_unchanged(object, previous.get(identity), live.get(identity)) {
            Operation::Keep((object.reference(), "unchanged".to_owned()))
        } else {
            Operation::Apply(object.document.to_string())
        }
    };
    Wave {
        title: stage.title().to_owned(),
        operations: objects.into_iter().map(operation).collect(),
        wait_ready: stage.wait_ready(),
    }
}

/// An object need not be touched when it is wanted as it was last time, and the cluster still has it so. Without the
/// last time it is applied even when equal: that makes its fields ours.
fn is_unchanged(desired: &Object, previous: Option<&Object>, live: Option<&Object>) -> bool {
    let (Some(previous), Some(live)) = (previous, live) else { return false };
    previous.document == desired.document
        && live.document["metadata"]["deletionTimestamp"].is_null()
        && compare::has_all(&desired.document, &live.document, is_built_in(&desired.identity.group))
}

/// What the last release had and this one has not, users before what they use.
fn prune(release: &str, desired: &Objects, previous: &Objects, live: &Objects) -> Vec<Operation> {
    let mut gone: Vec<_> =
        previous.values().filter(|object| !desired.contains_key(&object.identity)).collect();
    gone.sort_by_key(|object| (place(&object.identity), &object.identity));
    gone.reverse();
    let operation =
        |object: &Object| match kept_because(release, object, live.get(&object.identity)) {
            Some(reason) => Operation::Keep((object.reference(), reason)),
            None => Operation::Delete(object.reference()),
        };
    gone.into_iter().map(operation).collect()
}

fn kept_because(release: &str, previous: &Object, live: Option<&Object>) -> Option<String> {
    if is_never_pruned(&previous.identity) {
        return Some(format!(
            "no longer wanted, but a {} is never deleted unasked",
            previous.identity.kind
        ));
    }
    let keeps =
        |object: &Object| object.annotation(POLICY).is_some_and(|policy| policy.trim() == "keep");
    if keeps(previous) || live.is_some_and(keeps) {
        return Some(format!("no longer wanted, but its annotation {POLICY} says keep"));
    }
    let owner = live.and_then(|live| live.annotation(RELEASE)).filter(|owner| *owner != release)?;
    Some(format!("no longer wanted, but it belongs to the release {owner} now"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
    }

    fn request(desired: &[Value], previous: &[Value], live: &[Value]) -> Request {
        let texts = |values: &[Value]| values.iter().map(Value::to_string).collect();
        Request {
            options: String::new(),
            release: "shop".into(),
            namespace: "shop".into(),
            desired: texts(desired),
            previous: texts(previous),
            live: texts(live),
        }
    }

    /// `apply Kind/name`, `keep ...`, `delete ...`, wave by wave.
    fn told(request: &Request) -> Vec<Vec<String>> {
        let tell = |operation: &Operation| match operation {
            Operation::Apply(text) | Operation::Replace(text) => {
                let document: Value = serde_json::from_str(text).unwrap();
                let name = document["metadata"]["name"].as_str().unwrap();
                format!("apply {}/{name}", document["kind"].as_str().unwrap())
            }
            Operation::Keep((object, _)) => format!("keep {}/{}", object.kind, object.name),
            Operation::Delete(object) => format!("delete {}/{}", object.kind, object.name),
        };
        let waves = plan(request).unwrap();
        waves.iter().map(|wave| wave.operations.iter().map(tell).collect()).collect()
    }

    fn app() -> Vec<Value> {
        vec![
            object("networking.k8s.io/v1", "Ingress", "web"),
            object("apps/v1", "Deployment", "web"),
            object("v1", "Service", "web"),
            object("v1", "Secret", "web"),
            object("example.com/v1", "Widget", "web"),
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com"),
            object("v1", "Namespace", "shop"),
        ]
    }

    #[test]
    fn a_first_release_is_applied_in_waves() {
        let expected = [
            vec!["apply Namespace/shop", "apply CustomResourceDefinition/widgets.example.com"],
            vec!["apply Secret/web", "apply Service/web"],
            vec!["apply Deployment/web"],
            vec!["apply Widget/web", "apply Ingress/web"],
        ];
        assert_eq!(told(&request(&app(), &[], &[])), expected);
        let waves = plan(&request(&app(), &[], &[])).unwrap();
        let waits: Vec<_> = waves.iter().map(|wave| wave.wait_ready).collect();
        assert_eq!(waits, [true, false, false, false]);
    }

    #[test]
    fn the_order_of_the_objects_does_not_matter() {
        let mut backwards = app();
        backwards.reverse();
        let live: Vec<_> = app().into_iter().skip(2).collect();
        let one = plan(&request(&app(), &app(), &live)).unwrap();
        assert_eq!(one, plan(&request(&backwards, &backwards, &live)).unwrap());
    }

    #[test]
    fn nothing_changed_is_nothing_applied() {
        let told = told(&request(&app(), &app(), &app()));
        assert!(told.iter().flatten().all(|operation| operation.starts_with("keep ")), "{told:?}");
    }

    #[test]
    fn drift_a_missing_object_and_a_dying_one_are_applied() {
        let mut live = app();
        live[1]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        live.remove(2);
        let mut wanted = app();
        wanted[3]["data"] = json!({"a": "token"});
        let told = told(&request(&wanted, &wanted, &live)).concat();
        for operation in
            ["apply Deployment/web", "apply Service/web", "apply Secret/web", "keep Ingress/web"]
        {
            assert!(told.iter().any(|told| told == operation), "{operation} in {told:?}");
        }
    }

    #[test]
    fn what_was_never_ours_is_applied_even_when_equal() {
        let service = [object("v1", "Service", "web")];
        assert_eq!(told(&request(&service, &[], &service)), [["apply Service/web"]]);
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_is_a_change() {
        let mut old = object("v1", "Service", "web");
        old["spec"] = json!({"clusterIP": "None"});
        let new = object("v1", "Service", "web");
        assert_eq!(
            told(&request(&[new], std::slice::from_ref(&old), std::slice::from_ref(&old))),
            [["apply Service/web"]]
        );
    }

    #[test]
    fn what_is_no_longer_wanted_goes_last_users_first() {
        let expected = [vec![
            "delete Ingress/web",
            "delete Widget/web",
            "delete Deployment/web",
            "delete Service/web",
            "delete Secret/web",
            "keep CustomResourceDefinition/widgets.example.com",
            "keep Namespace/shop",
        ]];
        assert_eq!(told(&request(&[], &app(), &app())), expected);
    }

    #[test]
    fn annotations_and_owners_are_honoured() {
        let mut kept = object("v1", "ConfigMap", "kept");
        kept["metadata"]["annotations"] = json!({POLICY: "keep"});
        let asked = object("v1", "ConfigMap", "asked");
        let mut asked_live = asked.clone();
        asked_live["metadata"]["annotations"] = json!({POLICY: "keep"});
        let moved = object("v1", "ConfigMap", "moved");
        let mut moved_live = moved.clone();
        moved_live["metadata"]["annotations"] = json!({RELEASE: "other"});
        let mut ours = object("v1", "ConfigMap", "ours");
        ours["metadata"]["annotations"] = json!({RELEASE: "shop"});
        let previous = [kept.clone(), asked, moved, ours.clone()];
        let live = [kept, asked_live, moved_live, ours];
        assert_eq!(
            told(&request(&[], &previous, &live)),
            [[
                "delete ConfigMap/ours",
                "keep ConfigMap/moved",
                "keep ConfigMap/kept",
                "keep ConfigMap/asked"
            ]]
            .map(|wave| {
                let mut wave = wave.to_vec();
                wave.sort_by_key(|told| {
                    std::cmp::Reverse(told.rsplit('/').next().unwrap().to_owned())
                });
                wave
            })
        );
    }

    #[test]
    fn another_version_of_the_same_group_is_the_same_object() {
        let old = object("policy/v1beta1", "PodDisruptionBudget", "web");
        let new = object("policy/v1", "PodDisruptionBudget", "web");
        assert_eq!(told(&request(&[new], &[old], &[])), [["apply PodDisruptionBudget/web"]]);
    }
}
