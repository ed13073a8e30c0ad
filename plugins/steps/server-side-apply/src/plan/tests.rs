//! Plans for whole requests, compared as lists of operations and waits.

use super::*;
use crate::prune::{POLICY, RELEASE};
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

/// The operations of each wave, as `apply Kind/name`, `keep ...` and `delete ...`.
fn operations(request: &Request) -> Vec<Vec<String>> {
    let describe = |operation: &Operation| match operation {
        Operation::Apply(text) | Operation::Replace(text) => {
            let document: Value = serde_json::from_str(text).unwrap();
            let name = document["metadata"]["name"].as_str().unwrap();
            format!("apply {}/{name}", document["kind"].as_str().unwrap())
        }
        Operation::Keep((object, _)) => format!("keep {}/{}", object.kind, object.name),
        Operation::Delete(object) => format!("delete {}/{}", object.kind, object.name),
        Operation::Unchanged(object) => format!("unchanged {}/{}", object.kind, object.name),
    };
    let waves = plan(request).unwrap().waves;
    waves.iter().map(|wave| wave.operations.iter().map(describe).collect()).collect()
}

/// The objects that each wave waits for.
fn waits(request: &Request) -> Vec<Vec<String>> {
    let describe = |object: &ObjectRef| format!("{}/{}", object.kind, object.name);
    let waves = plan(request).unwrap().waves;
    waves.iter().map(|wave| wave.wait_for.iter().map(describe).collect()).collect()
}

fn annotated(mut object: Value, annotations: &[(&str, &str)]) -> Value {
    for (key, value) in annotations {
        object["metadata"]["annotations"][*key] = json!(value);
    }
    object
}

#[test]
fn higher_weight_waits_for_lower_weights_to_be_ready() {
    let weight = |object, weight| annotated(object, &[("werf.io/weight", weight)]);
    let objects = [
        object("v1", "Namespace", "shop"),
        weight(object("apps/v1", "Deployment", "late"), "10"),
        weight(object("v1", "ConfigMap", "early"), "-10"),
        object("apps/v1", "Deployment", "web"),
        object("v1", "ConfigMap", "web"),
    ];
    let request = request(&objects, &[], &[]);
    assert_eq!(
        operations(&request),
        [
            ["apply Namespace/shop"],
            ["apply ConfigMap/early"],
            ["apply ConfigMap/web"],
            ["apply Deployment/web"],
            ["apply Deployment/late"]
        ]
    );
    assert_eq!(
        waits(&request),
        [
            vec!["Namespace/shop"],
            vec!["ConfigMap/early"],
            vec![],
            vec!["ConfigMap/web", "Deployment/web"],
            vec![]
        ]
    );
    let wrong = self::request(&[weight(object("v1", "Secret", "a"), "high")], &[], &[]);
    let error = plan(&wrong).unwrap_err();
    assert_eq!(error.message, "Secret/a: the annotation werf.io/weight is malformed");
}

#[test]
fn higher_weight_waits_for_lighter_objects_delayed_by_dependencies() {
    let objects = [
        object("apps/v1", "Deployment", "web"),
        annotated(
            object("v1", "ConfigMap", "pushed"),
            &[("werf.io/deploy-dependency-web", "state=ready,kind=Deployment,name=web")],
        ),
        annotated(object("v1", "ConfigMap", "late"), &[("werf.io/weight", "20")]),
    ];
    let request = request(&objects, &[], &[]);
    assert_eq!(
        operations(&request),
        [["apply Deployment/web"], ["apply ConfigMap/pushed"], ["apply ConfigMap/late"]]
    );
    assert_eq!(waits(&request), [vec!["Deployment/web"], vec!["ConfigMap/pushed"], vec![]]);
    // A dependency on a heavier object overrides the weights.
    let against = annotated(
        object("v1", "ConfigMap", "pushed"),
        &[("werf.io/deploy-dependency-late", "state=present,kind=ConfigMap,name=late")],
    );
    let request = self::request(&[against, objects[2].clone()], &[], &[]);
    assert_eq!(operations(&request), [["apply ConfigMap/late"], ["apply ConfigMap/pushed"]]);
}

#[test]
fn dependencies_are_applied_first_and_awaited_only_for_state_ready() {
    let needs = |name: &str, key: &str, value: &str| {
        annotated(object("apps/v1", "Deployment", name), &[(key, value)])
    };
    let ready = "state=ready,kind=StatefulSet,name=postgres";
    let objects = [
        needs("api", "werf.io/deploy-dependency-db", ready),
        needs(
            "web",
            "werf.io/deploy-dependency-api",
            "state=present, kind=Deployment,group=apps,version=v1,name=api",
        ),
        needs("old", "db.dependency.werf.io", "apps/v1:StatefulSet:shop:postgres"),
        object("apps/v1", "StatefulSet", "postgres"),
        object("v1", "Secret", "keys"),
    ];
    let request = request(&objects, &[], &[]);
    assert_eq!(
        operations(&request),
        [
            vec!["apply Secret/keys"],
            vec!["apply StatefulSet/postgres"],
            vec!["apply Deployment/api", "apply Deployment/old"],
            vec!["apply Deployment/web"]
        ]
    );
    assert_eq!(waits(&request), [vec![], vec!["StatefulSet/postgres"], vec![], vec![]]);
}

