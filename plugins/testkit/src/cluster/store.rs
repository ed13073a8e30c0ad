//! Objects of a scripted cluster, their versions, and the history for watches.
//!
//! Owns identity and versions (`uid`, `resourceVersion`, `generation`), creation, and deletion with dependents. The
//! ownership of fields is in `merge`, the rollout of Deployments in `controller`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::kinds::{self, Kind};
use super::merge;

/// Identity of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Resource, e.g. `deployments.apps`.
    pub resource: String,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// An entry of the history.
#[derive(Clone, Debug)]
pub struct Change {
    /// Resource version of the cluster after the change.
    pub version: u64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub event: &'static str,
    /// Key of the changed object.
    pub key: Key,
    /// Object after the change.
    pub object: Value,
}

/// A refusal of the API server.
#[derive(Clone, Debug)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// Reason, e.g. `NotFound`.
    pub reason: String,
    /// Message in one line.
    pub message: String,
    /// Causes, e.g. field conflicts.
    pub causes: Vec<Value>,
}

impl Failure {
    /// A refusal without causes.
    pub fn new(status: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into(), causes: Vec::new() }
    }

    /// The `Status` document of the response.
    pub fn document(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.status,
            "details": { "causes": self.causes },
        })
    }
}

/// Kind of a write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Server-side apply.
    Apply {
        /// Whether to take over fields of other managers.
        force: bool,
    },
    /// `POST`: the object must not exist.
    Create,
    /// `PUT`: the object must exist.
    Replace,
    /// JSON merge patch: the object must exist.
    Merge,
    /// The result of a JSON patch, with its `managedFields`: the object must exist.
    Patched,
}

/// All objects of the cluster and their history.
#[derive(Debug)]
pub struct Store {
    kinds: Vec<Kind>,
    objects: BTreeMap<Key, Value>,
    history: Vec<Change>,
    version: u64,
    names: u64,
    changed: watch::Sender<u64>,
}

