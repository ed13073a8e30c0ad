//! The row about permissions: whether the user is allowed all requests of a deploy of these objects.
//!
//! Each kind costs one access review for all verbs, which is enough for an administrator. If that is denied, each verb
//! costs one more.

use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::{Error, ErrorKind, Finding, ObjectRef, Result};

/// Code of the row.
pub const CODE: &str = "preflight.permissions";

/// Verbs used on the objects of a release: to apply, read, watch and roll back.
const OBJECT: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];
/// Verbs used on the records of revisions.
const RECORD: [&str; 5] = ["get", "list", "create", "update", "delete"];
/// Verbs used on the lease that excludes concurrent deploys of the same release.
const LEASE: [&str; 6] = ["get", "list", "watch", "create", "update", "delete"];
/// Verbs used on the app's namespace; the verb `create` is checked separately.
const NAMESPACE: [&str; 1] = ["get"];
/// Verbs used on a rendered namespace; a deploy does not delete namespaces unless asked to.
const RENDERED_NAMESPACE: [&str; 2] = ["get", "patch"];
/// Verbs used on objects that explain why another one is not ready. A deploy works without them, but explains less.
const RELATED: [&str; 2] = ["list", "watch"];

/// A kind of object in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// E.g. `apps/v1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub name: String,
    /// The host ignores it for cluster-scoped kinds. For a Namespace it is its own name: a role inside a namespace can
    /// grant access to it.
    pub namespace: Option<String>,
}

/// The verbs that a deploy uses on a kind.
#[derive(Debug, Default)]
struct Verbs {
    required: Vec<&'static str>,
    /// Only used to explain failures.
    optional: Vec<&'static str>,
}

