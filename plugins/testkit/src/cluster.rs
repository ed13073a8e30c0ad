//! A scripted cluster: an HTTP server on loopback that speaks the Kubernetes API.
//!
//! Owns the script (behaviours, refusals, delays, responses of apps) and the record of requests. The other parts are
//! `store` (objects), `app` (responses of apps), `exec` (programs in pods), `merge` (ownership of fields), `controller`
//! (Deployments), `completion` (Jobs and pods without an owner), `server` (HTTP), `kubelet` (logs and usage) and `selection`
//! (label and field selectors).

mod app;
mod completion;
mod controller;
mod exec;
mod fields;
mod kinds;
mod kubelet;
mod merge;
mod selection;
mod server;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

pub use controller::Behaviour;
pub use exec::FromPods;
pub use kinds::Kind;
use store::Store;
pub use store::{Failure as Refusal, Key};

/// A fault between client and cluster.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Method, e.g. `PATCH`; empty for every method.
    pub method: String,
    /// Part of the path, e.g. `/deployments/`.
    pub path: String,
    /// Number of affected requests; `None` for all.
    pub times: Option<usize>,
    /// Effect on each of them.
    pub effect: Effect,
}

/// Effect of a fault on a request.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The server refuses the request.
    Refuse(Refusal),
    /// The server delays the response.
    Delay(Duration),
    /// The server neither executes nor answers the request; the connection stays open.
    Hang,
    /// The server executes the request and never answers it; the connection stays open.
    Swallow,
}

/// A request that the cluster received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method, e.g. `PATCH`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query without its question mark.
    pub query: String,
    /// Body as sent.
    pub body: Vec<u8>,
}

impl Request {
    /// Reports whether the request changes the cluster; reads, dry runs and access reviews do not.
    pub fn writes(&self) -> bool {
        self.method != "GET"
            && !self.query.contains("dryRun=All")
            && !self.path.contains("/authorization.k8s.io/")
    }
}

#[derive(Debug, Default)]
struct Script {
    behaviours: BTreeMap<String, Behaviour>,
    of_images: BTreeMap<(String, String), Behaviour>,
    faults: Vec<Fault>,
    answers: BTreeMap<(String, String), (u16, String)>,
    forbidden: Vec<(String, String)>,
    from_pods: BTreeMap<String, FromPods>,
    requests: Vec<Request>,
}

/// State shared by the server, the controllers and the test.
#[derive(Clone, Debug)]
struct State {
    store: Arc<Mutex<Store>>,
    script: Arc<Mutex<Script>>,
    node: Arc<str>,
    version: Arc<str>,
}

impl State {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaviour(&self, deployment: &str, template: &Value) -> Behaviour {
        let script = self.script();
        let image = template["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        script
            .of_images
            .get(&(deployment.to_owned(), image.to_owned()))
            .or_else(|| script.behaviours.get(deployment))
            .cloned()
            .unwrap_or(Behaviour::Ready)
    }

    fn node(&self) -> &str {
        &self.node
    }
}

/// Settings of a scripted cluster.
#[derive(Clone, Debug)]
pub struct Builder {
    node: String,
    version: String,
    kinds: Vec<Kind>,
}

impl Builder {
    /// Sets the name of the only node.
    #[must_use]
    pub fn node(mut self, name: &str) -> Self {
        name.clone_into(&mut self.node);
        self
    }

    /// Sets the version of the API server, e.g. `1.35.4`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Adds a kind, e.g. a custom resource.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Starts the cluster, which runs until it is dropped.
    pub fn start(self) -> FakeCluster {
        let store = store::with_defaults(self.kinds, &self.node);
        let state = State {
            store: Arc::new(Mutex::new(store)),
            script: Arc::default(),
            node: self.node.into(),
            version: self.version.into(),
        };
        let server = server::Server::start(state.clone());
        FakeCluster { state, server }
    }
}

/// A running scripted cluster.
#[derive(Debug)]
pub struct FakeCluster {
    state: State,
    server: server::Server,
}

impl FakeCluster {
    /// Settings of a cluster with one node and the built-in kinds.
    pub fn builder() -> Builder {
        Builder { node: "node-1".into(), version: "1.35.4".into(), kinds: store::default_kinds() }
    }

    /// Starts a cluster with one node and the built-in kinds.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Address of the API server.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A kubeconfig with the current context `context` for this cluster.
    pub fn kubeconfig(&self, context: &str) -> String {
        kubeconfig(context, &format!("http://{}", self.address()))
    }

    /// Writes [`kubeconfig`](Self::kubeconfig) to a file.
    pub fn write_kubeconfig(&self, path: &Path, context: &str) {
        std::fs::write(path, self.kubeconfig(context)).expect("the kubeconfig can be written");
    }

    /// Sets the behaviour of a Deployment's pods from its next rollout on, or of a Job or a pod without an owner.
    pub fn behaviour(&self, deployment: &str, behaviour: Behaviour) {
        self.state.script().behaviours.insert(deployment.to_owned(), behaviour);
    }