/// The current time in the format of Kubernetes objects.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Store {
    /// An empty cluster that serves `kinds`.
    pub fn new(kinds: Vec<Kind>) -> Self {
        let (changed, _) = watch::channel(0);
        Self { kinds, objects: BTreeMap::new(), history: Vec::new(), version: 1, names: 0, changed }
    }

    /// The served kinds.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The kind of an API path.
    pub fn kind_of(&self, group: &str, version: &str, plural: &str) -> Option<Kind> {
        let matches =
            |kind: &&Kind| kind.group == group && kind.version == version && kind.plural == plural;
        self.kinds.iter().find(matches).cloned()
    }

    /// The kind of an object.
    pub fn kind_named(&self, api_version: &str, kind: &str) -> Option<Kind> {
        self.kinds
            .iter()
            .find(|candidate| candidate.kind == kind && candidate.api_version() == api_version)
            .cloned()
    }

    /// Resource version of the whole cluster.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Receives each new version.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Changes after `version`.
    pub fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        self.history.iter().filter(move |change| change.version > version)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a resource in one namespace, or in all if `namespace` is empty.
    pub fn list(&self, resource: &str, namespace: &str) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter(move |(key, _)| {
                key.resource == resource && (namespace.is_empty() || key.namespace == namespace)
            })
            .map(|(_, object)| object)
    }

    /// All objects, in order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }

    /// A unique suffix of five letters for a generated name.
    pub fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        self.names += 1;
        let mut rest = self.names;
        let mut suffix = vec![b'b'; 5];
        for letter in suffix.iter_mut().rev() {
            let base = LETTERS.len() as u64;
            *letter = LETTERS[usize::try_from(rest % base).unwrap_or_default()];
            rest /= base;
        }
        String::from_utf8(suffix).unwrap_or_default()
    }

    /// Executes a client's write. Returns the object and whether it was created.
    ///
    /// # Errors
    /// Fails with the refusal of the API server.
    pub fn write(
        &mut self,
        kind: &Kind,
        key: &Key,
        body: &Value,
        how: &Write,
        manager: &str,
        dry_run: bool,
    ) -> Result<(Value, bool), Failure> {
        let live = self.objects.get(key).cloned();
        let named = format!("{} \"{}\"", kind.resource(), key.name);
        if let Some(wanted) = body["metadata"]["resourceVersion"].as_str()
            && let Some(live) = &live
            && !matches!(how, Write::Create)
            && live["metadata"]["resourceVersion"] != wanted
        {
            return Err(Failure::new(
                409,
                "Conflict",
                format!("Operation cannot be fulfilled on {named}: the object has been modified"),
            ));
        }
        self.check_namespace(kind, key, live.is_none())?;
        let body = prepared(kind, key, body);
        let now = now();
        let mut object = match (how, &live) {
            (Write::Create, Some(_)) => {
                return Err(Failure::new(409, "AlreadyExists", format!("{named} already exists")));
            }
            (Write::Replace | Write::Merge | Write::Patched, None) => {
                return Err(Failure::new(404, "NotFound", format!("{named} not found")));
            }
            (Write::Apply { force }, live) => {
                merge::apply(live.as_ref(), &body, manager, *force, &now).map_err(|conflicts| {
                    let causes: Vec<Value> = conflicts
                        .iter()
                        .map(|conflict| {
                            json!({
                                "reason": "FieldManagerConflict",
                                "message": format!(
                                    "conflict with \"{}\"{}",
                                    conflict.manager, conflict.wrote
                                ),
                                "field": conflict.field,
                            })
                        })
                        .collect();
                    let count = causes.len();
                    let plural = if count == 1 { "conflict" } else { "conflicts" };
                    Failure {
                        causes,
                        ..Failure::new(
                            409,
                            "Conflict",
                            format!("Apply failed with {count} {plural}"),
                        )
                    }
                })?
            }
            (Write::Create, None) => {
                let mut object = body.clone();
                merge::own_update(None, &mut object, manager, &now);
                object
            }
            (Write::Replace, Some(live)) => {
                let mut object = body.clone();
                object["status"] = live["status"].clone();
                merge::own_update(Some(live), &mut object, manager, &now);
                object
            }
            (Write::Patched, Some(_)) => body.clone(),
            (Write::Merge, Some(live)) => {
                let mut object = live.clone();
                merge::merge_patch(&mut object, &body);
                merge::own_update(Some(live), &mut object, manager, &now);
                object
            }
        };
        if let Some(members) = object.as_object_mut()
            && members.get("status").is_some_and(Value::is_null)
        {
            members.remove("status");
        }
        let created = live.is_none();
        if live.as_ref().is_some_and(|live| same(live, &object)) {
            return Ok((live.unwrap_or_default(), false));
        }
        self.stamp(kind, key, live.as_ref(), &mut object, dry_run);
        let object = if dry_run { object } else { self.put(key, object) };
        Ok((object, created))
    }

    /// Replaces the status, like a controller. An equal status is not a change.
    pub fn set_status(&mut self, key: &Key, status: &Value) {
        if let Some(live) = self.objects.get(key)
            && live["status"] != *status
        {
            let mut object = live.clone();
            object["status"] = status.clone();
            self.put(key, object);
        }
    }

    /// Deletes an object and its dependents.
    ///
    /// # Errors
    /// Fails if the object does not exist or its uid differs from `uid`.
    pub fn delete(
        &mut self,
        kind: &Kind,
        key: &Key,
        uid: Option<&str>,
        dry_run: bool,
    ) -> Result<Value, Failure> {
        let named = format!("{} \"{}\"", kind.resource(), key.name);
        let Some(live) = self.objects.get(key).cloned() else {
            return Err(Failure::new(404, "NotFound", format!("{named} not found")));
        };
        if let Some(uid) = uid
            && live["metadata"]["uid"] != uid
        {
            return Err(Failure::new(
                409,
                "Conflict",
                format!("Precondition failed: UID in precondition: {uid}, for {named}"),
            ));
        }
        if !dry_run {
            self.remove(key);
        }
        Ok(live)
    }

    /// Deletes an object and its dependents without preconditions.
    pub fn remove(&mut self, key: &Key) {
        let Some(mut object) = self.objects.remove(key) else { return };
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let uid = object["metadata"]["uid"].clone();
        self.record("DELETED", key, object);
        let dependents: Vec<Key> = self
            .objects
            .iter()
            .filter(|(other, object)| {
                let owned = object["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid));
                owned || (key.resource == "namespaces" && other.namespace == key.name)
            })
            .map(|(other, _)| other.clone())
            .collect();
        for dependent in dependents {
            self.remove(&dependent);
        }
    }

    fn check_namespace(&self, kind: &Kind, key: &Key, is_new: bool) -> Result<(), Failure> {
        let namespace = Key {
            resource: "namespaces".into(),
            namespace: String::new(),
            name: key.namespace.clone(),
        };
        let found = self.objects.get(&namespace);
        match found {
            None if kind.namespaced => {
                let message = format!("namespaces \"{}\" not found", key.namespace);
                Err(Failure::new(404, "NotFound", message))
            }
            Some(found) if is_new && !found["metadata"]["deletionTimestamp"].is_null() => {
                let message = format!(
                    "{} \"{}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
                    kind.resource(),
                    key.name,
                    key.namespace
                );
                let cause = json!({
                    "reason": "NamespaceTerminating", "field": "metadata.namespace",
                    "message": format!("namespace {} is being terminated", key.namespace),
                });
                Err(Failure { causes: vec![cause], ..Failure::new(403, "Forbidden", message) })
            }
            _ => Ok(()),
        }
    }

    fn stamp(
        &mut self,
        kind: &Kind,
        key: &Key,
        live: Option<&Value>,
        object: &mut Value,
        dry_run: bool,
    ) {
        let metadata = &mut object["metadata"];
        if let Some(live) = live {
            for field in ["uid", "creationTimestamp", "generation"] {
                metadata[field] = live["metadata"][field].clone();
            }
        } else {
            let serial = self.version + 1;
            metadata["uid"] = json!(format!("00000000-0000-4000-8000-{serial:012x}"));
            metadata["creationTimestamp"] = json!(now());
            metadata["generation"] = json!(1);
        }
        if kind.namespaced {
            metadata["namespace"] = json!(key.namespace);
        }
        if let Some(live) = live
            && live["spec"] != object["spec"]
        {
            let generation = live["metadata"]["generation"].as_u64().unwrap_or_default() + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        match kind.kind.as_str() {
            "Service" => self.give_addresses(live, object),
            "Namespace" => object["status"] = json!({ "phase": "Active" }),
            "PersistentVolumeClaim" => object["status"] = json!({ "phase": "Bound" }),
            "CustomResourceDefinition" => object["status"] = established(live, object),
            _ => {}
        }
        if dry_run {
            let version =
                live.map_or(Value::Null, |live| live["metadata"]["resourceVersion"].clone());
            object["metadata"]["resourceVersion"] = version;
        }
    }

    fn give_addresses(&self, live: Option<&Value>, service: &mut Value) {
        let serial = self.version;
        if service["spec"]["clusterIP"].is_null() {
            let given = live.map(|live| live["spec"]["clusterIP"].clone());
            service["spec"]["clusterIP"] =
                given.unwrap_or_else(|| json!(format!("10.96.{}.{}", serial / 250, serial % 250)));
        }
        let has_node_ports =
            matches!(service["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer"));
        if has_node_ports && let Some(ports) = service["spec"]["ports"].as_array_mut() {
            for (offset, port) in (0_u64..).zip(ports) {
                if port["nodePort"].is_null() {
                    port["nodePort"] = json!(30100 + (serial + offset) % 2000);
                }
            }
        }
    }

    /// Stores the object with a new version, and returns the stored object.
    fn put(&mut self, key: &Key, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = if self.objects.contains_key(key) { "MODIFIED" } else { "ADDED" };
        if key.resource == "customresourcedefinitions.apiextensions.k8s.io" {
            self.serve(&object);
        }
        self.objects.insert(key.clone(), object.clone());
        self.record(event, key, object.clone());
        object
    }

    /// Replaces the served versions of a kind by those of its definition.
    fn serve(&mut self, definition: &Value) {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, kind) = (text(&spec["group"]), text(&spec["names"]["kind"]));
        self.kinds.retain(|known| known.group != group || known.kind != kind);
        for version in spec["versions"].as_array().into_iter().flatten() {
            if version["served"] == true {
                let (name, plural) = (text(&version["name"]), text(&spec["names"]["plural"]));
                let namespaced = spec["scope"] == "Namespaced";
                self.kinds.push(Kind::new(&group, &name, &kind, &plural, namespaced));
            }
        }
    }

    fn record(&mut self, event: &'static str, key: &Key, object: Value) {
        self.history.push(Change { version: self.version, event, key: key.clone(), object });
        self.changed.send_replace(self.version);
    }
}

