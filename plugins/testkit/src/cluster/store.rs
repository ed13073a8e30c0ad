//! The objects of a scripted cluster, their versions, and the history that watches are served from.
//!
//! Owns identity and versions: `uid`, `resourceVersion`, `generation`, creation and deletion with
//! what is owned. Who owns which field is `merge`'s; what Deployments do is `controller`'s.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::kinds::{self, Kind};
use super::merge;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// E.g. `deployments.apps`.
    pub resource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// One entry of the history.
#[derive(Clone, Debug)]
pub struct Change {
    /// Resource version of the cluster after it.
    pub version: u64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub event: &'static str,
    /// Which object.
    pub key: Key,
    /// As it was afterwards.
    pub object: Value,
}

/// A refusal in the words of the API server.
#[derive(Clone, Debug)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// E.g. `NotFound`.
    pub reason: String,
    /// One line.
    pub message: String,
    /// Field conflicts and the like.
    pub causes: Vec<Value>,
}

impl Failure {
    /// A refusal without causes.
    pub fn new(status: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into(), causes: Vec::new() }
    }

    /// The `Status` document.
    pub fn document(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.status,
            "details": { "causes": self.causes },
        })
    }
}

/// How an object is written.
#[derive(Clone, Debug)]
pub enum Write {
    /// Server-side apply.
    Apply {
        /// Takes fields that others own.
        force: bool,
    },
    /// `POST`: must not be there.
    Create,
    /// `PUT`: must be there.
    Replace,
    /// JSON merge patch: must be there.
    Merge,
    /// What a JSON patch made of it, who manages what included: must be there.
    Patched,
}

/// Everything in the cluster.
#[derive(Debug)]
pub struct Store {
    kinds: Vec<Kind>,
    objects: BTreeMap<Key, Value>,
    history: Vec<Change>,
    version: u64,
    names: u64,
    changed: watch::Sender<u64>,
}

/// Now, as objects spell it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Store {
    /// An empty cluster that serves `kinds`.
    pub fn new(kinds: Vec<Kind>) -> Self {
        let (changed, _) = watch::channel(0);
        Self { kinds, objects: BTreeMap::new(), history: Vec::new(), version: 1, names: 0, changed }
    }

    /// What it serves.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The kind behind a path of the API.
    pub fn kind_of(&self, group: &str, version: &str, plural: &str) -> Option<Kind> {
        let matches =
            |kind: &&Kind| kind.group == group && kind.version == version && kind.plural == plural;
        self.kinds.iter().find(matches).cloned()
    }

    /// The kind of a document.
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

    /// Tells when the version moves on.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What happened after `version`.
    pub fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        self.history.iter().filter(move |change| change.version > version)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a resource, in one namespace or (empty) in all.
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

    /// Five letters that no other generated name has.
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

    /// Writes an object as a client asks for it.
    ///
    /// # Errors
    /// As the API server refuses it.
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

    /// Replaces the status, as a controller does; nothing happens where nothing changes.
    pub fn set_status(&mut self, key: &Key, status: &Value) {
        if let Some(live) = self.objects.get(key)
            && live["status"] != *status
        {
            let mut object = live.clone();
            object["status"] = status.clone();
            self.put(key, object);
        }
    }

    /// Deletes an object and what it owns.
    ///
    /// # Errors
    /// Where it is not there or is not the one that the caller meant.
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
            self.take_away(key);
        }
        Ok(live)
    }

    /// Takes an object away with what it owns, whoever asks.
    pub fn remove(&mut self, key: &Key) {
        self.take_away(key);
    }

    fn take_away(&mut self, key: &Key) {
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
            self.take_away(&dependent);
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

    /// Gives the object as it is stored.
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

    /// Serves the versions that a definition says, and no other of its kind.
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

/// The status of a definition, whose versions were once stored stay so.
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

/// The document as it is stored: identity from the path, `stringData` folded into `data`.
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

/// Whether two states differ in nothing but when their managers wrote.
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

/// A cluster with what every cluster has.
pub fn furnished(kinds: Vec<Kind>, node: &str) -> Store {
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
    /// Puts an object there as the cluster's administrator would.
    pub fn seed(&mut self, object: &Value) -> Key {
        self.seed_as(object, "kubectl")
    }

    /// Puts an object there, or changes it, as `manager`.
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

/// Every kind there is from the start.
pub fn default_kinds() -> Vec<Kind> {
    kinds::built_in()
}