#[test]
fn groups_wait_for_groups() {
    let in_group = |name: &str, annotations: &[(&str, &str)]| {
        annotated(object("apps/v1", "Deployment", name), annotations)
    };
    let after = "helm.sh/depends-on/resource-groups";
    let objects = [
        in_group("app", &[("helm.sh/resource-group", "app"), (after, "[\"database\", \"queue\"]")]),
        in_group("queue", &[("helm.sh/resource-group", "queue"), (after, "database, other")]),
        in_group("database", &[("helm.sh/resource-group", "database")]),
        object("v1", "ConfigMap", "plain"),
    ];
    let request = request(&objects, &[], &[]);
    let plan = plan(&request).unwrap();
    let text = format!("{:?}", plan.waves);
    assert!(!text.contains(after), "the API server rejects keys with two slashes: {text}");
    assert_eq!(plan.warnings, ["Deployment/queue waits for the group other, which has no members"]);
    let deployments: Vec<_> = operations(&request).into_iter().flatten().skip(1).collect();
    let expected = ["database", "queue", "app"].map(|name| format!("apply Deployment/{name}"));
    assert_eq!(deployments, expected);
    assert_eq!(
        waits(&request)[1..],
        [vec!["Deployment/database"], vec!["Deployment/queue"], vec![]]
    );
    // The annotation does not count as a change either.
    let live = [object("apps/v1", "Deployment", "app")];
    let kept = self::request(
        &objects[..1],
        &objects[..1],
        &[annotated(live[0].clone(), &[("helm.sh/resource-group", "app")])],
    );
    assert_eq!(operations(&kept), [["unchanged Deployment/app"]]);
}

#[test]
fn cycle_is_an_error_that_names_its_objects() {
    let needs = |name: &str, other: &str| {
        let value = format!("state=present,kind=ConfigMap,name={other}");
        annotated(object("v1", "ConfigMap", name), &[("werf.io/deploy-dependency-x", &value)])
    };
    let objects = [needs("a", "b"), needs("b", "c"), needs("c", "b")];
    let error = plan(&request(&objects, &[], &[])).unwrap_err();
    assert_eq!(
        error.message,
        "objects depend on each other in a cycle: ConfigMap/b -> ConfigMap/c -> ConfigMap/b"
    );
    let alone = annotated(
        object("v1", "ConfigMap", "a"),
        &[("helm.sh/resource-group", "g"), ("helm.sh/depends-on/resource-groups", "g")],
    );
    let error = plan(&request(&[alone], &[], &[])).unwrap_err();
    assert_eq!(error.message, "ConfigMap/a depends on itself");
}

#[test]
fn dependency_without_match_is_a_warning_and_malformed_one_an_error() {
    let lonely = annotated(
        object("v1", "ConfigMap", "a"),
        &[
            ("werf.io/deploy-dependency-x", "state=ready,kind=Secret,name=b"),
            ("helm.sh/resource-group", "a"),
        ],
    );
    let plan = plan(&request(&[lonely], &[], &[])).unwrap();
    assert_eq!((plan.waves.len(), plan.warnings.len()), (1, 1), "{:?}", plan.warnings);
    for value in ["", "state=ready", "state=gone,name=a", "colour=red", "name"] {
        let wrong =
            annotated(object("v1", "ConfigMap", "a"), &[("werf.io/deploy-dependency-x", value)]);
        assert!(self::plan(&request(&[wrong], &[], &[])).is_err(), "{value}");
    }
}