    /// Sets the behaviour of a Deployment's pods with this image in their first container. Overrides
    /// [`behaviour`](Self::behaviour).
    pub fn behaviour_of_image(&self, deployment: &str, image: &str, behaviour: Behaviour) {
        let place = (deployment.to_owned(), image.to_owned());
        self.state.script().of_images.insert(place, behaviour);
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.state.script().faults.push(fault);
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.state.script().faults.clear();
    }

    /// Sets the response of a Service's app at a path. `{pod}` in the body becomes the pod's name. The default response
    /// of a ready app is 200 with the body `{}`.
    pub fn answer(&self, service: &str, path: &str, status: u16, body: &str) {
        let place = (service.to_owned(), path.to_owned());
        self.state.script().answers.insert(place, (status, body.to_owned()));
    }

    /// Opens a port of this machine that forwards to a Service like a node port. Set the Service's `nodePort` to the
    /// returned number.
    pub fn node_port(&self, namespace: &str, service: &str) -> u16 {
        self.server.node_port(self.state.clone(), namespace, service)
    }

    /// Sets the peer that pods reach at an address, e.g. `db.example:5432`. Names without a peer do not resolve.
    pub fn from_pods(&self, address: &str, peer: FromPods) {
        self.state.script().from_pods.insert(address.to_owned(), peer);
    }

    /// Replaces the list of images on the node.
    pub fn images(&self, names: &[&str]) {
        let key = Key {
            resource: "nodes".into(),
            namespace: String::new(),
            name: self.state.node.to_string(),
        };
        let images: Vec<Value> = names.iter().map(|name| json!({ "names": [name] })).collect();
        let mut store = self.state.store();
        let mut status = store.get(&key).map(|node| node["status"].clone()).unwrap_or_default();
        status["images"] = json!(images);
        store.set_status(&key, &status);
    }

    /// Denies a permission to the user; `verb` and `resource` as in an access review, e.g. `create` and `secrets`.
    pub fn forbid(&self, verb: &str, resource: &str) {
        self.state.script().forbidden.push((verb.to_owned(), resource.to_owned()));
    }

    /// Creates an object, or merges it into the existing one, as the field manager `manager`.
    pub fn write_as(&self, manager: &str, object: &Value) {
        let key = self.state.store().seed_as(object, manager);
        self.server.reconcile(&self.state, &key);
    }

    /// Deletes an object with its dependents, without a request.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
        self.state.store().remove(&key);
    }

    /// One object; `namespace` is empty for cluster-scoped kinds.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
        self.state.store().get(&key).cloned()
    }

    /// The objects of a resource, e.g. `deployments.apps`; an empty `namespace` means all namespaces.
    pub fn list(&self, resource: &str, namespace: &str) -> Vec<Value> {
        self.state.store().list(resource, namespace).cloned().collect()
    }

    /// All objects with their keys.
    pub fn objects(&self) -> Vec<(Key, Value)> {
        let store = self.state.store();
        store.objects().map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    /// Names of the objects in a namespace, e.g. `deployments.apps/todo-app`; sorted, without Events.
    pub fn names_in(&self, namespace: &str) -> Vec<String> {
        let store = self.state.store();
        store
            .objects()
            .filter(|(key, _)| key.namespace == namespace && key.resource != "events")
            .map(|(key, _)| format!("{}/{}", key.resource, key.name))
            .collect()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.script().requests.clone()
    }

    /// The requests so far that change the cluster.
    pub fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::writes).collect()
    }

    /// Waits for a request that satisfies `wanted`.
    ///
    /// # Panics
    /// Panics if no such request arrives within `patience`.
    pub fn wait_for_request(&self, patience: Duration, wanted: impl Fn(&Request) -> bool) {
        self.wait_for_requests(1, patience, wanted);
    }

    /// Waits for `count` requests that satisfy `wanted`.
    ///
    /// # Panics
    /// Panics if fewer arrive within `patience`.
    pub fn wait_for_requests(
        &self,
        count: usize,
        patience: Duration,
        wanted: impl Fn(&Request) -> bool,
    ) {
        let deadline = std::time::Instant::now() + patience;
        while self.requests().iter().filter(|&seen| wanted(seen)).count() < count {
            let seen = self.requests();
            assert!(
                std::time::Instant::now() < deadline,
                "fewer than {count} such requests within {patience:?}; received: {:#?}",
                seen.iter().map(|it| format!("{} {}", it.method, it.path)).collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A kubeconfig with one context for the API server `server`.
pub fn kubeconfig(context: &str, server: &str) -> String {
    let document = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{ "name": context, "cluster": { "server": server } }],
        "users": [{ "name": context, "user": {} }],
        "contexts": [{ "name": context, "context": { "cluster": context, "user": context } }],
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
