//! The plan itself: which object is applied, kept or deleted, and when.

use crate::object::{Identity, Object, read};
use crate::sequence::{self, Needs, Sequence, State};
use crate::{compare, order};
use order::{Stage, is_built_in, is_never_pruned, place};
use std::collections::{BTreeMap, BTreeSet};
use todohost_plugin::apply::{Operation, Request, Wave};
use todohost_plugin::{ObjectRef, Result};

const POLICY: &str = "helm.sh/resource-policy";
const RELEASE: &str = "meta.helm.sh/release-name";

type Objects = BTreeMap<Identity, Object>;

/// What is to be done, and what to tell.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Waves in their order, empty ones left out.
    pub waves: Vec<Wave>,
    /// What an annotation asks for and nobody can give.
    pub warnings: Vec<String>,
}

/// The same request gives the same plan, in whichever order its objects come.
///
/// # Errors
/// When a document is no object, two are the same one, or objects wait for each other in a circle.
pub fn plan(request: &Request) -> Result<Plan> {
    let desired = read(&request.desired, &request.namespace)?;
    let previous = read(&request.previous, &request.namespace)?;
    let live = read(&request.live, &request.namespace)?;
    let sequence = sequence::read(&desired, &request.namespace)?;
    let mut waves = waves(&desired, &previous, &live, &sequence)?;
    waves.push(Wave {
        title: "what is no longer wanted".to_owned(),
        operations: prune(&request.release, &desired, &previous, &live),
        wait_for: Vec::new(),
    });
    waves.retain(|wave| !wave.operations.is_empty() || !wave.wait_for.is_empty());
    Ok(Plan { waves, warnings: sequence.warnings })
}

/// The place of an object that waits for no other one.
type Rank = (i64, Stage);

fn waves(
    desired: &Objects,
    previous: &Objects,
    live: &Objects,
    sequence: &Sequence,
) -> Result<Vec<Wave>> {
    let rank = |identity: &Identity| -> Rank {
        match place(identity).0 {
            Stage::Foundations => (i64::MIN, Stage::Foundations),
            stage => (sequence.weights.get(identity).copied().unwrap_or_default(), stage),
        }
    };
    let ranks: BTreeSet<Rank> = desired.keys().map(rank).collect();
    let ranks: Vec<Rank> = ranks.into_iter().collect();
    let index = |wanted: &Rank| ranks.iter().position(|rank| rank == wanted).unwrap_or_default();
    let natural: BTreeMap<_, _> =
        desired.keys().map(|identity| (identity.clone(), index(&rank(identity)))).collect();
    let mut needs = sequence.needs.clone();
    let mut outside = sequence.outside.clone();
    // Nothing else can be made before the foundations: they wait for nothing.
    let may_wait = |identity: &Identity| place(identity).0 != Stage::Foundations;
    needs.retain(|identity, _| may_wait(identity));
    outside.retain(|identity, _| may_wait(identity));
    let identities: Vec<_> = desired.keys().collect();
    sequence::outside_last(&mut needs, &outside, &|identity| rank(identity).0, &identities);
    sequence::keep_weights(&mut needs, desired.keys(), &|identity| rank(identity).0);
    let levels = sequence::levels(&natural, &needs)?;

    let operation = |object: &Object| {
        let identity = &object.identity;
        if is_unchanged(object, previous.get(identity), live.get(identity)) {
            Operation::Unchanged(object.reference())
        } else {
            Operation::Apply(object.document.to_string())
        }
    };
    let mut waves: BTreeMap<usize, Vec<&Object>> = BTreeMap::new();
    for (identity, object) in desired {
        waves.entry(levels[identity]).or_default().push(object);
    }
    let mut ends = ends(desired, &ranks, &rank, &levels, &needs);
    let foundations_stay = |identity: &Identity, object: &Object| {
        place(identity).0 == Stage::Foundations
            && matches!(operation(object), Operation::Unchanged(_))
    };
    // What is not touched and everything after it relies on was ready when it was.
    ends.retain(|identity, _| !foundations_stay(identity, &desired[identity]));
    let last_of = |end: usize| waves.range(..=end).next_back().map(|(level, _)| *level);
    let mut waits: BTreeMap<usize, Vec<ObjectRef>> = BTreeMap::new();
    for (identity, end) in &ends {
        if let Some(level) = last_of(*end) {
            waits.entry(level).or_default().push(desired[identity].reference());
        }
    }
    // What the outside has to give is waited for before the first object that needs it, where that one is touched.
    let mut first = Vec::new();
    for (identity, wanted) in outside {
        if let Operation::Apply(_) = operation(&desired[&identity]) {
            let before = waves.range(..levels[&identity]).next_back();
            before.map_or(&mut first, |(level, _)| waits.entry(*level).or_default()).extend(wanted);
        }
    }
    let first = (!first.is_empty()).then(|| Wave {
        title: "what others provide".to_owned(),
        operations: Vec::new(),
        wait_for: first,
    });
    let titled = waves.iter().map(|(level, objects)| {
        let mut objects = objects.clone();
        objects.sort_by_key(|object| (place(&object.identity), &object.identity));
        let is_natural = objects.iter().all(|object| natural[&object.identity] == *level);
        let (weight, stage) = ranks.get(*level).copied().unwrap_or((0, Stage::Rest));
        let title = match weight {
            _ if !is_natural => "what waited for others".to_owned(),
            0 | i64::MIN => stage.title().to_owned(),
            weight => format!("{}, weight {weight}", stage.title()),
        };
        let operations = objects.into_iter().map(operation).collect();
        Wave { title, operations, wait_for: waits.remove(level).unwrap_or_default() }
    });
    Ok(first.into_iter().chain(titled).collect())
}

