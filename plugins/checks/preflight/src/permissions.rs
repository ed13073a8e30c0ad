//! Permissions: whether the user may do what a deploy of these objects does.
//!
//! A kind costs one access review where the user may do everything with it, as on a laptop's own cluster; only where
//! that is not so, each verb costs one more.

use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::{Error, ErrorKind, Finding, ObjectRef, Result};

/// Of its row.
pub const CODE: &str = "preflight.permissions";

/// What is done with what a release is made of: applied, read back, waited for, taken back.
const OBJECT: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
/// With the records of revisions.
const RECORD: [&str; 5] = ["get", "list", "create", "update", "delete"];
/// With the lease that keeps deploys of the same release apart.
const LEASE: [&str; 6] = ["get", "list", "watch", "create", "update", "delete"];
/// With the app's namespace; that it is made is asked by itself.
const NAMESPACE: [&str; 1] = ["get"];
/// With a namespace that is rendered: none is deleted unasked.
const RENDERED_NAMESPACE: [&str; 2] = ["get", "patch"];
/// With what belongs to an object and explains what it waits for; without it a deploy goes on, and says less.
const FAMILY: [&str; 2] = ["list", "watch"];

/// A kind of object, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// E.g. `apps/v1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub name: String,
    /// The host leaves it out for kinds that have none; the rights to a namespace may come from inside of it.
    pub namespace: Option<String>,
}

/// Which verbs a deploy cannot do without, and which it can.
#[derive(Debug, Default)]
struct Uses {
    needed: Vec<&'static str>,
    wanted: Vec<&'static str>,
}

