//! Which kinds the cluster has, asked for as they are needed and remembered.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::try_join_all;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::transport::{Call, parse, segment};
use super::{Client, ClusterError};
use todohost_model::object::{Object, ObjectRef};

/// Accepts aggregated discovery (since 1.30), or else the list of groups.
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// E.g. `apps/v1`.
    pub api_version: String,
    /// E.g. `Deployment`.
    pub kind: String,
    /// E.g. `deployments`.
    pub plural: String,
    /// Other names, e.g. `deployment` and `deploy`; empty for kinds that were not discovered alone.
    pub aliases: Vec<String>,
    /// Its objects live in namespaces.
    pub namespaced: bool,
    /// Its objects can be listed and deleted; reviews and figures cannot.
    pub kept: bool,
}

impl Kind {
    /// Path of the kind's objects, in a namespace or in all of them.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let root = root(&self.api_version);
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{}/{}", segment(namespace), self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        let names = [&self.kind, &self.plural].into_iter().chain(&self.aliases);
        self.kept && names.into_iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

type Kinds = Arc<Vec<Kind>>;

/// The discovered kinds, by `apiVersion`.
#[derive(Default)]
pub(super) struct Discovery {
    versions: Mutex<HashMap<String, Arc<OnceCell<Kinds>>>>,
    all: OnceCell<Vec<(String, Kinds)>>,
}

impl Discovery {
    fn cell(&self, api_version: &str) -> Arc<OnceCell<Kinds>> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.entry(api_version.to_owned()).or_default().clone()
    }

    fn forget(&self, api_version: &str) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).remove(api_version);
    }
}

impl Client {
    /// Everything served, as charts ask for it: `apps/v1` and `apps/v1/Deployment`, sorted.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn api_versions(&self) -> Result<Vec<String>, ClusterError> {
        let mut names = BTreeSet::new();
        for (api_version, served) in self.everything().await? {
            names.extend(served.iter().map(|kind| format!("{api_version}/{}", kind.kind)));
            names.insert(api_version.clone());
        }
        Ok(names.into_iter().collect())
    }

    /// Every kind whose objects live in namespaces and are kept there.
    pub async fn kinds_in_namespaces(&self) -> Result<Vec<Kind>, ClusterError> {
        let kinds = self.everything().await?.iter().flat_map(|(_, served)| served.iter());
        Ok(kinds.filter(|kind| kind.namespaced && kind.kept).cloned().collect())
    }

    async fn everything(&self) -> Result<&[(String, Kinds)], ClusterError> {
        let all = self.shared.discovery.all.get_or_try_init(|| self.discover_all()).await?;
        Ok(all)
    }

    async fn discover_all(&self) -> Result<Vec<(String, Kinds)>, ClusterError> {
        let lists = try_join_all(["/api", "/apis"].map(|path| async move {
            let call = Call {
                accept: AGGREGATED,
                ..Call::get(path.to_owned(), "list its API versions".to_owned())
            };
            self.call_for::<Value>(&call).await
        }))
        .await?;
        let mut kinds = Vec::new();
        for list in &lists {
            if list.get("kind").and_then(Value::as_str) == Some("APIGroupDiscoveryList") {
                for (api_version, served) in aggregated(list) {
                    let served: Kinds = Arc::new(served);
                    // A concurrent request for this version alone got the same answer.
                    let _ = self.shared.discovery.cell(&api_version).set(served.clone());
                    kinds.push((api_version, served));
                }
            } else {
                let versions =
                    try_join_all(group_versions(list).into_iter().map(|version| async move {
                        Ok::<_, ClusterError>((version.clone(), self.kinds_of(&version).await?))
                    }));
                kinds.extend(versions.await?);
            }
        }
        Ok(kinds)
    }

    async fn kinds_of(&self, api_version: &str) -> Result<Kinds, ClusterError> {
        let known = self.shared.discovery.cell(api_version);
        let kinds = known
            .get_or_try_init(|| async {
                let call = Call::get(root(api_version), format!("list the kinds of {api_version}"));
                let answer = self.call(&call).await?;
                match answer.status {
                    200 => Ok(Arc::new(resources(api_version, &parse(&call, &answer)?))),
                    404 => Ok(Arc::default()),
                    _ => Err(self.refusal(&call, &answer)),
                }
            })
            .await?;
        Ok(kinds.clone())
    }

    /// One kind.
    ///
    /// # Errors
    /// `UnknownKind` if it is not served.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, ClusterError> {
        if let Some(found) = built_in(api_version, kind) {
            return Ok(found);
        }
        let kinds = self.kinds_of(api_version).await?;
        if let Some(found) = kinds.iter().find(|candidate| candidate.kind == kind) {
            return Ok(found.clone());
        }
        // A definition may be applied later, so a missing kind is requested again the next time.
        self.shared.discovery.forget(api_version);
        Err(ClusterError::UnknownKind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        })
    }

    /// Resolves an object whose kind is given by any of its names, as people write them: `secret`,
    /// `deployments`, `deploy`. Without an API version, the first that has such a kind is meant.
    ///
    /// # Errors
    /// `UnknownKind` if no kind of that name is served.
    pub async fn resolve(&self, named: &ObjectRef) -> Result<ObjectRef, ClusterError> {
        let ObjectRef { api_version, kind: name, .. } = named;
        let kinds = if api_version.is_empty() {
            self.everything().await?.iter().map(|(_, served)| served.clone()).collect()
        } else {
            vec![self.kinds_of(api_version).await?]
        };
        let mut kinds = kinds.iter().flat_map(|served| served.iter());
        let Some(found) = kinds.find(|kind| kind.is_called(name)) else {
            return Err(ClusterError::UnknownKind {
                api_version: api_version.clone(),
                kind: name.clone(),
            });
        };
        Ok(ObjectRef {
            api_version: found.api_version.clone(),
            kind: found.kind.clone(),
            namespace: named.namespace.clone().filter(|_| found.namespaced),
            name: named.name.clone(),
        })
    }

    /// Gives each object of a namespaced kind that names no namespace `namespace`, and takes it from the others.
    /// Kinds that a definition among the objects brings are known, too.
    ///
    /// # Errors
    /// `UnknownKind`, `Nameless`.
    pub async fn place(
        &self,
        objects: Vec<Object>,
        namespace: &str,
    ) -> Result<Vec<Object>, ClusterError> {
        let brought: HashMap<(String, String), bool> =
            objects.iter().filter_map(definition).flatten().collect();
        let placed = objects.into_iter().map(|mut object| async {
            let named = reference(&object)?;
            let key = (named.api_version.clone(), named.kind.clone());
            let namespaced = match brought.get(&key) {
                Some(namespaced) => *namespaced,
                None => self.kind(&named.api_version, &named.kind).await?.namespaced,
            };
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                let has = metadata
                    .get("namespace")
                    .and_then(Value::as_str)
                    .is_some_and(|name| !name.is_empty());
                if !namespaced {
                    metadata.shift_remove("namespace");
                } else if !has {
                    metadata.insert("namespace".to_owned(), namespace.into());
                }
            }
            Ok(object)
        });
        try_join_all(placed).await
    }
}