/// The status of a definition. Its `storedVersions` only grow.
fn established(live: Option<&Value>, definition: &Value) -> Value {
    let mut stored = live.map_or(json!([]), |live| live["status"]["storedVersions"].clone());
    let versions = definition["spec"]["versions"].as_array();
    for version in versions.into_iter().flatten().filter(|version| version["storage"] == true) {
        let known = stored.as_array_mut().filter(|known| !known.contains(&version["name"]));
        if let Some(known) = known {
            known.push(version["name"].clone());
        }
    }
    json!({
        "storedVersions": stored, "acceptedNames": definition["spec"]["names"],
        "conditions": [{ "type": "NamesAccepted", "status": "True" }, { "type": "Established", "status": "True" }],
    })
}

/// The object to store: its identity comes from the path, and `stringData` moves into `data`.
fn prepared(kind: &Kind, key: &Key, body: &Value) -> Value {
    use base64::Engine as _;

    let mut object = body.clone();
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    object["metadata"]["name"] = json!(key.name);
    if kind.namespaced {
        object["metadata"]["namespace"] = json!(key.namespace);
    }
    if kind.kind == "Secret"
        && let Some(Value::Object(plain)) =
            object.as_object_mut().and_then(|members| members.remove("stringData"))
    {
        for (name, value) in plain {
            let text = value.as_str().unwrap_or_default();
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            object["data"][name] = json!(encoded);
        }
    }
    object
}