/// `may` asks the cluster: verb and kind. `has_namespace` is asked only where the user may not make it.
pub fn judge(
    namespace: &str,
    objects: &[Value],
    may: impl Fn(&str, &Kind) -> Result<bool>,
    has_namespace: impl FnOnce() -> Result<bool>,
) -> Finding {
    let (mut missing, mut lacking) = (Vec::new(), Vec::new());
    let made = Kind { api_version: "v1".into(), name: "Namespace".into(), namespace: None };
    match may("create", &made).and_then(|may| Ok(may || has_namespace()?)) {
        Ok(true) => {}
        Ok(false) => missing.push(format!("create v1 Namespace, and there is no {namespace}")),
        Err(error) => return super::unreadable(CODE, &error),
    }
    let uses = uses(namespace, objects);
    for (kind, uses) in &uses {
        let told = |verb: &str| {
            let place = kind.namespace.as_ref().map(|name| format!(" in {name}"));
            format!("{verb} {} {}{}", kind.api_version, kind.name, place.unwrap_or_default())
        };
        let asked = refused(uses, |verb| may(verb, kind));
        match asked {
            Ok((needed, wanted)) => {
                missing.extend(needed.into_iter().map(told));
                lacking.extend(wanted.into_iter().map(told));
            }
            // A definition that comes with the app makes it known.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return super::unreadable(CODE, &error),
        }
    }
    let help = "ask whoever runs the cluster for a role that allows it, or use another context";
    let of = |verbs: &[String]| match verbs {
        [first] => first.clone(),
        [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
        [] => String::new(),
    };
    let evidence = |finding: Finding, verbs: &[String]| {
        verbs.iter().fold(finding, Finding::evidence).help(help)
    };
    if !missing.is_empty() {
        let message = format!("you may not {}", of(&missing));
        return evidence(Finding::failed(CODE, message), &[missing, lacking].concat());
    }
    if !lacking.is_empty() {
        let message = format!("you may not {}: a deploy will say less", of(&lacking));
        return evidence(Finding::warning(CODE, message), &lacking);
    }
    Finding::passed(CODE, format!("all that a deploy does with {} kinds is allowed", uses.len()))
}

/// The verbs that are not allowed: needed ones, and others.
fn refused(
    uses: &Uses,
    may: impl Fn(&str) -> Result<bool>,
) -> Result<(Vec<&'static str>, Vec<&'static str>), Error> {
    if may("*")? {
        return Ok((Vec::new(), Vec::new()));
    }
    let refused = |verbs: &[&'static str]| -> Result<Vec<&'static str>> {
        let mut refused = Vec::new();
        for verb in verbs {
            if !may(verb)? {
                refused.push(*verb);
            }
        }
        Ok(refused)
    };
    Ok((refused(&uses.needed)?, refused(&uses.wanted)?))
}

/// What a deploy of these objects does.
fn uses(namespace: &str, objects: &[Value]) -> BTreeMap<Kind, Uses> {
    let mut uses: BTreeMap<Kind, Uses> = BTreeMap::new();
    let mut add =
        |api_version: &str, kind: &str, namespace: Option<&str>, verbs: &[&'static str]| {
            let namespace = namespace.map(str::to_owned);
            let key = Kind { api_version: api_version.into(), name: kind.into(), namespace };
            let needed = &mut uses.entry(key).or_default().needed;
            needed.extend(verbs);
            needed.sort_unstable();
            needed.dedup();
        };
    add("v1", "Secret", Some(namespace), &RECORD);
    add("coordination.k8s.io/v1", "Lease", Some(namespace), &LEASE);
    add("v1", "Namespace", Some(namespace), &NAMESPACE);
    let mut families = Vec::new();
    for object in objects {
        let named = ObjectRef::of(object);
        if named.kind == "Namespace" {
            add("v1", "Namespace", Some(&named.name), &RENDERED_NAMESPACE);
            continue;
        }
        let place = Some(named.namespace.as_deref().unwrap_or(namespace));
        add(&named.api_version, &named.kind, place, &OBJECT);
        families.extend(family(&named.kind).iter().map(|(api_version, kind)| Kind {
            api_version: (*api_version).into(),
            name: (*kind).into(),
            namespace: place.map(str::to_owned),
        }));
    }
    for kind in families {
        let uses = uses.entry(kind).or_default();
        let new = FAMILY.into_iter().filter(|verb| !uses.needed.contains(verb));
        uses.wanted = new.collect();
    }
    uses
}

/// Kinds of what belongs to an object of a kind.
fn family(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "Deployment" => &[("apps/v1", "ReplicaSet"), ("v1", "Pod"), ("v1", "Event")],
        "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => &[("v1", "Pod"), ("v1", "Event")],
        "Service" => &[("discovery.k8s.io/v1", "EndpointSlice")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::RefCell;
    use todohost_plugin::Outcome;

    fn objects() -> Vec<Value> {
        vec![
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" } }),
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "b" } }),
            json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "c", "namespace": "other" } }),
        ]
    }

    #[test]
    fn who_may_do_everything_is_asked_once_for_each_kind() {
        let asked = RefCell::new(Vec::new());
        let yes = |verb: &str, kind: &Kind| {
            asked.borrow_mut().push((verb.to_owned(), kind.clone()));
            Ok(true)
        };
        let finding = judge("shop", &objects(), yes, || panic!("it may be made"));
        assert_eq!(finding.outcome, Outcome::Passed, "{finding:?}");
        let mut asked = asked.into_inner();
        assert_eq!(asked.remove(0).0, "create");
        assert!(asked.iter().all(|(verb, _)| verb == "*"), "{asked:?}");
        // Secret, Lease, Namespace; and Deployment, ReplicaSet, Pod and Event in each of two namespaces.
        assert_eq!(asked.len(), 11);
    }

    #[test]
    fn each_missing_right_is_named() {
        let may = |verb: &str, kind: &Kind| {
            Ok(verb != "*" && !(verb == "delete" && kind.name == "Secret"))
        };
        let finding = judge("shop", &objects(), may, || panic!("it may be made"));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.message, "you may not delete v1 Secret in shop");
        assert_eq!(finding.evidence, ["delete v1 Secret in shop"]);
    }

    #[test]
    fn a_namespace_need_not_be_made_where_it_is() {
        let may = |verb: &str, kind: &Kind| Ok(verb != "create" || kind.name != "Namespace");
        assert_eq!(judge("shop", &objects(), may, || Ok(true)).outcome, Outcome::Passed);
        let finding = judge("shop", &objects(), may, || Ok(false));
        assert_eq!(finding.message, "you may not create v1 Namespace, and there is no shop");
    }

    #[test]
    fn what_only_explains_is_no_failure() {
        let may = |verb: &str, kind: &Kind| Ok(verb != "*" && kind.name != "Event");
        let finding = judge("shop", &objects(), may, || Ok(true));
        assert_eq!(finding.outcome, Outcome::Warning);
        assert_eq!(finding.evidence.len(), 4, "{finding:?}");
    }

    #[test]
    fn a_kind_that_is_not_known_yet_is_passed_over_and_silence_is_not_judged() {
        let unknown = |_: &str, kind: &Kind| match kind.name.as_str() {
            "Deployment" => Err(Error::not_found("x", "no such kind")),
            _ => Ok(true),
        };
        assert_eq!(judge("shop", &objects(), unknown, || Ok(true)).outcome, Outcome::Passed);
        let silent = |_: &str, _: &Kind| Err(Error::unavailable("x", "no answer"));
        let finding = judge("shop", &objects(), silent, || Ok(true));
        assert_eq!((finding.outcome, finding.message.as_str()), (Outcome::NotJudged, "no answer"));
    }
}