/// Kinds that every API server has and that the host itself works with: nothing has to be asked to write a revision.
fn built_in(api_version: &str, kind: &str) -> Option<Kind> {
    const KINDS: [(&str, &str, &str, bool); 3] = [
        ("v1", "Namespace", "namespaces", false),
        ("v1", "Secret", "secrets", true),
        ("coordination.k8s.io/v1", "Lease", "leases", true),
    ];
    KINDS.iter().find(|(version, name, ..)| (*version, *name) == (api_version, kind)).map(
        |&(version, name, plural, namespaced)| Kind {
            api_version: version.to_owned(),
            kind: name.to_owned(),
            plural: plural.to_owned(),
            aliases: Vec::new(),
            namespaced,
            kept: true,
        },
    )
}

/// The reference of a document, or the missing field.
pub fn reference(object: &Object) -> Result<ObjectRef, ClusterError> {
    ObjectRef::of(object).filter(|named| !named.name.is_empty()).ok_or_else(|| {
        let lacks = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).is_none();
        let field = match () {
            () if lacks("/apiVersion") => "apiVersion",
            () if lacks("/kind") => "kind",
            () => "metadata.name",
        };
        ClusterError::Nameless { field }
    })
}

fn root(api_version: &str) -> String {
    match api_version.split_once('/') {
        Some((group, version)) => format!("/apis/{}/{}", segment(group), segment(version)),
        None => format!("/api/{}", segment(api_version)),
    }
}

fn is_kept(resource: &Value) -> bool {
    let verbs = resource.get("verbs").and_then(Value::as_array);
    let can = |verb: &str| verbs.is_some_and(|verbs| verbs.iter().any(|one| one == verb));
    can("list") && can("delete")
}