/// `may` asks the cluster for the permission of a verb on a kind. `has_namespace` is called only if the user cannot
/// create the namespace.
pub fn check(
    namespace: &str,
    objects: &[Value],
    may: impl Fn(&str, &Kind) -> Result<bool>,
    has_namespace: impl FnOnce() -> Result<bool>,
) -> Finding {
    let (mut missing, mut missing_optional) = (Vec::new(), Vec::new());
    let created = Kind { api_version: "v1".into(), name: "Namespace".into(), namespace: None };
    match may("create", &created).and_then(|may| Ok(may || has_namespace()?)) {
        Ok(true) => {}
        Ok(false) => {
            missing.push(format!("create v1 Namespace, and namespace {namespace} does not exist"));
        }
        Err(error) => return super::unreadable(CODE, &error),
    }
    let kinds = verbs_by_kind(namespace, objects);
    for (kind, verbs) in &kinds {
        let describe = |verb: &str| {
            let namespace = kind.namespace.as_ref().map(|name| format!(" in {name}"));
            format!("{verb} {} {}{}", kind.api_version, kind.name, namespace.unwrap_or_default())
        };
        match denied(verbs, |verb| may(verb, kind)) {
            Ok((required, optional)) => {
                missing.extend(required.into_iter().map(describe));
                missing_optional.extend(optional.into_iter().map(describe));
            }
            // An unknown kind may be defined by the app's own CustomResourceDefinition.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return super::unreadable(CODE, &error),
        }
    }
    let help =
        "ask the cluster's administrator for a role with these permissions, or use another context";
    let summary = |verbs: &[String]| match verbs {
        [first] => first.clone(),
        [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
        [] => String::new(),
    };
    let evidence = |finding: Finding, verbs: &[String]| {
        verbs.iter().fold(finding, Finding::evidence).help(help)
    };
    if !missing.is_empty() {
        let message = format!("you are not allowed to {}", summary(&missing));
        return evidence(Finding::failed(CODE, message), &[missing, missing_optional].concat());
    }
    if !missing_optional.is_empty() {
        let message = format!(
            "you are not allowed to {}; a deploy works, but explains failures in less detail",
            summary(&missing_optional)
        );
        return evidence(Finding::warning(CODE, message), &missing_optional);
    }
    Finding::passed(CODE, format!("all permissions granted for {} kinds of objects", kinds.len()))
}

/// The verbs that are not allowed: required and optional ones.
fn denied(
    verbs: &Verbs,
    may: impl Fn(&str) -> Result<bool>,
) -> Result<(Vec<&'static str>, Vec<&'static str>), Error> {
    if may("*")? {
        return Ok((Vec::new(), Vec::new()));
    }
    let denied = |verbs: &[&'static str]| -> Result<Vec<&'static str>> {
        let mut denied = Vec::new();
        for verb in verbs {
            if !may(verb)? {
                denied.push(*verb);
            }
        }
        Ok(denied)
    };
    Ok((denied(&verbs.required)?, denied(&verbs.optional)?))
}

/// The verbs that a deploy of these objects uses, by kind.
fn verbs_by_kind(namespace: &str, objects: &[Value]) -> BTreeMap<Kind, Verbs> {
    let mut kinds: BTreeMap<Kind, Verbs> = BTreeMap::new();
    let mut add =
        |api_version: &str, kind: &str, namespace: Option<&str>, verbs: &[&'static str]| {
            let namespace = namespace.map(str::to_owned);
            let key = Kind { api_version: api_version.into(), name: kind.into(), namespace };
            let required = &mut kinds.entry(key).or_default().required;
            required.extend(verbs);
            required.sort_unstable();
            required.dedup();
        };
    add("v1", "Secret", Some(namespace), &RECORD);
    add("coordination.k8s.io/v1", "Lease", Some(namespace), &LEASE);
    add("v1", "Namespace", Some(namespace), &NAMESPACE);
    let mut related = Vec::new();
    for object in objects {
        let named = ObjectRef::of(object);
        if named.kind == "Namespace" {
            add("v1", "Namespace", Some(&named.name), &RENDERED_NAMESPACE);
            continue;
        }
        let namespace = Some(named.namespace.as_deref().unwrap_or(namespace));
        add(&named.api_version, &named.kind, namespace, &OBJECT);
        related.extend(related_kinds(&named.kind).iter().map(|(api_version, kind)| Kind {
            api_version: (*api_version).into(),
            name: (*kind).into(),
            namespace: namespace.map(str::to_owned),
        }));
    }
    for kind in related {
        let verbs = kinds.entry(kind).or_default();
        let new = RELATED.into_iter().filter(|verb| !verbs.required.contains(verb));
        verbs.optional = new.collect();
    }
    kinds
}

/// Kinds of the objects that controllers create for an object of this kind.
fn related_kinds(kind: &str) -> &'static [(&'static str, &'static str)] {
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
    fn administrator_needs_one_review_for_each_kind() {
        let asked = RefCell::new(Vec::new());
        let yes = |verb: &str, kind: &Kind| {
            asked.borrow_mut().push((verb.to_owned(), kind.clone()));
            Ok(true)
        };
        let finding = check("shop", &objects(), yes, || panic!("the user can create it"));
        assert_eq!(finding.outcome, Outcome::Passed, "{finding:?}");
        let mut asked = asked.into_inner();
        assert_eq!(asked.remove(0).0, "create");
        assert!(asked.iter().all(|(verb, _)| verb == "*"), "{asked:?}");
        // Secret, Lease and Namespace, then Deployment, ReplicaSet, Pod and Event in each of two namespaces.
        assert_eq!(asked.len(), 11);
    }

    #[test]
    fn each_missing_permission_is_named() {
        let may = |verb: &str, kind: &Kind| {
            Ok(verb != "*" && !(verb == "delete" && kind.name == "Secret"))
        };
        let finding = check("shop", &objects(), may, || panic!("the user can create it"));
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.message, "you are not allowed to delete v1 Secret in shop");
        assert_eq!(finding.evidence, ["delete v1 Secret in shop"]);
    }

    #[test]
    fn existing_namespace_needs_no_permission_to_create_it() {
        let may = |verb: &str, kind: &Kind| Ok(verb != "create" || kind.name != "Namespace");
        assert_eq!(check("shop", &objects(), may, || Ok(true)).outcome, Outcome::Passed);
        let finding = check("shop", &objects(), may, || Ok(false));
        assert_eq!(
            finding.message,
            "you are not allowed to create v1 Namespace, and namespace shop does not exist"
        );
    }

    #[test]
    fn missing_optional_permission_is_a_warning() {
        let may = |verb: &str, kind: &Kind| Ok(verb != "*" && kind.name != "Event");
        let finding = check("shop", &objects(), may, || Ok(true));
        assert_eq!(finding.outcome, Outcome::Warning);
        assert_eq!(finding.evidence.len(), 4, "{finding:?}");
    }

    #[test]
    fn unknown_kinds_are_ignored_and_errors_are_not_judged() {
        let unknown = |_: &str, kind: &Kind| match kind.name.as_str() {
            "Deployment" => Err(Error::not_found("x", "no such kind")),
            _ => Ok(true),
        };
        assert_eq!(check("shop", &objects(), unknown, || Ok(true)).outcome, Outcome::Passed);
        let silent = |_: &str, _: &Kind| Err(Error::unavailable("x", "no answer"));
        let finding = check("shop", &objects(), silent, || Ok(true));
        assert_eq!((finding.outcome, finding.message.as_str()), (Outcome::NotJudged, "no answer"));
    }
}