#[test]
fn external_dependencies_are_awaited_after_objects_that_may_cause_them() {
    let needs = |name: &str, annotations: &[(&str, &str)]| {
        annotated(object("apps/v1", "Deployment", name), annotations)
    };
    let key = "keys.external-dependency.werf.io/resource";
    let objects = [
        needs("web", &[(key, "secret/keys")]),
        needs(
            "far",
            &[
                ("q.external-dependency.werf.io/resource", "queues.v1.example.com/q"),
                ("q.external-dependency.werf.io/namespace", "queues"),
            ],
        ),
        needs("after", &[("werf.io/deploy-dependency-web", "kind=Deployment,name=web")]),
        object("v1", "ConfigMap", "plain"),
        object("example.com/v1", "Vault", "keys"),
        annotated(object("v1", "ConfigMap", "late"), &[("werf.io/weight", "1")]),
    ];
    let request = request(&objects, &[], &[]);
    assert_eq!(
        operations(&request),
        [
            vec!["apply ConfigMap/plain"],
            vec!["apply Vault/keys"],
            vec!["apply Deployment/far", "apply Deployment/web"],
            vec!["apply Deployment/after"],
            vec!["apply ConfigMap/late"]
        ]
    );
    // The wave also waits for the objects of its own weight.
    let external: Vec<_> = plan(&request).unwrap().waves[1]
        .wait_for
        .iter()
        .filter_map(|one| {
            let namespace = one.namespace.as_deref()?;
            Some(format!("{} {} {namespace} {}", one.api_version, one.kind, one.name))
        })
        .collect();
    assert_eq!(external, ["example.com/v1 queues queues q", " secret shop keys"]);
    // A single object gets a wave before it for the wait. An unchanged object waits for nothing.
    let alone = self::request(&objects[..1], &[], &[]);
    assert_eq!(waits(&alone), [vec!["secret/keys"], vec![]]);
    let kept = self::request(&objects[..1], &objects[..1], &objects[..1]);
    assert_eq!(waits(&kept), [Vec::<String>::new()]);
    for value in ["keys", "/keys", "secret/", "secret/a/b", "secrets.v1/a", "a..b/c"] {
        let wrong = self::request(&[needs("web", &[(key, value)])], &[], &[]);
        assert!(plan(&wrong).is_err(), "{value}");
    }
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
fn first_release_is_applied_in_waves() {
    let expected = [
        vec!["apply Namespace/shop", "apply CustomResourceDefinition/widgets.example.com"],
        vec!["apply Secret/web", "apply Service/web"],
        vec!["apply Deployment/web"],
        vec!["apply Widget/web", "apply Ingress/web"],
    ];
    assert_eq!(operations(&request(&app(), &[], &[])), expected);
    let waits = waits(&request(&app(), &[], &[]));
    let foundations = ["Namespace/shop", "CustomResourceDefinition/widgets.example.com"];
    assert_eq!(waits, [foundations.map(str::to_owned).to_vec(), vec![], vec![], vec![]]);
}

#[test]
fn plan_does_not_depend_on_the_order_of_objects() {
    let mut backwards = app();
    backwards.reverse();
    let live: Vec<_> = app().into_iter().skip(2).collect();
    let one = plan(&request(&app(), &app(), &live)).unwrap();
    assert_eq!(one, plan(&request(&backwards, &backwards, &live)).unwrap());
}

#[test]
fn unchanged_objects_are_not_applied() {
    let operations = operations(&request(&app(), &app(), &app()));
    assert!(
        operations.iter().flatten().all(|operation| operation.starts_with("unchanged ")),
        "{operations:?}"
    );
}

#[test]
fn drifted_missing_and_terminating_objects_are_applied() {
    let mut live = app();
    live[1]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    live.remove(2);
    let mut wanted = app();
    wanted[3]["data"] = json!({"a": "token"});
    let operations = operations(&request(&wanted, &wanted, &live)).concat();
    for operation in
        ["apply Deployment/web", "apply Service/web", "apply Secret/web", "unchanged Ingress/web"]
    {
        assert!(operations.iter().any(|one| one == operation), "{operation} in {operations:?}");
    }
}

#[test]
fn equal_object_not_in_the_previous_release_is_applied() {
    let service = [object("v1", "Service", "web")];
    assert_eq!(operations(&request(&service, &[], &service)), [["apply Service/web"]]);
}

#[test]
fn removed_field_is_a_change() {
    let mut old = object("v1", "Service", "web");
    old["spec"] = json!({"clusterIP": "None"});
    let new = object("v1", "Service", "web");
    assert_eq!(
        operations(&request(&[new], std::slice::from_ref(&old), std::slice::from_ref(&old))),
        [["apply Service/web"]]
    );
}

#[test]
fn removed_objects_are_deleted_last_in_reverse_order() {
    let expected = [vec![
        "delete Ingress/web",
        "delete Widget/web",
        "delete Deployment/web",
        "delete Service/web",
        "delete Secret/web",
        "keep CustomResourceDefinition/widgets.example.com",
        "keep Namespace/shop",
    ]];
    assert_eq!(operations(&request(&[], &app(), &app())), expected);
}

#[test]
fn objects_with_keep_policy_or_another_owner_are_kept() {
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
        operations(&request(&[], &previous, &live)),
        [[
            "delete ConfigMap/ours",
            "keep ConfigMap/moved",
            "keep ConfigMap/kept",
            "keep ConfigMap/asked"
        ]]
        .map(|wave| {
            let mut wave = wave.to_vec();
            wave.sort_by_key(|operation| {
                std::cmp::Reverse(operation.rsplit('/').next().unwrap().to_owned())
            });
            wave
        })
    );
}

#[test]
fn object_in_another_api_version_is_the_same_object() {
    let old = object("policy/v1beta1", "PodDisruptionBudget", "web");
    let new = object("policy/v1", "PodDisruptionBudget", "web");
    assert_eq!(operations(&request(&[new], &[old], &[])), [["apply PodDisruptionBudget/web"]]);
}