/// The level at whose end an object has to be ready, for those that have to.
fn ends(
    desired: &Objects,
    ranks: &[Rank],
    rank: &dyn Fn(&Identity) -> Rank,
    levels: &BTreeMap<Identity, usize>,
    needs: &Needs,
) -> BTreeMap<Identity, usize> {
    let mut ends: BTreeMap<Identity, usize> = BTreeMap::new();
    let mut end_by = |identity: &Identity, level: usize| {
        let end = ends.entry(identity.clone()).or_insert(level);
        *end = level.min(*end);
    };
    for identity in desired.keys() {
        let weight = rank(identity).0;
        // The next weight begins when all of this one is ready.
        let next = ranks.iter().position(|(other, _)| *other > weight);
        if let Some(next) = next.filter(|next| *next > levels[identity]) {
            end_by(identity, next - 1);
        }
    }
    for (identity, needed) in needs {
        for (other, state) in needed {
            if *state == State::Ready {
                end_by(other, levels[identity].saturating_sub(1));
            }
        }
    }
    ends
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
            Operation::Unchanged(object) => format!("unchanged {}/{}", object.kind, object.name),
        };
        let waves = plan(request).unwrap().waves;
        waves.iter().map(|wave| wave.operations.iter().map(tell).collect()).collect()
    }

    /// What each wave waits for.
    fn waited(request: &Request) -> Vec<Vec<String>> {
        let tell = |object: &ObjectRef| format!("{}/{}", object.kind, object.name);
        let waves = plan(request).unwrap().waves;
        waves.iter().map(|wave| wave.wait_for.iter().map(tell).collect()).collect()
    }

    fn annotated(mut object: Value, annotations: &[(&str, &str)]) -> Value {
        for (key, value) in annotations {
            object["metadata"]["annotations"][*key] = json!(value);
        }
        object
    }

    #[test]
    fn weights_make_groups_that_are_ready_one_after_the_other() {
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
            told(&request),
            [
                ["apply Namespace/shop"],
                ["apply ConfigMap/early"],
                ["apply ConfigMap/web"],
                ["apply Deployment/web"],
                ["apply Deployment/late"]
            ]
        );
        assert_eq!(
            waited(&request),
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
        assert_eq!(error.message, "Secret/a: the annotation werf.io/weight cannot be understood");
    }

    #[test]
    fn a_weight_waits_for_what_a_dependency_pushed_back_before_it() {
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
            told(&request),
            [["apply Deployment/web"], ["apply ConfigMap/pushed"], ["apply ConfigMap/late"]]
        );
        assert_eq!(waited(&request), [vec!["Deployment/web"], vec!["ConfigMap/pushed"], vec![]]);
        // A dependency on what is heavier is the stronger word.
        let against = annotated(
            object("v1", "ConfigMap", "pushed"),
            &[("werf.io/deploy-dependency-late", "state=present,kind=ConfigMap,name=late")],
        );
        let request = self::request(&[against, objects[2].clone()], &[], &[]);
        assert_eq!(told(&request), [["apply ConfigMap/late"], ["apply ConfigMap/pushed"]]);
    }

    #[test]
    fn dependencies_are_applied_before_and_waited_for_only_where_readiness_is_asked() {
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
            told(&request),
            [
                vec!["apply Secret/keys"],
                vec!["apply StatefulSet/postgres"],
                vec!["apply Deployment/api", "apply Deployment/old"],
                vec!["apply Deployment/web"]
            ]
        );
        assert_eq!(waited(&request), [vec![], vec!["StatefulSet/postgres"], vec![], vec![]]);
    }

    #[test]
    fn groups_wait_for_groups() {
        let in_group = |name: &str, annotations: &[(&str, &str)]| {
            annotated(object("apps/v1", "Deployment", name), annotations)
        };
        let after = "helm.sh/depends-on/resource-groups";
        let objects = [
            in_group(
                "app",
                &[("helm.sh/resource-group", "app"), (after, "[\"database\", \"queue\"]")],
            ),
            in_group("queue", &[("helm.sh/resource-group", "queue"), (after, "database, other")]),
            in_group("database", &[("helm.sh/resource-group", "database")]),
            object("v1", "ConfigMap", "plain"),
        ];
        let request = request(&objects, &[], &[]);
        let plan = plan(&request).unwrap();
        let text = format!("{:?}", plan.waves);
        assert!(!text.contains(after), "no API server takes a key with two slashes: {text}");
        assert_eq!(plan.warnings, ["Deployment/queue waits for the group other, which is empty"]);
        let deployments: Vec<_> = told(&request).into_iter().flatten().skip(1).collect();
        let expected = ["database", "queue", "app"].map(|name| format!("apply Deployment/{name}"));
        assert_eq!(deployments, expected);
        assert_eq!(
            waited(&request)[1..],
            [vec!["Deployment/database"], vec!["Deployment/queue"], vec![]]
        );
        // The key is no change either.
        let live = [object("apps/v1", "Deployment", "app")];
        let kept = self::request(
            &objects[..1],
            &objects[..1],
            &[annotated(live[0].clone(), &[("helm.sh/resource-group", "app")])],
        );
        assert_eq!(told(&kept), [["unchanged Deployment/app"]]);
    }

    #[test]
    fn a_circle_is_named() {
        let needs = |name: &str, other: &str| {
            let value = format!("state=present,kind=ConfigMap,name={other}");
            annotated(object("v1", "ConfigMap", name), &[("werf.io/deploy-dependency-x", &value)])
        };
        let objects = [needs("a", "b"), needs("b", "c"), needs("c", "b")];
        let error = plan(&request(&objects, &[], &[])).unwrap_err();
        assert_eq!(
            error.message,
            "objects wait for each other in a circle: ConfigMap/b -> ConfigMap/c -> ConfigMap/b"
        );
        let alone = annotated(
            object("v1", "ConfigMap", "a"),
            &[("helm.sh/resource-group", "g"), ("helm.sh/depends-on/resource-groups", "g")],
        );
        let error = plan(&request(&[alone], &[], &[])).unwrap_err();
        assert_eq!(error.message, "ConfigMap/a waits for itself");
    }

    #[test]
    fn what_cannot_be_waited_for_is_told() {
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
            let wrong = annotated(
                object("v1", "ConfigMap", "a"),
                &[("werf.io/deploy-dependency-x", value)],
            );
            assert!(self::plan(&request(&[wrong], &[], &[])).is_err(), "{value}");
        }
    }

    #[test]
    fn what_others_make_is_waited_for_after_all_that_may_make_them_do_it() {
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
            told(&request),
            [
                vec!["apply ConfigMap/plain"],
                vec!["apply Vault/keys"],
                vec!["apply Deployment/far", "apply Deployment/web"],
                vec!["apply Deployment/after"],
                vec!["apply ConfigMap/late"]
            ]
        );
        // Beside what the next weight waits for.
        let outside: Vec<_> = plan(&request).unwrap().waves[1]
            .wait_for
            .iter()
            .filter_map(|one| {
                let namespace = one.namespace.as_deref()?;
                Some(format!("{} {} {namespace} {}", one.api_version, one.kind, one.name))
            })
            .collect();
        assert_eq!(outside, ["example.com/v1 queues queues q", " secret shop keys"]);
        // There is no wave before the only object; and what stays as it is waits for nothing.
        let alone = self::request(&objects[..1], &[], &[]);
        assert_eq!(waited(&alone), [vec!["secret/keys"], vec![]]);
        let kept = self::request(&objects[..1], &objects[..1], &objects[..1]);
        assert_eq!(waited(&kept), [Vec::<String>::new()]);
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
    fn a_first_release_is_applied_in_waves() {
        let expected = [
            vec!["apply Namespace/shop", "apply CustomResourceDefinition/widgets.example.com"],
            vec!["apply Secret/web", "apply Service/web"],
            vec!["apply Deployment/web"],
            vec!["apply Widget/web", "apply Ingress/web"],
        ];
        assert_eq!(told(&request(&app(), &[], &[])), expected);
        let waits = waited(&request(&app(), &[], &[]));
        let foundations = ["Namespace/shop", "CustomResourceDefinition/widgets.example.com"];
        assert_eq!(waits, [foundations.map(str::to_owned).to_vec(), vec![], vec![], vec![]]);
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
        assert!(
            told.iter().flatten().all(|operation| operation.starts_with("unchanged ")),
            "{told:?}"
        );
    }

    #[test]
    fn drift_a_missing_object_and_a_dying_one_are_applied() {
        let mut live = app();
        live[1]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        live.remove(2);
        let mut wanted = app();
        wanted[3]["data"] = json!({"a": "token"});
        let told = told(&request(&wanted, &wanted, &live)).concat();
        for operation in [
            "apply Deployment/web",
            "apply Service/web",
            "apply Secret/web",
            "unchanged Ingress/web",
        ] {
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