/// The name of one, under the key that it has there, and the short ones.
fn aliases(resource: &Value, singular: &str) -> Vec<String> {
    let short = resource.get("shortNames").and_then(Value::as_array);
    let names = resource.get(singular).into_iter().chain(short.into_iter().flatten());
    names.filter_map(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Kinds of an `APIResourceList`; subresources are left out.
fn resources(api_version: &str, list: &Value) -> Vec<Kind> {
    let resources = list.get("resources").and_then(Value::as_array);
    resources
        .into_iter()
        .flatten()
        .filter_map(|resource| {
            let plural = resource.get("name")?.as_str()?;
            (!plural.contains('/')).then_some(())?;
            Some(Kind {
                api_version: api_version.to_owned(),
                kind: resource.get("kind")?.as_str()?.to_owned(),
                plural: plural.to_owned(),
                aliases: aliases(resource, "singularName"),
                namespaced: resource.get("namespaced")?.as_bool()?,
                kept: is_kept(resource),
            })
        })
        .collect()
}

/// Kinds of an `APIGroupDiscoveryList`, by `apiVersion`.
fn aggregated(list: &Value) -> Vec<(String, Vec<Kind>)> {
    let array = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut all = Vec::new();
    for group in array(list, "items") {
        let name =
            group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        for version in array(&group, "versions") {
            let Some(number) = version.get("version").and_then(Value::as_str) else { continue };
            let api_version =
                if name.is_empty() { number.to_owned() } else { format!("{name}/{number}") };
            let kinds = array(&version, "resources")
                .iter()
                .filter_map(|resource| {
                    Some(Kind {
                        api_version: api_version.clone(),
                        kind: resource.pointer("/responseKind/kind")?.as_str()?.to_owned(),
                        plural: resource.get("resource")?.as_str()?.to_owned(),
                        aliases: aliases(resource, "singularResource"),
                        namespaced: resource.get("scope")?.as_str()? == "Namespaced",
                        kept: is_kept(resource),
                    })
                    .filter(|kind| !kind.kind.is_empty())
                })
                .collect();
            all.push((api_version, kinds));
        }
    }
    all
}

/// The lists of servers without aggregated discovery: `APIVersions` and `APIGroupList`.
fn group_versions(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let core =
        list.get("versions").and_then(Value::as_array).into_iter().flatten().filter_map(text);
    let groups = list.get("groups").and_then(Value::as_array).into_iter().flatten();
    let versions = groups.flat_map(|group| {
        group.get("versions").and_then(Value::as_array).into_iter().flatten().filter_map(
            |version| version.get("groupVersion").and_then(Value::as_str).map(str::to_owned),
        )
    });
    core.chain(versions).collect()
}

/// The kinds that a `CustomResourceDefinition` brings, and whether their objects live in namespaces.
fn definition(object: &Object) -> Option<Vec<((String, String), bool)>> {
    (object.get("kind")?.as_str()? == "CustomResourceDefinition").then_some(())?;
    let spec = object.get("spec")?;
    let group = spec.get("group")?.as_str()?;
    let kind = spec.pointer("/names/kind")?.as_str()?;
    let namespaced = spec.get("scope")?.as_str()? == "Namespaced";
    let versions = spec
        .get("versions")?
        .as_array()?
        .iter()
        .filter_map(|version| version.get("name")?.as_str());
    Some(
        versions
            .map(|version| ((format!("{group}/{version}"), kind.to_owned()), namespaced))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_discovery_give_the_same_kinds() {
        let deployment = Kind {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
            aliases: vec!["deployment".into(), "deploy".into()],
            namespaced: true,
            kept: true,
        };
        let plain = json!({ "kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [
            { "name": "deployments", "singularName": "deployment", "shortNames": ["deploy"], "namespaced": true, "kind": "Deployment", "verbs": ["delete", "get", "list"] },
            { "name": "deployments/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "kind": "Scale", "verbs": ["get"] }
        ] });
        assert_eq!(resources("apps/v1", &plain), std::slice::from_ref(&deployment));
        let all = json!({ "kind": "APIGroupDiscoveryList", "items": [{ "metadata": { "name": "apps" }, "versions": [
            { "version": "v1", "resources": [{ "resource": "deployments", "singularResource": "deployment", "shortNames": ["deploy"], "scope": "Namespaced",
              "responseKind": { "group": "apps", "version": "v1", "kind": "Deployment" }, "verbs": ["delete", "get", "list"] }] }
        ] }] });
        for name in ["Deployment", "deployment", "deployments", "deploy"] {
            assert!(deployment.is_called(name), "{name}");
        }
        assert!(!deployment.is_called("dep"));
        assert_eq!(aggregated(&all), [("apps/v1".to_owned(), vec![deployment])]);
    }

    #[test]
    fn paths_are_those_of_the_api() {
        let kind = |api_version: &str, plural: &str, namespaced| Kind {
            api_version: api_version.into(),
            kind: String::new(),
            plural: plural.into(),
            aliases: Vec::new(),
            namespaced,
            kept: true,
        };
        assert_eq!(kind("v1", "pods", true).path(Some("a")), "/api/v1/namespaces/a/pods");
        assert_eq!(kind("v1", "pods", true).path(None), "/api/v1/pods");
        assert_eq!(kind("v1", "nodes", false).path(Some("a")), "/api/v1/nodes");
        assert_eq!(
            kind("apps/v1", "deployments", true).path(Some("a/../b")),
            "/apis/apps/v1/namespaces/a%2F..%2Fb/deployments"
        );
    }

    #[test]
    fn an_object_without_a_name_names_the_missing_field() {
        let lacks = |object: Value| reference(&object).unwrap_err().to_string();
        assert_eq!(lacks(json!({ "kind": "Pod" })), "an object lacks apiVersion");
        assert_eq!(lacks(json!({ "apiVersion": "v1" })), "an object lacks kind");
        assert_eq!(
            lacks(
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "x" } })
            ),
            "an object lacks metadata.name"
        );
    }

    #[test]
    fn definitions_have_a_scope_per_version() {
        let object = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": {
            "group": "example.org", "scope": "Cluster", "names": { "kind": "Widget" }, "versions": [{ "name": "v1" }, { "name": "v2" }] } });
        let found = definition(&object).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], (("example.org/v2".to_owned(), "Widget".to_owned()), false));
    }
}