/// Reports whether two states are equal except for the times of their managers' writes.
fn same(live: &Value, object: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["resourceVersion", "uid", "creationTimestamp", "generation"] {
                metadata.remove(field);
            }
            for entry in metadata
                .get_mut("managedFields")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                entry["time"] = Value::Null;
            }
        }
        object
    };
    bare(live) == bare(object)
}

/// A cluster with the namespaces and the node that every cluster has.
pub fn with_defaults(kinds: Vec<Kind>, node: &str) -> Store {
    let mut store = Store::new(kinds);
    for namespace in ["default", "kube-system"] {
        store.seed(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace },
        }));
    }
    let node_key =
        store.seed(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node } }));
    store.set_status(
        &node_key,
        &json!({
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady" }],
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "nodeInfo": { "architecture": "amd64", "operatingSystem": "linux" },
            "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "110" },
        }),
    );
    store
}

impl Store {
    /// Creates an object as the cluster's administrator.
    pub fn seed(&mut self, object: &Value) -> Key {
        self.seed_as(object, "kubectl")
    }

    /// Creates or changes an object as the field manager `manager`.
    pub fn seed_as(&mut self, object: &Value, manager: &str) -> Key {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = self
            .kind_named(&text(&object["apiVersion"]), &text(&object["kind"]))
            .expect("the scripted cluster serves this kind");
        let namespace = match (kind.namespaced, object["metadata"]["namespace"].as_str()) {
            (false, _) => String::new(),
            (true, None) => "default".to_owned(),
            (true, Some(namespace)) => namespace.to_owned(),
        };
        let key =
            Key { resource: kind.resource(), namespace, name: text(&object["metadata"]["name"]) };
        let how = if self.objects.contains_key(&key) { Write::Merge } else { Write::Create };
        self.write(&kind, &key, object, &how, manager, false).expect("the object can be stored");
        key
    }
}

/// The kinds served at the start.
pub fn default_kinds() -> Vec<Kind> {
    kinds::built_in()
}
